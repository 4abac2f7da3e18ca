//! What faults do to the answers of the API: refuse, lose, or hold them for a while.
//!
//! A held answer waits for the world's clock or for an event, never for real time. The door asks
//! whether it is still held.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::{Due, Refusal, World};
use crate::emulator::fault_config::{Fault, FaultPlace};
use crate::pure::time::Tick;
use crate::wire::calling::{Operation, Place};
use crate::wire::events::EventKind;
use crate::wire::identifiers::CallConnectionId;

/// How long an answer waits for an event that was to come first.
const EVENT_PATIENCE: Duration = Duration::from_secs(5);

/// How a request fares that faults have struck.
#[derive(Clone, Debug, Default)]
pub struct Fate {
    /// Nothing is done; this is the answer.
    pub refusal: Option<Refusal>,
    /// What `Retry-After` says, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// The connection is closed in place of an answer.
    pub lost: bool,
    /// How late the answer is.
    pub slow: Duration,
    /// The answer comes after an event of one of these types; of any, when there are none.
    pub after_event: Option<Vec<EventKind>>,
}

/// Answers that are held.
#[derive(Default)]
pub(super) struct HeldAnswers {
    held: BTreeMap<u64, Held>,
    count: u64,
    freed: u64,
}

struct Held {
    until: Tick,
    event: Option<EventWait>,
}

struct EventWait {
    call: String,
    kinds: Vec<EventKind>,
    /// Letters up to this one were written before.
    since: u64,
    gives_up: Tick,
}

impl HeldAnswers {
    /// How many were let go.
    pub fn freed(&self) -> u64 {
        self.freed
    }

    /// Lets all go.
    pub fn free_all(&mut self) {
        self.held.clear();
        self.freed += 1;
    }
}

impl World {
    /// Throws the dice for a request.
    pub fn strike_request(&mut self, operation: Operation, place: &Place) -> Fate {
        let call = match place {
            Place::Call(call) | Place::Participant(call, _) => Some(call.as_str()),
            Place::Nowhere | Place::Recording(_) => None,
        };
        let known = call.filter(|call| self.connections.contains_key(*call));
        let about = json!({ "operation": format!("{operation:?}"), "callConnectionId": known });
        let struck = self.strike(FaultPlace::Response, &about, |rule| {
            rule.wants_operation(operation) && rule.wants_call(call)
        });
        let mut fate = Fate::default();
        for rule in struck {
            match rule.fault {
                Fault::TooManyRequests | Fault::ServerError if fate.refusal.is_none() => {
                    fate.refusal = Some(refusal(rule.status()));
                    fate.retry_after_ms = rule.retry_after_ms();
                }
                Fault::LostResponse => fate.lost = true,
                Fault::Slow => fate.slow += rule.delay(),
                Fault::EventBeforeResponse => {
                    fate.after_event.get_or_insert_default().extend_from_slice(rule.kinds());
                }
                _ => {}
            }
        }
        fate
    }

    /// Holds an answer back when its fate is so. `since` is what [`World::letters`] was before the
    /// request was done.
    pub fn hold_answer(&mut self, fate: &Fate, call: Option<&str>, since: u64) -> Option<u64> {
        let now = self.now.tick;
        let gives_up = now + EVENT_PATIENCE;
        let kinds = fate.after_event.clone().filter(|_| fate.refusal.is_none());
        let event = kinds.zip(call).map(|(kinds, call)| EventWait {
            call: call.to_owned(),
            kinds,
            since,
            gives_up,
        });
        if event.is_none() && fate.slow.is_zero() {
            return None;
        }
        if self.answers.held.len() >= self.config.limits.held_answers {
            tracing::warn!("a fault could not hold an answer: limits.held_answers is reached");
            return None;
        }
        self.answers.count += 1;
        let (number, until) = (self.answers.count, now + fate.slow);
        if event.is_some() {
            self.agenda.set(gives_up, Due::Answer(number));
        }
        self.agenda.set(until, Due::Answer(number));
        self.answers.held.insert(number, Held { until, event });
        Some(number)
    }

    /// How many callbacks were ever written.
    pub fn letters(&self) -> u64 {
        self.postbox.written()
    }

    /// Whether an answer has to wait.
    pub fn is_held(&self, number: u64) -> bool {
        self.answers.held.contains_key(&number)
    }

    /// The time of a held answer may have come.
    pub(super) fn answer_due(&mut self, number: u64) {
        let now = self.now.tick;
        let Some(held) = self.answers.held.get_mut(&number) else { return };
        held.event = held.event.take().filter(|event| event.gives_up > now);
        if held.event.is_none() && held.until <= now {
            self.answers.held.remove(&number);
            self.answers.freed += 1;
        }
    }

    /// A callback has been delivered, or never will be: answers that waited for it go on.
    pub(super) fn letter_done(&mut self, call: &CallConnectionId, kind: &EventKind, number: u64) {
        let mut waited = Vec::new();
        for (answer, held) in &mut self.answers.held {
            let over = held.event.as_ref().is_some_and(|event| {
                event.call == call.as_str()
                    && number > event.since
                    && (event.kinds.is_empty() || event.kinds.contains(kind))
            });
            if over {
                held.event = None;
                waited.push(*answer);
            }
        }
        for answer in waited {
            self.answer_due(answer);
        }
    }
}

fn refusal(status: u16) -> Refusal {
    let (code, what) = match status {
        429 => ("TooManyRequests", "Too many requests"),
        502 => ("BadGateway", "Bad gateway"),
        503 => ("ServiceUnavailable", "The service is unavailable"),
        504 => ("GatewayTimeout", "Gateway timeout"),
        _ => ("InternalServerError", "Internal server error"),
    };
    Refusal::new(status, code, format!("{what}; a fault that was asked for."))
}
