//! Rule I5: which calls were already decided.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use crate::pure::time::{Position, Tick};
use crate::wire::events::EventKey;
use crate::wire::identifiers::IncomingCallContext;

/// How much is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Each decided call takes two entries; the oldest leave first.
    pub entries: usize,
    /// Nothing is remembered for longer. Event Grid retries for minutes, and stale events are not
    /// acted on anyway.
    pub age: Duration,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self { entries: 200_000, age: Duration::from_secs(600) }
    }
}

/// The events and call contexts seen lately, as hashes: neither ids nor contexts are kept.
#[derive(Debug)]
pub struct Memory {
    limits: MemoryLimits,
    seen: HashSet<u128>,
    /// The same, oldest first.
    order: VecDeque<(Tick, u128)>,
}

impl Memory {
    /// Remembers nothing yet.
    pub fn new(limits: MemoryLimits) -> Self {
        Self { limits, seen: HashSet::new(), order: VecDeque::new() }
    }

    /// Remembers an event and its call, and tells whether either was known before.
    pub fn repeats(&mut self, now: Tick, event: EventKey, context: &IncomingCallContext) -> bool {
        self.forget_old(now);
        let known = keys_of(event, context).map(|key| !self.remember(now, key.0));
        known.contains(&true)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Whether it was new.
    fn remember(&mut self, now: Tick, key: u128) -> bool {
        if !self.seen.insert(key) {
            return false;
        }
        self.order.push_back((now, key));
        while self.order.len() > self.limits.entries {
            self.forget_oldest();
        }
        true
    }

    fn forget_old(&mut self, now: Tick) {
        while self.order.front().is_some_and(|(at, _)| now.since(*at) >= self.limits.age) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key)) = self.order.pop_front() {
            self.seen.remove(&key);
        }
    }
}

/// Under which keys a call is known. The context gets a name space of its own, so that no event id can
/// pretend to be one.
pub(super) fn keys_of(event: EventKey, context: &IncomingCallContext) -> [EventKey; 2] {
    [event, EventKey::of("incomingCallContext", context.as_str())]
}

/// Where the events that are young enough to be remembered stand in the journal: a restart needs them.
#[derive(Debug)]
pub struct Recent {
    limits: MemoryLimits,
    /// In the order in which they came.
    places: VecDeque<(Tick, Position)>,
}

impl Recent {
    /// None yet.
    pub fn new(limits: MemoryLimits) -> Self {
        Self { limits, places: VecDeque::new() }
    }

    /// An event came; it stands there.
    pub fn came(&mut self, now: Tick, position: Position) {
        self.forget_old(now);
        self.places.push_back((now, position));
        if self.places.len() > self.limits.entries {
            self.places.pop_front();
        }
    }

    /// The first place that is still needed.
    pub fn first(&mut self, now: Tick) -> Option<Position> {
        self.forget_old(now);
        self.places.iter().map(|(_, position)| *position).min()
    }

    fn forget_old(&mut self, now: Tick) {
        while self.places.front().is_some_and(|(at, _)| now.since(*at) >= self.limits.age) {
            self.places.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: MemoryLimits = MemoryLimits { entries: 6, age: Duration::from_secs(60) };

    fn ask(memory: &mut Memory, now: u64, event: u128, context: &str) -> bool {
        memory.repeats(Tick(now), EventKey(event), &context.into())
    }

    #[test]
    fn i5_the_same_event_or_the_same_context_repeats() {
        let mut memory = Memory::new(LIMITS);
        assert!(!ask(&mut memory, 0, 1, "a"));
        assert!(ask(&mut memory, 1, 1, "a"), "both");
        assert!(ask(&mut memory, 2, 1, "b"), "same event");
        assert!(ask(&mut memory, 3, 2, "a"), "same context");
        assert!(ask(&mut memory, 4, 2, "c"), "what came with a repeat is known too");
        assert!(!ask(&mut memory, 5, 3, "d"));
    }

    #[test]
    fn i5_memory_is_bounded_and_aged() {
        let mut memory = Memory::new(LIMITS);
        for event in 0..100 {
            assert!(!ask(&mut memory, 0, event, &event.to_string()));
            assert!(memory.len() <= LIMITS.entries);
        }
        assert!(ask(&mut memory, 59_999, 99, "99"));
        assert!(!ask(&mut memory, 60_000, 98, "98"), "a minute later all is forgotten");
        assert_eq!((memory.len(), memory.seen.len()), (2, 2));
    }

    #[test]
    fn i5_places_are_needed_as_long_as_their_events_are_remembered() {
        let mut recent = Recent::new(LIMITS);
        assert_eq!(recent.first(Tick(0)), None);
        // A message may overtake another on its way to us.
        for (at, place) in [(0, 8), (1, 7), (2, 9)] {
            recent.came(Tick(at), Position(place));
        }
        assert_eq!(recent.first(Tick(60_000)), Some(Position(7)));
        assert_eq!(recent.first(Tick(60_001)), Some(Position(9)));
        assert_eq!(recent.first(Tick(60_002)), None);
        for place in 0..100 {
            recent.came(Tick(70_000), Position(place));
        }
        assert_eq!(recent.first(Tick(70_000)), Some(Position(94)));
    }
}
