//! The waits that stand in one call (rule C5).
//!
//! A call has a few waits as a rule: those are simply looked at, one by one, and cost no memory beyond
//! themselves. From [`FEW`] on they are indexed by event type and operationContext, and their deadlines
//! are kept in order, so that a thousand waits cost an event no more than the few that it concerns.
//! The index is a sorted list of hashes; a hash only nominates a waiter, its real conditions decide.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::{DefaultHasher, Hash, Hasher};

use smallvec::SmallVec;

use super::event::{Heard, WaiterId};
use super::tight::Tight;
use super::wants::Wants;
use crate::pure::time::{Position, Tick};
use crate::wire::events::EventKind;
use crate::wire::identifiers::OperationContext;

/// How many near misses a wait reports at most: the latest.
pub(super) const NEAR_MISSES: usize = 8;

/// More waits than this are indexed.
const FEW: usize = 8;

/// One standing wait.
#[derive(Clone, Debug)]
pub(super) struct Waiter {
    pub id: WaiterId,
    pub wants: Wants,
    pub since: Tick,
    pub until: Tick,
    /// Events that passed everything but the filter, the latest few, in order of position. Boxed,
    /// because most waits have no filter.
    filtered: Option<Box<SmallVec<[Position; NEAR_MISSES]>>>,
}

impl Waiter {
    pub fn new(id: WaiterId, wants: Wants, since: Tick, until: Tick) -> Self {
        Self { id, wants, since, until, filtered: None }
    }

    /// Remembers events that only the filter turned away, the latest of them.
    pub fn turned_away(&mut self, at: impl IntoIterator<Item = Position>) {
        for position in at {
            let filtered = self.filtered.get_or_insert_default();
            match (filtered.binary_search(&position), filtered.len() == NEAR_MISSES) {
                (Ok(_), _) | (Err(0), true) => {}
                (Err(place), true) => {
                    filtered.remove(0);
                    filtered.insert(place - 1, position);
                }
                (Err(place), false) => filtered.insert(place, position),
            }
        }
    }

    /// Whether only the filter turned that event away.
    pub fn has_turned_away(&self, position: Position) -> bool {
        self.filtered.as_ref().is_some_and(|filtered| filtered.contains(&position))
    }

    fn really_wants(&mut self, heard: &Heard) -> bool {
        if !self.wants.suits(&heard.event.kind, heard.event.context.as_ref()) {
            return false;
        }
        let passes = self.wants.passes_filter(heard);
        if !passes {
            self.turned_away([heard.position]);
        }
        passes
    }
}

/// All standing waits of a call.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiters {
    /// In order of registration, which is the order in which they are told.
    standing: Vec<Waiter>,
    /// Only while there are many.
    many: Option<Box<Many>>,
}

/// Who was matched: nearly always one.
pub(super) type Matched = SmallVec<[WaiterId; 2]>;

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
        if let Some(many) = &mut self.many {
            many.add(&waiter);
        }
        let at = self.standing.partition_point(|other| other.id < waiter.id);
        self.standing.insert_tight(at, waiter);
        if self.many.is_none() && self.standing.len() > FEW {
            let mut many = Box::<Many>::default();
            self.standing.iter().for_each(|waiter| many.add(waiter));
            self.many = Some(many);
        }
    }

    pub fn remove(&mut self, id: WaiterId) -> Option<Waiter> {
        let waiter = self.standing.remove(self.place(id)?);
        if self.standing.is_empty() {
            *self = Self::default();
        } else if let Some(many) = &mut self.many {
            many.remove(&waiter);
        }
        Some(waiter)
    }

    /// Gives a wait another end. Nothing happens when it is over already.
    pub fn retime(&mut self, id: WaiterId, until: impl FnOnce(&Waiter) -> Tick) {
        let Some(at) = self.place(id) else { return };
        let waiter = &mut self.standing[at];
        waiter.until = until(waiter);
        if let Some(many) = &mut self.many {
            many.deadlines.push(Reverse((waiter.until, id)));
        }
    }

    /// Takes out everybody who wants this event, in order of registration.
    pub fn take_matching(&mut self, heard: &Heard) -> Matched {
        let mut matched = match &self.many {
            None => self.standing.iter().map(|waiter| waiter.id).collect(),
            Some(many) => many.nominate(heard),
        };
        matched.retain(|id| {
            let place = self.standing.binary_search_by_key(id, |waiter| waiter.id);
            place.is_ok_and(|at| self.standing[at].really_wants(heard))
        });
        for id in &matched {
            self.remove(*id);
        }
        matched
    }

    /// Takes out everybody whose time is up at `now`, earliest deadline first.
    pub fn take_expired(&mut self, now: Tick) -> Vec<Waiter> {
        let mut expired = Vec::new();
        self.settle();
        while let Some((_, id)) = self.first().filter(|(at, _)| *at <= now) {
            expired.extend(self.remove(id));
            self.settle();
        }
        expired
    }

    /// The earliest deadline and whose it is.
    fn first(&self) -> Option<(Tick, WaiterId)> {
        match &self.many {
            None => self.standing.iter().map(|waiter| (waiter.until, waiter.id)).min(),
            Some(many) => many.deadlines.peek().map(|Reverse(first)| *first),
        }
    }

    /// Takes out everybody, in order of registration.
    pub fn take_all(&mut self) -> Vec<Waiter> {
        std::mem::take(self).standing
    }

    /// The earliest deadline.
    pub fn deadline(&self) -> Option<Tick> {
        self.first().map(|(at, _)| at)
    }

    /// Drops stale deadlines, so that [`Waiters::deadline`] wakes nobody for nothing and the list
    /// stays within twice the number of waits.
    pub fn settle(&mut self) {
        let Some(many) = &mut self.many else { return };
        while let Some(Reverse((at, id))) = many.deadlines.peek().copied() {
            let place = self.standing.binary_search_by_key(&id, |waiter| waiter.id);
            if place.is_ok_and(|place| self.standing[place].until == at) {
                break;
            }
            many.deadlines.pop();
        }
        if many.deadlines.len() > 2 * self.standing.len() + FEW {
            many.deadlines =
                self.standing.iter().map(|waiter| Reverse((waiter.until, waiter.id))).collect();
        }
    }

    /// Whether nothing is held here, not even room.
    #[cfg(test)]
    pub fn is_bare(&self) -> bool {
        self.standing.capacity() == 0 && self.many.is_none()
    }

    /// How many waits, places in the index and deadlines are held.
    #[cfg(test)]
    pub fn held(&self) -> [usize; 3] {
        let many = self.many.as_ref();
        let index = many.map_or(0, |many| many.index.len());
        [self.standing.len(), index, many.map_or(0, |many| many.deadlines.len())]
    }

    fn place(&self, id: WaiterId) -> Option<usize> {
        self.standing.binary_search_by_key(&id, |waiter| waiter.id).ok()
    }
}

/// What makes many waits as cheap as few.
#[derive(Clone, Debug, Default)]
struct Many {
    /// Sorted by hash.
    index: Vec<(u64, WaiterId)>,
    /// Deadlines, earliest first. May hold stale ones; [`Waiters::settle`] drops those.
    deadlines: BinaryHeap<Reverse<(Tick, WaiterId)>>,
}

impl Many {
    fn add(&mut self, waiter: &Waiter) {
        for hash in index_hashes(&waiter.wants) {
            let at = self.index.partition_point(|entry| *entry < (hash, waiter.id));
            self.index.insert(at, (hash, waiter.id));
        }
        self.deadlines.push(Reverse((waiter.until, waiter.id)));
    }

    fn remove(&mut self, waiter: &Waiter) {
        for hash in index_hashes(&waiter.wants) {
            if let Ok(at) = self.index.binary_search(&(hash, waiter.id)) {
                self.index.remove(at);
            }
        }
    }

    /// Who may want this event, in order of registration.
    fn nominate(&self, heard: &Heard) -> Matched {
        let mut nominated = Matched::new();
        for hash in event_hashes(&heard.event.kind, heard.event.context.as_ref()) {
            let from = self.index.partition_point(|(other, _)| *other < hash);
            let same = self.index[from..].iter().take_while(|(other, _)| *other == hash);
            nominated.extend(same.map(|(_, id)| *id));
        }
        nominated.sort_unstable();
        nominated.dedup();
        nominated
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c15_a_wait_remembers_the_latest_few_near_misses() {
        let mut waiter = Waiter::new(WaiterId(1), Wants::any(), Tick(0), Tick(1));
        waiter.turned_away((1..=100).map(Position));
        waiter.turned_away([50, 100].map(Position));
        let remembered: Vec<_> =
            (1..=100).filter(|n| waiter.has_turned_away(Position(*n))).collect();
        assert_eq!(remembered, (93..=100).collect::<Vec<_>>());
    }
}
