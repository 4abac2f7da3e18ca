//! Callbacks on their way: one at a time for each call, in the order in which things happened.
//!
//! Owns the queues and the record of what was delivered. A letter is posted a little after its event
//! (`latency`), so that it seldom overtakes the answer to the request that caused it.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::Serialize;

use super::trace::What;
use super::{Due, Effect, Job, Outcome, World};
use crate::pure::time::Tick;
use crate::wire::events::EventKind;
use crate::wire::identifiers::CallConnectionId;

/// All queues, and what became of the letters.
#[derive(Default)]
pub(super) struct Postbox {
    queues: BTreeMap<CallConnectionId, Queue>,
    record: VecDeque<Delivery>,
    count: u64,
    written: u64,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Letter>,
    /// Whether the first letter is on its way.
    under_way: bool,
}

/// A callback.
#[derive(Clone)]
pub(super) struct Letter {
    pub not_before: Tick,
    url: String,
    pub kind: EventKind,
    /// JSON: an array of one.
    pub event: String,
    attempts: u32,
    /// Its place among all that were ever written.
    number: u64,
    /// How far the clock of its token is wrong.
    pub skew_ms: i64,
}

/// One attempt to deliver a callback, for `GET /emulator/deliveries`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Delivery {
    sequence: u64,
    at: Timestamp,
    call_connection_id: CallConnectionId,
    #[serde(rename = "type")]
    kind: EventKind,
    url: String,
    attempt: u32,
    status: Option<u16>,
    outcome: &'static str,
}

/// A URL without its query, which may hold a secret.
pub(super) fn without_query(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or_default().to_owned()
}

impl Postbox {
    /// How many letters were ever written.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Whether nothing waits.
    #[cfg(test)]
    pub fn is_idle(&self) -> bool {
        self.queues.is_empty()
    }
}

impl World {
    pub(super) fn enqueue_callback(
        &mut self,
        call: &CallConnectionId,
        url: String,
        kind: EventKind,
        event: String,
    ) {
        let not_before = self.now.tick + self.config.behaviour.latency;
        self.postbox.written += 1;
        let number = self.postbox.written;
        let letter = Letter { not_before, url, kind, event, attempts: 0, number, skew_ms: 0 };
        self.letter_sets_out(call, letter);
    }

    /// Puts a letter at the end of its call's queue.
    pub(super) fn queue_letter(&mut self, call: &CallConnectionId, letter: Letter) {
        let not_before = letter.not_before;
        let queue = self.postbox.queues.entry(call.clone()).or_default();
        if queue.waiting.len() >= self.config.limits.callbacks_waiting {
            // The one under way keeps its place; its outcome is still to come.
            queue.waiting.remove(usize::from(queue.under_way));
            tracing::warn!(%call, "a callback was dropped, the receiver is too slow; raise limits.callbacks_waiting or answer callbacks before working on them");
        }
        queue.waiting.push_back(letter);
        if queue.waiting.len() == 1 {
            self.agenda.set(not_before, Due::Post(call.clone()));
        }
    }

    /// Posts the first letter of a call when it may leave.
    pub(super) fn post_next(&mut self, call: &CallConnectionId) {
        let Some(queue) = self.postbox.queues.get_mut(call) else { return };
        let Some(letter) = queue.waiting.front_mut().filter(|_| !queue.under_way) else { return };
        if letter.not_before > self.now.tick {
            self.agenda.set(letter.not_before, Due::Post(call.clone()));
            return;
        }
        queue.under_way = true;
        letter.attempts += 1;
        let (url, body) = (letter.url.clone(), letter.event.clone());
        let (kind, skew_ms) = (letter.kind.clone(), letter.skew_ms);
        let flaw = self.strike_token(call, &kind, skew_ms);
        let deadline = self.config.behaviour.callback_deadline;
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        self.send(Job::Callback(call.clone()), |job| Effect {
            job,
            method: "POST",
            url,
            headers,
            body,
            signed: true,
            flaw,
            deadline,
        });
    }

    pub(super) fn callback_finished(&mut self, call: &CallConnectionId, outcome: &Outcome) {
        let Some(queue) = self.postbox.queues.get_mut(call) else { return };
        queue.under_way = false;
        let Some(letter) = queue.waiting.front_mut() else { return };
        let (status, word) = match outcome {
            Outcome::Answered { status: status @ 200..300, .. } => (Some(*status), "delivered"),
            Outcome::Answered { status, .. } => (Some(*status), "refused"),
            Outcome::TimedOut => (None, "timedOut"),
            Outcome::Unreachable => (None, "unreachable"),
        };
        self.postbox.count += 1;
        let delivery = Delivery {
            sequence: self.postbox.count,
            at: self.now.wall,
            call_connection_id: call.clone(),
            kind: letter.kind.clone(),
            url: without_query(&letter.url),
            attempt: letter.attempts,
            status,
            outcome: word,
        };
        let payload = letter.event.clone();
        let number = letter.number;
        let again =
            word != "delivered" && letter.attempts <= self.config.behaviour.callback_retries;
        if again {
            letter.not_before = self.now.tick + self.config.behaviour.callback_retry_pause;
        } else {
            queue.waiting.pop_front();
        }
        if queue.waiting.is_empty() {
            self.postbox.queues.remove(call);
        }
        let entry = serde_json::json!({
            "type": delivery.kind, "callConnectionId": call, "attempt": delivery.attempt,
            "outcome": word, "status": status,
        });
        self.trace(What::Callback, entry, Some(payload));
        if !again {
            self.letter_done(call, &delivery.kind, number);
        }
        self.record_delivery(delivery);
        self.post_next(call);
    }

    fn record_delivery(&mut self, delivery: Delivery) {
        if delivery.outcome != "delivered" {
            tracing::warn!(
                call = %delivery.call_connection_id, kind = %delivery.kind, url = %delivery.url,
                status = delivery.status, outcome = delivery.outcome,
                "a callback was not taken; see GET /emulator/deliveries"
            );
        }
        if self.postbox.record.len() >= self.config.limits.deliveries {
            self.postbox.record.pop_front();
        }
        self.postbox.record.push_back(delivery);
    }

    /// The record of deliveries, oldest first, as JSON.
    pub fn deliveries(&self) -> serde_json::Value {
        serde_json::json!({ "value": self.postbox.record })
    }
}
