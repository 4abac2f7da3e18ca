//! Answers to repeatable requests, kept so that a request that comes again counts once.

use std::collections::{BTreeMap, VecDeque};

use super::{Refusal, Reply, World};
use crate::pure::time::Tick;

/// Names a repeatable request: its `Repeatability-Request-ID`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RepeatKey(pub uuid::Uuid);

/// What makes two requests the same: operation, path and body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Method and path.
    pub target: String,
    /// Hash of the body.
    pub body: String,
}

/// What is known of a repeatable request.
pub enum Repetition {
    /// It never came.
    New,
    /// It came, and this was the answer.
    Again(Reply),
}

/// The answers, oldest first.
#[derive(Default)]
pub(super) struct Repeats {
    answers: BTreeMap<RepeatKey, (Remembered, Reply)>,
    order: VecDeque<(Tick, RepeatKey)>,
}

impl World {
    /// Looks a repeatable request up.
    ///
    /// # Errors
    /// [`Refusal`] when its id was used for another request.
    pub fn repetition(
        &mut self,
        key: &RepeatKey,
        request: &Remembered,
    ) -> Result<Repetition, Refusal> {
        self.forget_old_answers();
        match self.repeats.answers.get(key) {
            None => Ok(Repetition::New),
            Some((known, reply))
                if known == request || !self.config.behaviour.reused_id_refused =>
            {
                Ok(Repetition::Again(reply.clone()))
            }
            Some(_) => Err(Refusal::new(
                400,
                "RepeatabilityRequestIdReused",
                "The Repeatability-Request-ID was used for another request; make a new one.",
            )),
        }
    }

    /// Remembers the answer to a repeatable request.
    pub fn remember(&mut self, key: RepeatKey, request: Remembered, reply: &Reply) {
        self.repeats.order.push_back((self.now.tick, key.clone()));
        self.repeats.answers.insert(key, (request, reply.clone()));
        self.forget_old_answers();
    }

    fn forget_old_answers(&mut self) {
        let window = self.config.behaviour.repeatability_window;
        while let Some((at, key)) = self.repeats.order.front() {
            let full = self.repeats.order.len() > self.config.limits.repeatability;
            if !full && self.now.tick.since(*at) < window {
                return;
            }
            self.repeats.answers.remove(key);
            self.repeats.order.pop_front();
        }
    }
}
