//! Event Grid events on their way: at least once, by the real retry table, to the dead letters when
//! that does not help.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::events::seven_digits;
use super::{Due, Effect, Job, Outcome, World};
use crate::emulator::config::{Schema, Subscription};
use crate::pure::time::Tick;

/// One event on its way to one subscription.
pub(super) struct GridDelivery {
    subscription: String,
    id: String,
    event: Value,
    schema: Schema,
    attempts: u32,
    since: Tick,
    published: Timestamp,
    last_attempt: Timestamp,
    last_outcome: &'static str,
}

/// What is to be done after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Delivered,
    Never(&'static str),
    After(Duration, &'static str),
}

impl World {
    /// Raises an event for every validated subscription that wants its type.
    pub(super) fn raise(&mut self, kind: &str, subject: String, data: Value) {
        let takers = self.grid.takers(kind);
        if takers.is_empty() {
            tracing::warn!(
                kind,
                "no validated event grid subscription takes this event; create one with PUT /emulator/eventgrid/subscriptions/{{name}}"
            );
        }
        let id = self.ids.guid();
        for name in takers {
            let Some(schema) = self.grid.get(&name).map(|found| found.wanted.schema) else {
                continue;
            };
            let event = self.shaped(schema, &id, kind, &subject, &data);
            self.grid.delivery_count += 1;
            let number = self.grid.delivery_count;
            let delivery = GridDelivery {
                subscription: name,
                id: id.clone(),
                event,
                schema,
                attempts: 0,
                since: self.now.tick,
                published: self.now.wall,
                last_attempt: self.now.wall,
                last_outcome: "Aborted",
            };
            if self.grid.deliveries.len() >= self.config.limits.grid_events {
                self.bury(delivery, "QueueFull");
                continue;
            }
            self.grid.deliveries.insert(number, delivery);
            self.attempt_grid_event(number);
        }
    }

    fn shaped(&self, schema: Schema, id: &str, kind: &str, subject: &str, data: &Value) -> Value {
        let time = seven_digits(self.now.wall, "Z");
        let topic = &self.config.topic;
        match schema {
            Schema::EventGrid => json!({
                "id": id, "topic": topic, "subject": subject, "data": data, "eventType": kind,
                "dataVersion": "1.0", "metadataVersion": "1", "eventTime": time,
            }),
            Schema::CloudEvents => json!({
                "id": id, "source": topic, "subject": subject, "data": data, "type": kind,
                "specversion": "1.0", "time": time,
            }),
        }
    }

    pub(super) fn grid_headers(&self, wanted: &Subscription, kind: &str) -> Vec<(String, String)> {
        let name = if self.config.behaviour.grid.capital_names {
            wanted.name.to_uppercase()
        } else {
            wanted.name.clone()
        };
        let content_type = match wanted.schema {
            Schema::EventGrid => "application/json; charset=utf-8",
            Schema::CloudEvents => "application/cloudevents+json; charset=utf-8",
        };
        let own = [
            ("content-type", content_type),
            ("aeg-event-type", kind),
            ("aeg-subscription-name", &name),
        ];
        let own = own.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let given = wanted.headers.iter().map(|(n, value)| (n.to_lowercase(), value.clone()));
        own.chain(given).collect()
    }

    /// Posts an event when its subscription is still there and its time to live is not over.
    pub(super) fn attempt_grid_event(&mut self, number: u64) {
        let grid = &self.config.behaviour.grid;
        let (time_to_live, deadline) = (grid.time_to_live, grid.deadline);
        let Some(delivery) = self.grid.deliveries.get_mut(&number) else { return };
        if self.now.tick.since(delivery.since) >= time_to_live {
            return self.give_up_event(number, "TimeToLiveExceeded");
        }
        let count = delivery.attempts;
        delivery.attempts += 1;
        delivery.last_attempt = self.now.wall;
        let (id, schema) = (delivery.id.clone(), delivery.schema);
        let (body, metadata) = match schema {
            Schema::EventGrid => (json!([delivery.event]).to_string(), "1"),
            Schema::CloudEvents => (delivery.event.to_string(), "1.0"),
        };
        let name = delivery.subscription.clone();
        let Some(wanted) = self.grid.get(&name).map(|found| found.wanted.clone()) else {
            self.grid.deliveries.remove(&number);
            return;
        };
        let mut headers = self.grid_headers(&wanted, "Notification");
        headers.push(("aeg-delivery-count".to_owned(), count.to_string()));
        headers.push(("aeg-metadata-version".to_owned(), metadata.to_owned()));
        headers.push(("aeg-output-event-id".to_owned(), id));
        if schema == Schema::EventGrid {
            headers.push(("aeg-data-version".to_owned(), "1.0".to_owned()));
        }
        self.send(Job::GridEvent(number), |job| Effect {
            job,
            method: "POST",
            url: wanted.endpoint,
            headers,
            body,
            signed: false,
            deadline,
        });
    }

    pub(super) fn grid_event_finished(&mut self, number: u64, outcome: &Outcome) {
        let max_attempts = self.config.behaviour.grid.max_attempts;
        let Some(delivery) = self.grid.deliveries.get_mut(&number) else { return };
        match verdict(outcome, delivery.attempts) {
            Verdict::Delivered => {
                self.grid.deliveries.remove(&number);
            }
            Verdict::Never(word) => {
                delivery.last_outcome = word;
                self.give_up_event(number, "UndeliverableDueToClientError");
            }
            Verdict::After(pause, word) => {
                delivery.last_outcome = word;
                if delivery.attempts >= max_attempts {
                    return self.give_up_event(number, "MaxDeliveryAttemptsExceeded");
                }
                self.later(pause, Due::GridEvent(number));
            }
        }
    }

    fn give_up_event(&mut self, number: u64, reason: &'static str) {
        if let Some(delivery) = self.grid.deliveries.remove(&number) {
            self.bury(delivery, reason);
        }
    }

    fn bury(&mut self, delivery: GridDelivery, reason: &'static str) {
        tracing::warn!(subscription = %delivery.subscription, reason, outcome = delivery.last_outcome, "an event grid event was dead-lettered; see GET /emulator/eventgrid/dead-letters");
        let published = seven_digits(delivery.published, "Z");
        let last = seven_digits(delivery.last_attempt, "Z");
        let mut letter = delivery.event;
        let names: [&str; 5] = match delivery.schema {
            Schema::EventGrid => [
                "deadLetterReason",
                "deliveryAttempts",
                "lastDeliveryOutcome",
                "publishTime",
                "lastDeliveryAttemptTime",
            ],
            Schema::CloudEvents => [
                "deadletterreason",
                "deliveryattempts",
                "lastdeliveryoutcome",
                "publishtime",
                "lastdeliveryattempttime",
            ],
        };
        letter[names[0]] = reason.into();
        letter[names[1]] = delivery.attempts.into();
        letter[names[2]] = delivery.last_outcome.into();
        letter[names[3]] = published.into();
        letter[names[4]] = last.into();
        if self.grid.dead_letters.len() >= self.config.limits.dead_letters {
            self.grid.dead_letters.pop_front();
        }
        let subscription = delivery.subscription;
        self.grid.dead_letters.push_back(json!({ "subscription": subscription, "event": letter }));
    }

    /// The dead letters, oldest first.
    pub fn dead_letters(&self) -> Value {
        json!({ "value": self.grid.dead_letters })
    }
}

/// Event Grid's retry table for web hooks.
fn verdict(outcome: &Outcome, attempts: u32) -> Verdict {
    const STEPS: [u64; 9] = [10, 30, 60, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600];
    let step = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let step = STEPS.get(step).copied().unwrap_or(12 * 3600);
    let after = |least: u64, word| Verdict::After(Duration::from_secs(step.max(least)), word);
    match outcome {
        Outcome::Answered { status: 200..=204, .. } => Verdict::Delivered,
        Outcome::Answered { status: 400, .. } => Verdict::Never("BadRequest"),
        Outcome::Answered { status: 401, .. } => Verdict::Never("Unauthorized"),
        Outcome::Answered { status: 403, .. } => Verdict::Never("Forbidden"),
        Outcome::Answered { status: 413, .. } => Verdict::Never("PayloadTooLarge"),
        Outcome::Answered { status: 404, .. } => after(300, "NotFound"),
        Outcome::Answered { status: 408, .. } => after(120, "TimedOut"),
        Outcome::Answered { status: 503, .. } => after(30, "Busy"),
        Outcome::Answered { .. } => after(10, "GenericError"),
        Outcome::TimedOut => after(10, "TimedOut"),
        Outcome::Unreachable => after(10, "SocketError"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, attempts: u32, expected: Verdict) {
        let (headers, body) = (Default::default(), bytes::Bytes::new());
        let outcome = Outcome::Answered { status, headers, body, length: None };
        assert_eq!(verdict(&outcome, attempts), expected);
    }

    #[test]
    fn the_retry_table_is_event_grids() {
        let seconds = Duration::from_secs;
        for status in 200..=204 {
            check(status, 1, Verdict::Delivered);
        }
        check(400, 1, Verdict::Never("BadRequest"));
        check(401, 1, Verdict::Never("Unauthorized"));
        check(500, 1, Verdict::After(seconds(10), "GenericError"));
        check(205, 2, Verdict::After(seconds(30), "GenericError"));
        check(503, 1, Verdict::After(seconds(30), "Busy"));
        check(503, 3, Verdict::After(seconds(60), "Busy"));
        check(404, 1, Verdict::After(seconds(300), "NotFound"));
        check(408, 1, Verdict::After(seconds(120), "TimedOut"));
        check(500, 30, Verdict::After(seconds(12 * 3600), "GenericError"));
    }
}
