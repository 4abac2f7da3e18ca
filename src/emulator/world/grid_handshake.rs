//! Event Grid's two handshakes: nothing is delivered to an endpoint that has not agreed to it.
//!
//! Event Grid's schema posts a code that comes back in the answer, or by a visit to a URL; CloudEvents
//! asks by `OPTIONS` and is answered by a header, or by a visit to a URL.

use std::time::Duration;

use serde_json::{Value, json};

use super::events::seven_digits;
use super::grid::{Standing, Subscribed, no_subscription};
use super::grid_record::GridNote;
use super::postbox::without_query;
use super::{Due, Effect, Job, Outcome, Refusal, World};
use crate::emulator::config::Schema;
use crate::wire::calling::segment;

/// Type of the validation event, in the record for the other handshake as well.
const VALIDATION: &str = "Microsoft.EventGrid.SubscriptionValidationEvent";
/// Pause after a handshake that got no answer in time, and the longest after any other (documented).
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What an answer to the handshake means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Agreed,
    /// Somebody has to open the URL.
    Later,
    Again(&'static str),
}

impl World {
    /// Where somebody can agree by hand.
    pub(super) fn validation_url(&self, name: &str, code: &str) -> String {
        let (base, name) = (&self.grid.base_url, segment(name));
        format!("{base}/emulator/eventgrid/subscriptions/{name}/validate?code={code}")
    }

    /// Somebody opened the validation URL.
    ///
    /// # Errors
    /// [`Refusal`] when the code is not that of the subscription, or comes too late.
    pub fn validate_by_hand(&mut self, name: &str, code: &str) -> Result<Value, Refusal> {
        let found = self.grid.subscriptions.get_mut(name).ok_or_else(no_subscription)?;
        if found.code != code {
            return Err(Refusal::new(
                400,
                "InvalidRequest",
                "The validation code is not that of this subscription; use the newest validation URL as it came.",
            ));
        }
        if found.standing == Standing::Failed {
            return Err(Refusal::new(
                409,
                "ValidationExpired",
                "The handshake was given up; create the subscription again.",
            ));
        }
        found.agree();
        found.last = "validatedByHand";
        self.subscription(name)
    }

    /// Asks the endpoint whether it wants the events.
    pub(super) fn shake_hands(&mut self, name: &str, life: u64) {
        let id = self.ids.guid();
        let Some(found) = self.grid.subscriptions.get(name).filter(|found| found.waits(life))
        else {
            return;
        };
        let (wanted, code) = (found.wanted.wanted.clone(), found.code.clone());
        let manual = self.validation_url(name, &code);
        let grid = &self.config.behaviour.grid;
        let deadline = grid.deadline;
        let mut headers = self.grid_headers(&wanted, "SubscriptionValidation");
        let (method, body) = match wanted.schema {
            Schema::EventGrid => {
                let version = &grid.validation_data_version;
                headers.extend(self.event_headers(wanted.schema, version, 0, &id));
                let event = json!([{
                    "id": id,
                    "topic": self.validation_topic(),
                    "subject": "",
                    "data": { "validationCode": code, "validationUrl": manual },
                    "eventType": VALIDATION,
                    "dataVersion": version,
                    "metadataVersion": "1",
                    "eventTime": seven_digits(self.now.wall, "Z"),
                }]);
                ("POST", event.to_string())
            }
            Schema::CloudEvents => {
                headers.retain(|(name, _)| !name.starts_with("aeg-") && name != "content-type");
                headers.push(("webhook-request-origin".to_owned(), grid.origin.clone()));
                headers.push(("webhook-request-callback".to_owned(), manual));
                if let Some(rate) = grid.request_rate {
                    headers.push(("webhook-request-rate".to_owned(), rate.to_string()));
                }
                ("OPTIONS", String::new())
            }
        };
        self.send(Job::Handshake(name.to_owned(), life), |job| Effect {
            job,
            method,
            url: wanted.endpoint,
            headers,
            body,
            signed: false,
            flaw: Default::default(),
            deadline,
        });
    }

    /// The whole resource, or the Azure subscription it belongs to.
    fn validation_topic(&self) -> String {
        let topic = &self.config.topic;
        if self.config.behaviour.grid.validation_names_resource {
            return topic.clone();
        }
        topic.split("/resourceGroups/").next().unwrap_or_default().to_owned()
    }

    pub(super) fn handshake_finished(&mut self, name: &str, life: u64, outcome: &Outcome) {
        let grid = &self.config.behaviour.grid;
        let first_pause = grid.handshake_pause;
        let origin = grid.origin.clone();
        let needs_rate = grid.rate_consent_required && grid.request_rate.is_some();
        let Some(found) = self.grid.subscriptions.get_mut(name).filter(|found| found.waits(life))
        else {
            return;
        };
        let verdict = match found.wanted.wanted.schema {
            Schema::EventGrid => found.echoed(outcome),
            Schema::CloudEvents => consented(outcome, &origin, needs_rate),
        };
        let pause = match outcome {
            Outcome::TimedOut => LONGEST_PAUSE,
            _ => first_pause.saturating_mul(2_u32.pow(found.attempts.min(16))).min(LONGEST_PAUSE),
        };
        found.attempts += 1;
        let attempts = found.attempts;
        let endpoint = without_query(&found.wanted.wanted.endpoint);
        let (word, reason) = match verdict {
            Verdict::Agreed => {
                found.agree();
                ("validated", None)
            }
            Verdict::Later => {
                found.standing = Standing::AwaitingManualAction;
                ("awaitingManualAction", Some("somebody has to open the validation URL"))
            }
            Verdict::Again(reason) => ("notValidated", Some(reason)),
        };
        found.last = word;
        let mut note =
            GridNote::new(name, "", VALIDATION, word).answered(outcome).attempt(attempts);
        if let Some(reason) = reason {
            note = note.because(reason);
        }
        if let Verdict::Again(reason) = verdict {
            if attempts == 1 {
                tracing::warn!(subscription = name, %endpoint, reason, "the event grid handshake got no consent, it is tried again; start the receiver or check its validation answer");
            }
            note = note.again_at(self.now, pause);
            self.later(pause, Due::Handshake(name.to_owned(), life));
        }
        self.note_grid(note);
    }

    pub(super) fn give_up_handshake(&mut self, name: &str, life: u64) {
        let found = self.grid.subscriptions.get_mut(name).filter(|found| found.life == life);
        let Some(found) = found.filter(|found| found.standing != Standing::Succeeded) else {
            return;
        };
        found.standing = Standing::Failed;
        found.active = None;
        tracing::warn!(
            subscription = name,
            "the event grid handshake was given up; create the subscription again"
        );
    }
}

impl Subscribed {
    /// Whether this handshake is still the one that is tried.
    fn waits(&self, life: u64) -> bool {
        let tried = matches!(self.standing, Standing::Creating | Standing::Updating);
        self.life == life && tried
    }

    fn agree(&mut self) {
        self.standing = Standing::Succeeded;
        self.active = Some(self.wanted.clone());
    }

    /// Event Grid's schema: 200 exactly, with the code or, for a visit later, without it.
    fn echoed(&self, outcome: &Outcome) -> Verdict {
        let (status, body) = match outcome {
            Outcome::Answered { status, body, .. } => (*status, body),
            Outcome::TimedOut => return Verdict::Again("no answer within 30 seconds"),
            Outcome::Unreachable => return Verdict::Again("the endpoint cannot be reached"),
        };
        if status != 200 {
            return Verdict::Again("the answer must have the status 200 exactly");
        }
        let read: Value = serde_json::from_slice(body).unwrap_or_default();
        match read.get("validationResponse").and_then(Value::as_str) {
            Some(code) if code.eq_ignore_ascii_case(&self.code) => Verdict::Agreed,
            Some(_) => Verdict::Again("validationResponse is not the validationCode"),
            None => Verdict::Later,
        }
    }
}

/// CloudEvents: the header is the consent, whatever the status; without it a success asks for time.
fn consented(outcome: &Outcome, origin: &str, needs_rate: bool) -> Verdict {
    let (status, headers) = match outcome {
        Outcome::Answered { status, headers, .. } => (*status, headers),
        Outcome::TimedOut => return Verdict::Again("no answer within 30 seconds"),
        Outcome::Unreachable => return Verdict::Again("the endpoint cannot be reached"),
    };
    let allowed = match headers.get("webhook-allowed-origin") {
        Some(allowed) => allowed.trim(),
        None if (200..300).contains(&status) => return Verdict::Later,
        None => return Verdict::Again("the answer lacks WebHook-Allowed-Origin"),
    };
    if allowed != "*" && !allowed.eq_ignore_ascii_case(origin) {
        return Verdict::Again("WebHook-Allowed-Origin allows somebody else");
    }
    let rate = headers.get("webhook-allowed-rate").map(|rate| rate.trim());
    let positive = |rate: &str| rate == "*" || rate.parse::<u32>().is_ok_and(|rate| rate > 0);
    match rate {
        Some(rate) if !positive(rate) => {
            Verdict::Again("WebHook-Allowed-Rate must be a positive number or *")
        }
        None if needs_rate => Verdict::Again("the answer lacks WebHook-Allowed-Rate"),
        _ => Verdict::Agreed,
    }
}
