//! Which events of a call were seen already (rule C2).
//!
//! Two generations of sets bound the memory: when the young one holds half the limit it becomes the
//! old one, so at least the latest half of the limit is remembered, at most all of it.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

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

/// The identities of the events that a call has handled.
#[derive(Clone, Default)]
pub struct Seen {
    young: Keys,
    old: Option<Box<Keys>>,
}

impl Seen {
    /// Whether this is the first time that `key` is seen.
    pub fn first_time(&mut self, key: EventKey, limit: usize) -> bool {
        if self.young.contains(&key) || self.old.as_ref().is_some_and(|old| old.contains(&key)) {
            return false;
        }
        if self.young.len() >= (limit / 2).max(1) {
            self.old = Some(Box::new(std::mem::take(&mut self.young)));
        }
        self.young.insert(key);
        true
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
            assert!(seen.young.len() + seen.old.as_ref().map_or(0, |old| old.len()) <= 100);
        }
        for key in 950..1000 {
            assert!(!seen.first_time(EventKey(key), 100), "{key} is remembered");
        }
    }
}
