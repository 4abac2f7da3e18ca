//! What became of every Event Grid event, subscription by subscription: so that whoever waits for one
//! finds out why it did not come.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use super::trace::What;
use super::{Moment, Outcome, World};

/// The record, for `GET /emulator/eventgrid/deliveries`.
#[derive(Default)]
pub(super) struct GridRecord {
    lines: VecDeque<Line>,
    count: u64,
}

#[derive(Serialize)]
struct Line {
    sequence: u64,
    at: Timestamp,
    #[serde(flatten)]
    note: GridNote,
}

/// One line of the record, before it gets its place.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GridNote {
    subscription: Option<String>,
    event_id: String,
    #[serde(rename = "type")]
    kind: String,
    /// How many attempts had been made, this one included.
    attempt: u32,
    /// HTTP status of the answer.
    status: Option<u16>,
    /// `delivered`, `refused`, `timedOut`, `unreachable`, `filtered`, …
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<Timestamp>,
}

impl GridNote {
    pub fn new(subscription: &str, id: &str, kind: &str, outcome: &'static str) -> Self {
        Self {
            subscription: (!subscription.is_empty()).then(|| subscription.to_owned()),
            event_id: id.to_owned(),
            kind: kind.to_owned(),
            attempt: 0,
            status: None,
            outcome,
            reason: None,
            next_attempt_at: None,
        }
    }

    pub fn attempt(self, attempt: u32) -> Self {
        Self { attempt, ..self }
    }

    pub fn because(self, reason: impl ToString) -> Self {
        Self { reason: Some(reason.to_string()), ..self }
    }

    /// With the status of an answer, when there was one.
    pub fn answered(self, outcome: &Outcome) -> Self {
        let status = match outcome {
            Outcome::Answered { status, .. } => Some(*status),
            Outcome::TimedOut | Outcome::Unreachable => None,
        };
        Self { status, ..self }
    }

    pub fn again_at(self, now: Moment, pause: Duration) -> Self {
        let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
        Self { next_attempt_at: now.wall.saturating_add(pause).ok(), ..self }
    }
}

impl World {
    pub(super) fn note_grid(&mut self, note: GridNote) {
        let entry = json!({
            "subscription": note.subscription, "type": note.kind, "attempt": note.attempt,
            "outcome": note.outcome, "status": note.status,
        });
        self.trace(What::EventGrid, entry, None);
        let record = &mut self.grid.record;
        record.count += 1;
        if record.lines.len() >= self.config.limits.grid_record {
            record.lines.pop_front();
        }
        record.lines.push_back(Line { sequence: record.count, at: self.now.wall, note });
    }

    /// What became of Event Grid's events, oldest first.
    pub fn grid_deliveries(&self) -> Value {
        json!({ "value": self.grid.record.lines })
    }
}
