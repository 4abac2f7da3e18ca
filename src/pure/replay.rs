//! Calls made again from what was written down: snapshots, and the lines after them.
//!
//! Owns the order in which a past is lived through again. It goes through the very [`Call::step`] that
//! lived through it first, at the times of then; so what was due while nobody was there is done, too.

use std::collections::HashMap;
use std::time::Duration;

use super::call::{BadSnapshot, Call, Cause, Heard, Identity, Input, Limits, Phase};
use super::notes::{OperationNote, Remark};
use super::time::{Moment, Position, Tick};
use crate::wire::identifiers::CallConnectionId;

/// A call that was made again.
pub struct Restored {
    /// Which.
    pub id: CallConnectionId,
    /// The call as it is now.
    pub call: Box<Call>,
    /// Whether a snapshot of it is kept.
    pub kept: bool,
    /// Whether it has changed since that snapshot.
    pub changed: bool,
}

/// What a replay leads to.
#[derive(Default)]
pub struct Replayed {
    /// The calls that live, or ended so lately that they still answer; in the order of their opening.
    pub calls: Vec<Restored>,
    /// Calls with a snapshot that are no more.
    pub gone: Vec<CallConnectionId>,
    /// Events that were lived through again.
    pub events: u64,
}

struct Reviving {
    call: Box<Call>,
    kept: bool,
    changed: bool,
}

/// Takes what the journal finds, in the order in which it finds it.
pub struct Replay {
    now: Moment,
    limits: Limits,
    calls: HashMap<CallConnectionId, Reviving>,
    events: u64,
}

impl Replay {
    /// Nothing has been found yet. `now` ties the calendar to the ticks of this process.
    pub fn new(limits: &Limits, now: Moment) -> Self {
        // Nobody is asked about the past.
        let never = Duration::MAX;
        let limits = Limits { verify_silent: never, verify_max_age: never, ..limits.clone() };
        Self { now, limits, calls: HashMap::new(), events: 0 }
    }

    /// A call as it was written down.
    ///
    /// # Errors
    /// [`BadSnapshot`] when the text is not one.
    pub fn snapshot(&mut self, id: &str, text: &str) -> Result<(), BadSnapshot> {
        let call = Box::new(Call::from_snapshot(text, self.now, &self.limits)?);
        self.calls.insert(id.into(), Reviving { call, kept: true, changed: false });
        Ok(())
    }

    /// An event, and what became of it. Of one that the snapshot knows already, only that it was taken
    /// since.
    pub fn heard(&mut self, heard: Heard, remark: Remark) {
        let at = self.now.tick_of(heard.received_ms);
        let id = heard.event.call.clone();
        self.events += 1;
        if let Some(found) = self.calls.get_mut(&id)
            && found.call.timeline().newest() >= heard.position
        {
            found.changed |= remark.was_taken() && found.call.forget_taken(heard.position);
            return;
        }
        self.step(&id, at, Input::Replay(heard, remark));
    }

    /// The application made or answered a call.
    pub fn claimed(&mut self, id: &CallConnectionId, identity: Identity, at_ms: i64) {
        self.step(id, self.now.tick_of(at_ms), Input::Claim(identity));
    }

    /// Something was asked of a call. `place` is where that stands.
    pub fn operation(&mut self, note: OperationNote, place: Position, at_ms: i64) {
        let OperationNote { call, deed } = note;
        self.step(&call, self.now.tick_of(at_ms), Input::Operation { place, at_ms, deed });
    }

    /// A call ended without an event.
    pub fn closed(&mut self, id: &CallConnectionId, cause: Cause, at_ms: i64) {
        if self.calls.contains_key(id) {
            self.step(id, self.now.tick_of(at_ms), Input::Close(cause));
        }
    }

    fn step(&mut self, id: &CallConnectionId, at: Tick, input: Input) {
        let limits = &self.limits;
        let found = self.calls.entry(id.clone()).or_insert_with(|| Reviving {
            call: Box::new(Call::open(at)),
            kept: false,
            changed: true,
        });
        // Had it been given up in between, a line would say so.
        found.call.attend(at);
        live_through(&mut found.call, at, limits);
        if found.call.grace_ends(limits).is_some_and(|end| end <= at) {
            // It was forgotten then, and an event opened it anew.
            *found.call = Call::open(at);
        }
        found.call.step(at, input, limits);
        found.changed = true;
    }

    /// The calls as they are now.
    pub fn finish(self) -> Replayed {
        let (now, limits) = (self.now.tick, self.limits);
        let mut replayed = Replayed { events: self.events, ..Replayed::default() };
        for (id, Reviving { mut call, kept, changed }) in self.calls {
            if call.phase() != Phase::Failed {
                // Whether a silent call still lives is asked, not guessed: the waits that may have
                // stood for it are not in the journal.
                call.attend(now);
            }
            live_through(&mut call, now, &limits);
            if call.grace_ends(&limits).is_some_and(|end| end <= now) {
                if kept {
                    replayed.gone.push(id);
                }
                continue;
            }
            call.doubt(now);
            replayed.calls.push(Restored { id, call, kept, changed });
        }
        replayed.calls.sort_by(|a, b| (a.call.opened(), &a.id).cmp(&(b.call.opened(), &b.id)));
        replayed
    }
}

/// Does everything at its own time that was due up to `until`.
fn live_through(call: &mut Call, until: Tick, limits: &Limits) {
    while let Some(due) = call.deadline(limits).filter(|due| *due <= until) {
        call.step(due, Input::Woke, limits);
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
