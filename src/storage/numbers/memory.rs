//! Number assignments that are forgotten with the process: for `--ephemeral` and tests.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ports::{HistoryPage, Later, ListedChange, NumberStore, NumberStoreError, Past};
use crate::pure::routing::{Assignment, Change, Key, Table};

/// Keeps the assignments and the newest changes.
pub struct MemoryNumbers {
    limit: usize,
    kept: Mutex<Kept>,
}

struct Kept {
    now: BTreeMap<Key, Arc<Assignment>>,
    version: u64,
    changes: VecDeque<Arc<Change>>,
}

impl MemoryNumbers {
    /// Has no assignments, and will keep so many changes.
    pub fn new(history: usize) -> Arc<Self> {
        Self::of(&Table::default(), history)
    }

    /// Has these assignments and does not know how they came about.
    pub fn of(table: &Table, history: usize) -> Arc<Self> {
        let now = table.iter().map(|(key, found)| (key.clone(), Arc::clone(found))).collect();
        let kept = Kept { now, version: table.version(), changes: VecDeque::new() };
        Arc::new(Self { limit: history, kept: Mutex::new(kept) })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nothing that is done under the lock panics halfway.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn oldest(&self) -> u64 {
        self.version - self.changes.len() as u64
    }

    fn commit(&mut self, change: Arc<Change>, limit: usize) -> Result<(), NumberStoreError> {
        if change.version != self.version + 1 {
            return Err(NumberStoreError::Failed("the change is not the next one".into()));
        }
        for key in &change.keys {
            match &key.after {
                Some(after) => drop(self.now.insert(key.key.clone(), Arc::clone(after))),
                None => drop(self.now.remove(&key.key)),
            }
        }
        self.version = change.version;
        self.changes.push_back(change);
        while self.changes.len() > limit {
            self.changes.pop_front();
        }
        Ok(())
    }

    fn history(&self, before: Option<u64>, limit: usize) -> HistoryPage {
        let asked = |change: &&Arc<Change>| before.is_none_or(|before| change.version < before);
        let changes = self.changes.iter().rev().filter(asked).take(limit);
        HistoryPage {
            changes: changes.map(|change| listed(change)).collect(),
            version: self.version,
            oldest: self.oldest(),
        }
    }

    fn past(&self, version: u64) -> Result<Past, NumberStoreError> {
        if version > self.version {
            return Err(NumberStoreError::NotYet { newest: self.version });
        }
        if version < self.oldest() {
            return Err(NumberStoreError::Gone { oldest: self.oldest() });
        }
        let mut past = BTreeMap::new();
        let later = self.changes.iter().filter(|change| change.version > version);
        for key in later.flat_map(|change| &change.keys) {
            // The oldest of the changes knows.
            past.entry(key.key.clone()).or_insert_with(|| key.before.clone());
        }
        Ok(past.into_iter().collect())
    }
}

fn listed(change: &Change) -> ListedChange {
    let keys = change.keys.iter().take(ListedChange::MAX_KEYS).cloned().collect();
    ListedChange { change: change.with_keys(keys), key_count: change.keys.len() as u64 }
}

impl NumberStore for MemoryNumbers {
    fn load(&self) -> Result<Table, NumberStoreError> {
        let kept = self.lock();
        let now = kept.now.iter().map(|(key, found)| (key.clone(), Assignment::clone(found)));
        Table::load(kept.version, now)
            .map_err(|error| NumberStoreError::Unreadable(error.to_string().into()))
    }

    fn commit(&self, change: Arc<Change>) -> Later<'static, Result<(), NumberStoreError>> {
        Box::pin(std::future::ready(self.lock().commit(change, self.limit)))
    }

    fn history(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Later<'static, Result<HistoryPage, NumberStoreError>> {
        Box::pin(std::future::ready(Ok(self.lock().history(before, limit))))
    }

    fn past(&self, version: u64) -> Later<'static, Result<Past, NumberStoreError>> {
        Box::pin(std::future::ready(self.lock().past(version)))
    }

    fn failed(&self) -> Option<Arc<str>> {
        None
    }
}
