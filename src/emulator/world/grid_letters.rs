//! Dead letters: events that could not be delivered, and sending them once more.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::events::seven_digits;
use super::grid_delivery::GridDelivery;
use super::grid_publish::Shaped;
use super::{Due, Refusal, World};
use crate::emulator::config::Schema;

/// All dead letters, oldest first.
#[derive(Default)]
pub(super) struct Letters {
    kept: VecDeque<DeadLetter>,
    count: u64,
    /// How many are still to be written.
    waiting: usize,
}

/// An event that was given up.
pub(super) struct DeadLetter {
    id: u64,
    subscription: String,
    shaped: Arc<Shaped>,
    reason: &'static str,
    attempts: u32,
    last_outcome: &'static str,
    published: Timestamp,
    last_attempt: Timestamp,
}

impl DeadLetter {
    fn seen(&self) -> Value {
        let names: [&str; 5] = match self.shaped.schema {
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
        let values = [
            json!(self.reason),
            json!(self.attempts),
            json!(self.last_outcome),
            json!(seven_digits(self.published, "Z")),
            json!(seven_digits(self.last_attempt, "Z")),
        ];
        let mut event = self.shaped.event.clone();
        for (name, value) in names.into_iter().zip(values) {
            event[name] = value;
        }
        json!({ "id": self.id, "subscription": self.subscription, "event": event })
    }
}

impl World {
    /// Gives an event up: to the dead letters, or to nobody when the subscription does not want that.
    pub(super) fn bury(&mut self, delivery: GridDelivery, reason: &'static str) {
        let wanted = self.grid.active(&delivery.subscription);
        if !wanted.is_none_or(|wanted| wanted.dead_letter) {
            tracing::warn!(subscription = %delivery.subscription, reason, outcome = delivery.last_outcome, "an event grid event was dropped; create the subscription with deadLetter to keep such events");
            return self.note_grid(delivery.note("dropped").because(reason));
        }
        tracing::warn!(subscription = %delivery.subscription, reason, outcome = delivery.last_outcome, "an event grid event was dead-lettered; see GET /emulator/eventgrid/dead-letters");
        self.note_grid(delivery.note("deadLettered").because(reason));
        self.grid.letters.count += 1;
        let letter = DeadLetter {
            id: self.grid.letters.count,
            subscription: delivery.subscription,
            shaped: delivery.shaped,
            reason,
            attempts: delivery.attempts,
            last_outcome: delivery.last_outcome,
            published: delivery.published,
            last_attempt: delivery.last_attempt,
        };
        let delay = self.config.behaviour.grid.dead_letter_delay;
        let room = self.grid.letters.waiting < self.config.limits.dead_letters;
        if delay > Duration::ZERO && room {
            self.grid.letters.waiting += 1;
            self.later(delay, Due::DeadLetter(Box::new(letter)));
        } else {
            self.keep_letter(letter);
        }
    }

    /// A dead letter is written at last.
    pub(super) fn letter_due(&mut self, letter: DeadLetter) {
        self.grid.letters.waiting = self.grid.letters.waiting.saturating_sub(1);
        self.keep_letter(letter);
    }

    fn keep_letter(&mut self, letter: DeadLetter) {
        let kept = &mut self.grid.letters.kept;
        if kept.len() >= self.config.limits.dead_letters {
            kept.pop_front();
        }
        kept.push_back(letter);
    }

    /// The dead letters, oldest first.
    pub fn dead_letters(&self) -> Value {
        let letters: Vec<_> = self.grid.letters.kept.iter().map(DeadLetter::seen).collect();
        json!({ "value": letters })
    }

    /// Takes a dead letter out and sends it on its way once more, as if published now.
    ///
    /// # Errors
    /// [`Refusal`] when there is none of that id, its subscription does not deliver, or too many events
    /// are on their way. The letter stays.
    pub fn replay_letter(&mut self, id: u64) -> Result<(), Refusal> {
        let place = self.grid.letters.kept.iter().position(|letter| letter.id == id);
        let found = place.and_then(|place| self.grid.letters.kept.get(place));
        let name = found.map(|letter| letter.subscription.clone()).ok_or_else(|| {
            Refusal::new(
                404,
                "ResourceNotFound",
                "There is no dead letter of that id; GET /emulator/eventgrid/dead-letters lists them.",
            )
        })?;
        if self.grid.active(&name).is_none() {
            return Err(Refusal::new(
                409,
                "SubscriptionNotReady",
                "The subscription of this dead letter is gone or not validated; create it again under the same name.",
            ));
        }
        if self.grid.deliveries.len() >= self.config.limits.grid_events {
            return Err(Refusal::full("Event Grid events in delivery"));
        }
        if let Some(letter) = place.and_then(|place| self.grid.letters.kept.remove(place)) {
            self.start_delivery(GridDelivery::new(&letter.subscription, letter.shaped, self.now));
        }
        Ok(())
    }

    /// Sends all dead letters on their way that can be: how many went, and how many stayed.
    pub fn replay_letters(&mut self) -> Value {
        let ids: Vec<u64> = self.grid.letters.kept.iter().map(|letter| letter.id).collect();
        let went = ids.iter().filter(|id| self.replay_letter(**id).is_ok()).count();
        json!({ "replayed": went, "left": ids.len() - went })
    }
}

impl Letters {
    /// None, but with ids that go on.
    pub fn emptied(&self) -> Self {
        Self { count: self.count, ..Self::default() }
    }
}
