//! What remains of an ended call for a minute (rules C9 and C10).

use super::event::{Ending, Fate, Heard, Identity, WaitEnd};
use super::limits::Limits;
use super::roster::Roster;
use super::seen::Seen;
use super::timeline::{Entry, Timeline};
use super::wants::Wants;
use crate::pure::time::Tick;

/// The record of an ended call. Answers late waiters, takes late events without coming back to life.
pub(super) struct Tombstone {
    pub(super) ended: Tick,
    pub(super) ending: Ending,
    /// The event that ended it, when one did.
    pub(super) terminal: Option<Heard>,
    pub(super) identity: Identity,
    pub(super) timeline: Timeline,
    pub(super) roster: Roster,
    pub(super) seen: Seen,
    pub(super) opened: Tick,
}

impl Tombstone {
    /// Takes an event that came after the end.
    pub fn accept(&mut self, now: Tick, heard: &Heard, limits: &Limits) -> Fate {
        if !self.seen.first_time(heard.event.key, limits.remembered_events) {
            return Fate::Repeated;
        }
        let entry = Entry::of(heard, now, Fate::Late, false);
        self.timeline.note(entry, limits.timeline_events);
        Fate::Late
    }

    /// Answers a late waiter: with the event that ended the call if that is what it waits for.
    ///
    /// # Errors
    /// [`WaitEnd::CallEnded`] for everything else.
    pub fn answer(&self, wants: &Wants) -> Result<Heard, WaitEnd> {
        let terminal = self.terminal.as_ref().filter(|heard| wants.matches(heard));
        terminal.cloned().ok_or_else(|| WaitEnd::CallEnded(self.ending.clone()))
    }

    /// When it is taken away.
    pub fn deadline(&self, limits: &Limits) -> Tick {
        self.ended + limits.tombstone
    }

    /// The other names of the call.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Everything that was heard of it.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }
}
