//! The waits that stand in one call, indexed by event type and operationContext (rule C5).
//!
//! The index is a sorted list of hashes: as fast as a map for the few waits that a call has, still
//! logarithmic for a thousand, and a fraction of a map's memory for one. A hash only nominates a
//! waiter; its real conditions decide.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::event::{Heard, WaiterId};
use super::tight::Tight;
use super::wants::Wants;
use crate::pure::time::{Position, Tick};
use crate::wire::events::EventKind;
use crate::wire::identifiers::OperationContext;

/// How many near misses a wait reports at most: the latest.
pub(super) const NEAR_MISSES: usize = 8;

/// One standing wait.
#[derive(Clone, Debug)]
pub(super) struct Waiter {
    pub id: WaiterId,
    pub wants: Wants,
    pub since: Tick,
    pub until: Tick,
    /// Events that passed everything but the filter, the latest few, in order of position.
    pub filtered: Vec<Position>,
}

impl Waiter {
    pub fn new(id: WaiterId, wants: Wants, since: Tick, until: Tick) -> Self {
        Self { id, wants, since, until, filtered: Vec::new() }
    }
}

/// All standing waits of a call.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiters {
    /// In order of registration, which is the order in which they are told.
    standing: Vec<Waiter>,
    /// Sorted by hash.
    index: Vec<(u64, WaiterId)>,
    /// Deadlines, earliest first. May hold stale ones; [`Waiters::settle`] drops those.
    deadlines: BinaryHeap<Reverse<(Tick, WaiterId)>>,
}

impl Waiters {
    pub fn len(&self) -> usize {
        self.standing.len()
    }

    pub fn is_empty(&self) -> bool {
        self.standing.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Waiter> {
        self.standing.iter()
    }

    pub fn add(&mut self, waiter: Waiter) {
        for hash in index_hashes(&waiter.wants) {
            let at = self.index.partition_point(|entry| *entry < (hash, waiter.id));
            self.index.insert_tight(at, (hash, waiter.id));
        }
        self.schedule(waiter.until, waiter.id);
        let at = self.standing.partition_point(|other| other.id < waiter.id);
        self.standing.insert_tight(at, waiter);
    }

    pub fn remove(&mut self, id: WaiterId) -> Option<Waiter> {
        let at = self.place(id)?;
        let waiter = self.standing.remove(at);
        for hash in index_hashes(&waiter.wants) {
            if let Ok(at) = self.index.binary_search(&(hash, id)) {
                self.index.remove(at);
            }
        }
        if self.standing.is_empty() {
            *self = Self::default();
        }
        Some(waiter)
    }

    /// Gives a wait another end. Nothing happens when it is over already.
    pub fn retime(&mut self, id: WaiterId, until: impl FnOnce(&Waiter) -> Tick) {
        if let Some(at) = self.place(id) {
            let until = until(&self.standing[at]);
            self.standing[at].until = until;
            self.schedule(until, id);
        }
    }

    /// Takes out everybody who wants this event, in order of registration.
    pub fn take_matching(&mut self, heard: &Heard) -> Vec<WaiterId> {
        if self.standing.is_empty() {
            return Vec::new();
        }
        let mut matched = Vec::new();
        for hash in event_hashes(&heard.event.kind, heard.event.context.as_ref()) {
            let from = self.index.partition_point(|(other, _)| *other < hash);
            for (_, id) in self.index[from..].iter().take_while(|(other, _)| *other == hash) {
                matched.push(*id);
            }
        }
        matched.sort_unstable();
        matched.dedup();
        matched.retain(|id| self.really_wants(*id, heard));
        for id in &matched {
            self.remove(*id);
        }
        matched
    }

    fn really_wants(&mut self, id: WaiterId, heard: &Heard) -> bool {
        let Some(at) = self.place(id) else { return false };
        let waiter = &mut self.standing[at];
        if !waiter.wants.suits(&heard.event.kind, heard.event.context.as_ref()) {
            return false;
        }
        let passes = waiter.wants.passes_filter(heard);
        if !passes && let Err(place) = waiter.filtered.binary_search(&heard.position) {
            waiter.filtered.insert(place, heard.position);
            if waiter.filtered.len() > NEAR_MISSES {
                waiter.filtered.remove(0);
            }
        }
        passes
    }

    /// Takes out everybody whose time is up at `now`, earliest deadline first.
    pub fn take_expired(&mut self, now: Tick) -> Vec<Waiter> {
        let mut expired = Vec::new();
        while let Some(Reverse((at, id))) = self.deadlines.peek().copied() {
            if at > now {
                break;
            }
            self.deadlines.pop();
            if self.place(id).is_some_and(|place| self.standing[place].until == at) {
                expired.extend(self.remove(id));
            }
        }
        expired
    }

    /// Takes out everybody, in order of registration.
    pub fn take_all(&mut self) -> Vec<Waiter> {
        std::mem::take(self).standing
    }

    /// The earliest deadline.
    pub fn deadline(&self) -> Option<Tick> {
        self.deadlines.peek().map(|Reverse((at, _))| *at)
    }

    /// Drops stale deadlines, so that [`Waiters::deadline`] wakes nobody for nothing and the list
    /// stays within twice the number of waits.
    pub fn settle(&mut self) {
        while let Some(Reverse((at, id))) = self.deadlines.peek().copied() {
            if self.place(id).is_some_and(|place| self.standing[place].until == at) {
                break;
            }
            self.deadlines.pop();
        }
        if self.deadlines.len() > 2 * self.standing.len() + 8 {
            self.deadlines =
                self.standing.iter().map(|waiter| Reverse((waiter.until, waiter.id))).collect();
        }
    }

    /// Whether nothing is held here, not even room.
    #[cfg(test)]
    pub fn is_bare(&self) -> bool {
        self.standing.capacity() + self.index.capacity() + self.deadlines.capacity() == 0
    }

    /// How many waits, places in the index and deadlines are held.
    #[cfg(test)]
    pub fn held(&self) -> [usize; 3] {
        [self.standing.len(), self.index.len(), self.deadlines.len()]
    }

    fn schedule(&mut self, until: Tick, id: WaiterId) {
        if self.deadlines.capacity() == 0 {
            self.deadlines.reserve_exact(1);
        }
        self.deadlines.push(Reverse((until, id)));
    }

    fn place(&self, id: WaiterId) -> Option<usize> {
        self.standing.binary_search_by_key(&id, |waiter| waiter.id).ok()
    }
}

/// Under which hashes a wait stands in the index: one for each of its types, or one for "any".
fn index_hashes(wants: &Wants) -> impl Iterator<Item = u64> {
    let context = context_hash(wants.context.as_ref());
    let any = wants.kinds.is_any().then(|| mix(ANY_KIND, context));
    wants.kinds.iter().map(move |kind| mix(kind_hash(kind), context)).chain(any)
}

/// Under which hashes the waits for an event can stand: its type or any, its context or none.
fn event_hashes(kind: &EventKind, context: Option<&OperationContext>) -> impl Iterator<Item = u64> {
    let none = context_hash(None);
    let kind = kind_hash(kind);
    let given = context.map(|context| context_hash(Some(context)));
    let with_context =
        given.into_iter().flat_map(move |context| [mix(kind, context), mix(ANY_KIND, context)]);
    [mix(kind, none), mix(ANY_KIND, none)].into_iter().chain(with_context)
}

const ANY_KIND: u64 = u64::MAX;

fn kind_hash(kind: &EventKind) -> u64 {
    match kind.index() {
        Some(place) => place as u64,
        None => hash(kind.short_name()),
    }
}

fn context_hash(context: Option<&OperationContext>) -> u64 {
    context.map_or(0, |context| hash(context.as_str()) | 1)
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Spreads two numbers over 64 bits (the constant is 2^64 divided by the golden ratio).
fn mix(kind: u64, context: u64) -> u64 {
    (kind.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ context).rotate_left(23)
}
