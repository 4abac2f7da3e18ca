//! All assignments, in order of key, cheap to look into and cheap to change.
//!
//! A table never changes: a write gives a new one that shares all but one chunk with the old. So a
//! reader that holds a table never waits for a writer, and a million assignments cost a write a few
//! kilobytes. A lookup is two binary searches per key that could fit; which lengths of prefixes exist
//! is counted, so that a number asks for those only.

use std::collections::HashSet;
use std::sync::Arc;

use super::cycles::find_cycle;
use super::{Assignment, Digits, Draft, Key, Numbered, Party, Step};

/// A chunk that grows beyond so many entries is cut in two.
const CHUNK: usize = 256;

type Entry = (Key, Arc<Assignment>);

/// The number assignments at one version (rule I7).
#[derive(Clone, Debug, Default)]
pub struct Table {
    version: u64,
    len: usize,
    /// The first key of each chunk, side by side because that is what is searched.
    firsts: Vec<Key>,
    /// Sorted, none empty.
    chunks: Vec<Arc<[Entry]>>,
    /// How many prefixes of each length there are.
    prefixes: [u32; Digits::MAX + 1],
}

/// Why the table was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Somebody else wrote in between.
    #[error("the assignment is at version {current} now (0 means there is none); read it again")]
    VersionConflict {
        /// Its version now; 0 when there is none.
        current: u64,
    },
    /// Nothing has that key.
    #[error("no assignment has that key")]
    NotFound,
    /// Redirects would lead back to an assignment already passed (rule I9).
    #[error(
        "redirects would go round through {} assignment(s); give the last target an assignment of \
         its own that does not redirect, such as ignore", .keys.len()
    )]
    Cycle {
        /// The assignments of the circle, in order; the last leads to the first.
        keys: Vec<Key>,
    },
    /// Two assignments of one load have the same key.
    #[error("a key is given twice")]
    Twice {
        /// Which.
        key: Key,
    },
    /// The draft is for another key than the one it was sent to.
    #[error("the assignment names another key than its address does; leave key out")]
    OtherKey,
    /// As many assignments as there may be.
    #[error("there are {limit} assignments, the most there may be")]
    Full {
        /// The limit.
        limit: usize,
    },
}

impl WriteError {
    /// The stable code, for API answers.
    pub fn code(&self) -> &'static str {
        match self {
            Self::VersionConflict { .. } => "version_conflict",
            Self::NotFound => "number_not_found",
            Self::Cycle { .. } => "redirect_cycle",
            Self::Twice { .. } => "key_twice",
            Self::OtherKey => "other_key",
            Self::Full { .. } => "too_many_numbers",
        }
    }
}

impl Table {
    /// A table of these assignments, at the version of the newest or at `version` if that is higher.
    /// Equal plans are kept once: whole blocks of numbers often share theirs.
    ///
    /// # Errors
    /// [`WriteError::Twice`] and [`WriteError::Cycle`].
    pub fn load(
        version: u64,
        entries: impl IntoIterator<Item = (Key, Assignment)>,
    ) -> Result<Self, WriteError> {
        let mut plans: HashSet<Arc<[Step]>> = HashSet::new();
        let mut share = |(key, mut assignment): (Key, Assignment)| {
            match plans.get(&assignment.steps) {
                Some(plan) => assignment.steps = Arc::clone(plan),
                None => drop(plans.insert(Arc::clone(&assignment.steps))),
            }
            (key, Arc::new(assignment))
        };
        let entries: Vec<Entry> = entries.into_iter().map(&mut share).collect();
        drop(plans);
        Self::of(version, entries)
    }

    /// … of assignments that share their plans already.
    ///
    /// # Errors
    /// [`WriteError::Twice`] and [`WriteError::Cycle`].
    pub fn of(version: u64, mut entries: Vec<(Key, Arc<Assignment>)>) -> Result<Self, WriteError> {
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(WriteError::Twice { key: pair[0].0.clone() });
        }
        let newest = entries.iter().map(|(_, assignment)| assignment.version).max().unwrap_or(0);
        let mut table =
            Self { version: version.max(newest), len: entries.len(), ..Self::default() };
        for (key, _) in &entries {
            if let Key::Prefix(digits) = key {
                table.prefixes[digits.len()] += 1;
            }
        }
        // Three quarters full, so that the next writes need not cut.
        let chunks = entries.chunks(CHUNK * 3 / 4).map(<Arc<[Entry]>>::from);
        table.chunks = chunks.collect();
        table.firsts = table.chunks.iter().map(|chunk| chunk[0].0.clone()).collect();
        match find_cycle(&table, table.iter().map(|(key, _)| key)) {
            Some(keys) => Err(WriteError::Cycle { keys }),
            None => Ok(table),
        }
    }

    /// Counts the writes.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many assignments there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The assignment with exactly that key.
    pub fn get(&self, key: &Key) -> Option<&Arc<Assignment>> {
        let chunk = &self.chunks[self.chunk_of(key)?];
        let place = chunk.binary_search_by(|(other, _)| other.cmp(key)).ok()?;
        Some(&chunk[place].1)
    }

    /// The keys that could be for that callee, the most specific first: exact, then the prefixes of
    /// lengths that exist, longest first, then `*`.
    pub fn candidates<'a>(&'a self, callee: &'a Party) -> impl Iterator<Item = Key> + 'a {
        let number = match callee {
            Party::Number(number) => Some(*number),
            Party::Raw(_) => None,
        };
        let exists = |len: &usize| self.prefixes[*len] > 0;
        let prefix = move |len| number.map(|number| Key::Prefix(number.prefix(len)));
        let longest = number.map_or(0, Digits::len);
        std::iter::once(Key::Exact(callee.clone()))
            .chain((0..=longest).rev().filter(exists).filter_map(prefix))
            .chain(std::iter::once(Key::Any))
    }

    /// The assignment for that callee, with its key.
    pub fn find(&self, callee: &Party) -> Option<(Key, &Arc<Assignment>)> {
        self.candidates(callee).find_map(|key| self.get(&key).map(|found| (key, found)))
    }

    /// All assignments in order of key.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Arc<Assignment>)> {
        self.chunks.iter().flat_map(|chunk| chunk.iter()).map(|(key, found)| (key, found))
    }

    /// Up to `limit` assignments behind `after`, in order of key.
    pub fn page(&self, after: Option<&Key>, limit: usize) -> Vec<Numbered> {
        let first = after.and_then(|key| self.chunk_of(key)).unwrap_or(0);
        self.chunks[first.min(self.chunks.len())..]
            .iter()
            .flat_map(|chunk| chunk.iter())
            .skip_while(|(key, _)| after.is_some_and(|after| key <= after))
            .take(limit)
            .map(|(key, assignment)| Numbered {
                key: key.clone(),
                assignment: Arc::clone(assignment),
            })
            .collect()
    }

    /// A table with that assignment in it. `if_match` is the version that the writer saw, 0 for none
    /// at all; `None` writes over whatever there is.
    ///
    /// # Errors
    /// [`WriteError`]; the old table goes on unchanged.
    pub fn put(
        &self,
        key: &Key,
        draft: Draft,
        if_match: Option<u64>,
    ) -> Result<(Self, Arc<Assignment>), WriteError> {
        if draft.key.as_ref().is_some_and(|named| named != key) {
            return Err(WriteError::OtherKey);
        }
        self.check_version(key, if_match)?;
        let version = self.version + 1;
        let assignment = Arc::new(Assignment { steps: draft.steps, version, note: draft.note });
        let mut table = Self { version, ..self.clone() };
        table.insert(key.clone(), Arc::clone(&assignment));
        match find_cycle(&table, [key]) {
            Some(keys) => Err(WriteError::Cycle { keys }),
            None => Ok((table, assignment)),
        }
    }

    /// A table without that assignment.
    ///
    /// # Errors
    /// [`WriteError`]; a less specific assignment takes over, and that may close a circle too.
    pub fn without(&self, key: &Key, if_match: Option<u64>) -> Result<Self, WriteError> {
        self.check_version(key, if_match)?;
        if self.get(key).is_none() {
            return Err(WriteError::NotFound);
        }
        let mut table = Self { version: self.version + 1, ..self.clone() };
        table.remove(key);
        match find_cycle(&table, table.heir(key).as_ref()) {
            Some(keys) => Err(WriteError::Cycle { keys }),
            None => Ok(table),
        }
    }

    fn check_version(&self, key: &Key, if_match: Option<u64>) -> Result<(), WriteError> {
        let current = self.get(key).map_or(0, |assignment| assignment.version);
        match if_match {
            Some(seen) if seen != current => Err(WriteError::VersionConflict { current }),
            _ => Ok(()),
        }
    }

    /// Who takes the calls of a key that is gone: all its callees get the same next assignment.
    fn heir(&self, gone: &Key) -> Option<Key> {
        match gone {
            Key::Any => None,
            Key::Exact(party) => self.find(party).map(|(key, _)| key),
            Key::Prefix(digits) => (0..digits.len())
                .rev()
                .map(|len| Key::Prefix(digits.prefix(len)))
                .chain(std::iter::once(Key::Any))
                .find(|key| self.get(key).is_some()),
        }
    }

    /// The chunk in which a key is, or would be.
    fn chunk_of(&self, key: &Key) -> Option<usize> {
        let behind = self.firsts.partition_point(|first| first <= key);
        if self.chunks.is_empty() { None } else { Some(behind.saturating_sub(1)) }
    }

    fn insert(&mut self, key: Key, assignment: Arc<Assignment>) {
        let at = self.chunk_of(&key);
        let mut chunk = at.map_or_else(Vec::new, |at| self.chunks[at].to_vec());
        match chunk.binary_search_by(|(other, _)| other.cmp(&key)) {
            Ok(place) => chunk[place].1 = assignment,
            Err(place) => {
                self.len += 1;
                if let Key::Prefix(digits) = &key {
                    self.prefixes[digits.len()] += 1;
                }
                chunk.insert(place, (key, assignment));
            }
        }
        self.replace(at, chunk);
    }

    fn remove(&mut self, key: &Key) {
        let Some(at) = self.chunk_of(key) else { return };
        let mut chunk = self.chunks[at].to_vec();
        let Ok(place) = chunk.binary_search_by(|(other, _)| other.cmp(key)) else { return };
        chunk.remove(place);
        self.len -= 1;
        if let Key::Prefix(digits) = key {
            self.prefixes[digits.len()] -= 1;
        }
        self.replace(Some(at), chunk);
    }

    /// Puts a changed chunk back: cut in two when it is too long, left out when it is empty.
    fn replace(&mut self, at: Option<usize>, mut chunk: Vec<Entry>) {
        let tail = (chunk.len() > CHUNK).then(|| chunk.split_off(CHUNK / 2));
        let pieces = [Some(chunk), tail].into_iter().flatten().filter(|piece| !piece.is_empty());
        let pieces: Vec<Arc<[Entry]>> = pieces.map(Arc::from).collect();
        let range = at.map_or(0..0, |at| at..at + 1);
        self.firsts.splice(range.clone(), pieces.iter().map(|piece| piece[0].0.clone()));
        self.chunks.splice(range, pieces);
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
