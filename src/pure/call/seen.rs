//! Which events of a call were seen already (rule C2).
//!
//! Most calls have a few events: those are a plain list. Beyond that, two generations of sets bound
//! the memory: when the young one holds half the limit it becomes the old one, so at least the latest
//! half of the limit is remembered, at most all of it.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use super::tight::Tight;
use crate::wire::events::EventKey;

/// Keys are hashes already; hashing them again would buy nothing.
#[derive(Clone, Default)]
pub struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u128(&mut self, key: u128) {
        self.0 = u64::try_from(key & u128::from(u64::MAX)).unwrap_or_default();
    }
}

type Keys = HashSet<EventKey, BuildHasherDefault<AlreadyHashed>>;

/// So many identities are a list.
const FEW: usize = 16;

/// The identities of the events that a call has handled.
#[derive(Clone)]
pub enum Seen {
    /// In order of arrival.
    Few(Vec<EventKey>),
    /// Of two generations.
    Many(Box<Generations>),
}

/// The young generation and the old one.
#[derive(Clone, Default)]
pub struct Generations {
    young: Keys,
    old: Keys,
}

impl Default for Seen {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Seen {
    /// Whether this is the first time that `key` is seen.
    pub fn first_time(&mut self, key: EventKey, limit: usize) -> bool {
        let half = (limit / 2).max(1);
        match self {
            Self::Few(keys) if keys.contains(&key) => false,
            Self::Few(keys) if keys.len() < FEW.min(half) => {
                keys.push_tight(key);
                true
            }
            Self::Few(keys) => {
                let young = keys.drain(..).collect();
                *self = Self::Many(Box::new(Generations { young, old: Keys::default() }));
                self.first_time(key, limit)
            }
            Self::Many(generations) => generations.first_time(key, half),
        }
    }

    /// All that are remembered, oldest first where the order is known.
    pub(super) fn keys(&self) -> Vec<EventKey> {
        match self {
            Self::Few(keys) => keys.clone(),
            Self::Many(generations) => {
                generations.old.iter().chain(&generations.young).copied().collect()
            }
        }
    }

    /// How many are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few(keys) => keys.len(),
            Self::Many(generations) => generations.young.len() + generations.old.len(),
        }
    }
}

impl Generations {
    fn first_time(&mut self, key: EventKey, half: usize) -> bool {
        if self.young.contains(&key) || self.old.contains(&key) {
            return false;
        }
        if self.young.len() >= half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c15_memory_of_events_is_bounded_and_keeps_the_latest_half() {
        let mut seen = Seen::default();
        for key in 0..1000 {
            assert!(seen.first_time(EventKey(key), 100));
            assert!(seen.len() <= 100);
        }
        for key in 950..1000 {
            assert!(!seen.first_time(EventKey(key), 100), "{key} is remembered");
        }
    }
}
