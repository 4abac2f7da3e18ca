//! Ringing calls over a restart: their lines in the journal, folded in order (rules I4, I5, I9, I12).
//!
//! Owns the way from lines to what the routing knew when it stopped: which calls were decided, which
//! were sent where, the records, and the calls of which nothing tells that they were settled. Time is
//! that of the lines, seen from the present. Does nothing about anything: it tells what is to be done.

use std::collections::{BTreeMap, HashMap, VecDeque};

use jiff::Timestamp;

use super::memory::keys_of;
use super::{
    Action, AttemptResult, CallIds, DecisionRecord, Fate, Guard, GuardLimits, Incoming, Leg,
    Memory, MemoryLimits, Moment, Notice, Party, Recent, Records, Remembered,
};
use crate::pure::notes::{Settled, Trying};
use crate::pure::time::{Position, Tick};
use crate::wire::events::EventKey;
use crate::wire::events::grid::{GridEvent, GridNews, IncomingCall};

/// How much is remembered.
#[derive(Clone, Copy, Debug)]
pub struct ReplayLimits {
    /// The memory of decided calls.
    pub memory: MemoryLimits,
    /// The loop guard.
    pub guard: GuardLimits,
    /// Decisions that are kept for people.
    pub records: usize,
    /// How long a telephone rings.
    pub ring_time: std::time::Duration,
}

/// What the routing knew when it stopped.
#[derive(Debug)]
pub struct Recovered {
    /// Which calls were decided, and which were sent where.
    pub remembered: Remembered,
    /// The last decisions.
    pub records: Records,
    /// Where the events stand that are still remembered.
    pub recent: Recent,
    /// Calls that were accepted and not settled, in the order in which they rang.
    pub unsettled: Vec<Unsettled>,
    /// Lines that could not be read. There are none in a whole file of this version.
    pub unreadable: usize,
}

/// A ringing call that was accepted, and of which nothing tells what became of it.
#[derive(Clone, Debug)]
pub struct Unsettled {
    /// Where its event stands.
    pub position: Position,
    /// The call.
    pub call: Box<IncomingCall>,
    /// Identity of the event.
    pub event: EventKey,
    /// When the event says that it happened, RFC 3339.
    pub event_time: Option<String>,
    /// When we received it.
    pub received: Tick,
    /// The last step that was about to be sent; `None` when the call may not even have been decided.
    pub tried: Option<Trying>,
}

impl Unsettled {
    /// As it is decided on.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming {
            call: &self.call,
            event: self.event,
            event_time: self.event_time.as_deref(),
            received: self.received,
        }
    }

    /// The redirect that was about to be sent.
    fn redirected_to(&self) -> Option<(usize, &Party)> {
        let planned = self.tried.as_ref()?.plan.first()?;
        match &planned.action {
            Action::Redirect { target } => Some((planned.step, target)),
            Action::Answer(_) | Action::Reject { .. } | Action::Ignore => None,
        }
    }
}

/// The fold. Lines are given in the order of the journal, each with the time that stands on it.
#[derive(Debug)]
pub struct Replay {
    now: Moment,
    remembered: Remembered,
    records: Records,
    recent: Recent,
    known: Known,
    unsettled: BTreeMap<Position, Unsettled>,
    /// By number of the decision.
    decided: BTreeMap<u64, Position>,
    /// Joined at the end: a notice may stand before the line that tells of the decision.
    notices: VecDeque<(Position, CallIds, Notice)>,
    limits: ReplayLimits,
    unreadable: usize,
}

impl Replay {
    /// Nothing was read yet. `now` is the present, from which past times are counted.
    pub fn new(limits: ReplayLimits, now: Moment) -> Self {
        Self {
            now,
            remembered: Remembered {
                memory: Memory::new(limits.memory),
                guard: Guard::new(limits.guard),
                ring_time: limits.ring_time,
            },
            records: Records::new(limits.records),
            recent: Recent::new(limits.memory),
            // Three names for each call, two entries of the memory.
            known: Known::new(limits.memory.entries.saturating_mul(2)),
            unsettled: BTreeMap::new(),
            decided: BTreeMap::new(),
            notices: VecDeque::new(),
            limits,
            unreadable: 0,
        }
    }

    /// An Event Grid event about calls.
    pub fn rang(&mut self, position: Position, at: Timestamp, text: &str) {
        let Ok(event) = GridEvent::parse(text) else { return self.unreadable += 1 };
        let received = self.tick_of(at);
        self.recent.came(received, position);
        if let Some((ids, notice)) = Notice::of(&event, at) {
            self.notices.push_back((position, ids, notice));
            if self.notices.len() > self.limits.memory.entries {
                self.notices.pop_front();
            }
        }
        let GridEvent { key: event, time: event_time, news, .. } = event;
        if let GridNews::IncomingCall(call) = news {
            let tried = None;
            self.call_rang(Unsettled { position, call, event, event_time, received, tried });
        }
    }

    /// A call was accepted; or again, when it is in the memory.
    fn call_rang(&mut self, rang: Unsettled) {
        let context = &rang.call.incoming_call_context;
        let keys = keys_of(rang.event, context).map(|key| Name::Key(key.0));
        let names = [keys[0], keys[1], Name::Place(rang.position)];
        if self.remembered.memory.repeats(rang.received, rang.event, context) {
            if let Some(first) = keys.iter().find_map(|name| self.known.get(*name)) {
                names.into_iter().for_each(|name| self.known.keep(name, first));
            }
            return;
        }
        names.into_iter().for_each(|name| self.known.keep(name, rang.position));
        self.unsettled.insert(rang.position, rang);
        if self.unsettled.len() > self.limits.memory.entries {
            self.unsettled.pop_first();
        }
    }

    /// A step was about to be sent.
    pub fn trying(&mut self, at: Timestamp, text: &str) {
        let Ok(note) = serde_json::from_str::<Trying>(text) else { return self.unreadable += 1 };
        let now = self.tick_of(at);
        let first = self.first_of(note.rang);
        self.restore(note.rang, note.record.clone());
        self.take_back(first, note.record.as_ref());
        let Some(unsettled) = self.unsettled.get_mut(&first) else { return };
        unsettled.tried = Some(note);
        if let Some((_, target)) = unsettled.redirected_to() {
            self.remembered.guard.follow(now, &Leg::of(&unsettled.call), target);
        }
    }

    /// It was settled what became of a call.
    pub fn settled(&mut self, text: &str) {
        let Ok(note) = serde_json::from_str::<Settled>(text) else { return self.unreadable += 1 };
        // A repeat settles nothing but itself.
        if note.fate != Fate::Repeated {
            let first = self.first_of(note.rang);
            self.take_back(first, note.record.as_ref());
            self.unsettled.remove(&first);
        }
        self.restore(note.rang, note.record);
    }

    /// What the routing knew when the last line was written.
    pub fn finish(mut self) -> Recovered {
        let decided = &self.decided;
        for (heard, ids, notice) in self.notices {
            let before =
                |record: &DecisionRecord| decided.get(&record.id).is_some_and(|rang| *rang < heard);
            self.records.note(&ids, notice, before);
        }
        Recovered {
            remembered: self.remembered,
            records: self.records,
            recent: self.recent,
            unsettled: self.unsettled.into_values().collect(),
            unreadable: self.unreadable,
        }
    }

    /// The event that first told of the call of which that one told.
    fn first_of(&self, rang: Position) -> Position {
        self.known.get(Name::Place(rang)).unwrap_or(rang)
    }

    /// A redirect that certainly was not made. Only what comes after it tells.
    fn take_back(&mut self, first: Position, record: Option<&DecisionRecord>) {
        let Some(unsettled) = self.unsettled.get(&first) else { return };
        let Some((step, target)) = unsettled.redirected_to() else { return };
        let attempts = record.map(|record| record.attempts.as_slice()).unwrap_or_default();
        let attempt = attempts.iter().find(|attempt| attempt.step == step);
        let undone = attempt
            .is_some_and(|it| matches!(it.result, AttemptResult::Failed { undone: true, .. }));
        if undone {
            self.remembered.guard.take_back(&Leg::of(&unsettled.call), target);
        }
    }

    fn restore(&mut self, rang: Position, record: Option<DecisionRecord>) {
        let Some(record) = record else { return };
        self.decided.insert(record.id, rang);
        if self.decided.len() > self.limits.records.max(1) {
            self.decided.pop_first();
        }
        self.records.restore(record);
    }

    /// When that was, seen from the present. Times in the future count as now.
    fn tick_of(&self, at: Timestamp) -> Tick {
        let ago = self.now.wall.duration_since(at).as_millis();
        Tick(self.now.tick.0.saturating_sub(u64::try_from(ago).unwrap_or(0)))
    }
}

/// Under what a ringing call is known: the keys of its events, and where they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Name {
    Key(u128),
    Place(Position),
}

/// The names of calls, and the event that first told of each. The oldest leave first.
#[derive(Debug)]
struct Known {
    limit: usize,
    first: HashMap<Name, Position>,
    order: VecDeque<Name>,
}

impl Known {
    fn new(limit: usize) -> Self {
        Self { limit, first: HashMap::new(), order: VecDeque::new() }
    }

    fn get(&self, name: Name) -> Option<Position> {
        self.first.get(&name).copied()
    }

    fn keep(&mut self, name: Name, first: Position) {
        if self.first.insert(name, first).is_none() {
            self.order.push_back(name);
        }
        while self.order.len() > self.limit {
            if let Some(name) = self.order.pop_front() {
                self.first.remove(&name);
            }
        }
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
