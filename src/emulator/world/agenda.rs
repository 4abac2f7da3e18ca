//! What is to happen when, in order; equal moments keep the order in which they were set.

use std::collections::BTreeMap;

use crate::pure::time::Tick;

/// Finds an entry again, to cancel it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry(Tick, u64);

/// Things that are due.
pub struct Agenda<T> {
    due: BTreeMap<Entry, T>,
    set: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { due: BTreeMap::new(), set: 0 }
    }
}

impl<T> Agenda<T> {
    /// Enters `what` at `at`.
    pub fn set(&mut self, at: Tick, what: T) -> Entry {
        self.set += 1;
        let entry = Entry(at, self.set);
        self.due.insert(entry, what);
        entry
    }

    /// Takes an entry out. Nothing happens when it is gone already.
    pub fn cancel(&mut self, entry: Entry) {
        self.due.remove(&entry);
    }

    /// When the first entry is due.
    pub fn next(&self) -> Option<Tick> {
        self.due.first_key_value().map(|(entry, _)| entry.0)
    }

    /// The first entry that is due at `now`, and when it was.
    pub fn take(&mut self, now: Tick) -> Option<(Tick, T)> {
        let first = self.due.first_entry()?;
        (first.key().0 <= now).then(|| (first.key().0, first.remove()))
    }

    /// Takes out every entry that `gone` says yes to.
    pub fn forget(&mut self, gone: impl Fn(&T) -> bool) {
        self.due.retain(|_, what| !gone(what));
    }
}
