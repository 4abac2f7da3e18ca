//! `config.redb`: the number assignments and their history in a file.
//!
//! Four tables. `meta` names the format and the table's version. `assignments` is the table as it is
//! now, one row for each key: version, note, and the plan as JSON. `changes` has one row for each version
//! that is still known, and `changed` what it did to each key. Every commit writes all four at once and
//! in two phases, so that the file is whole whenever the power goes.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::path::Path;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    StorageBackend, TableDefinition, TableError, WriteTransaction,
};
use serde::{Deserialize, Serialize};

use crate::ports::{HistoryPage, Later, ListedChange, NumberStore, NumberStoreError, Past};
use crate::pure::routing::{Assignment, Change, Key, KeyChange, Step, Table};
use crate::storage::StoreError;
use crate::storage::disk::{self, Opened, Shutter};
use crate::wire::identifiers::RedactedText;

/// The format that is written, and the newest that is read. To be raised with every change that an older
/// version would misread, new actions and conditions of steps among them.
pub const FORMAT: u64 = 1;

/// Assignments are read once and then live in memory; the file needs no more than this for its pages.
const CACHE_BYTES: usize = 4 << 20;
/// Plans that are recognised while loading, so that numbers with the same one share it.
const PLANS: usize = 65_536;

const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
pub(in crate::storage) const ASSIGNMENTS: TableDefinition<&str, (u64, Option<&str>, &str)> =
    TableDefinition::new("assignments");
pub(in crate::storage) const CHANGES: TableDefinition<u64, &str> = TableDefinition::new("changes");
pub(in crate::storage) const CHANGED: TableDefinition<(u64, &str), &str> =
    TableDefinition::new("changed");

const CLOSED: &str = "it was closed";

/// Rows of [`META`].
const FORMAT_ROW: &str = "format";
const VERSION_ROW: &str = "version";
/// The oldest version that can be gone back to.
const OLDEST_ROW: &str = "oldest";
/// Sum over all assignments: a row that was lost, or is not as it was written, is noticed.
const SUM_ROW: &str = "sum";

/// The assignments in a file.
pub struct NumberFile {
    inner: Arc<Inner>,
}

struct Inner {
    /// `None` once it is closed.
    database: RwLock<Option<Database>>,
    shutter: Shutter,
    limit: u64,
    failed: OnceLock<Arc<str>>,
}

/// What a change did to one key, as it stands in the file.
#[derive(Serialize, Deserialize)]
struct Row {
    before: Option<Arc<Assignment>>,
    after: Option<Arc<Assignment>>,
}

impl NumberFile {
    /// Opens the file, makes it when it is not there, and reads the assignments. It will keep so many
    /// changes. Blocks.
    ///
    /// # Errors
    /// [`StoreError`], each with what to do about it.
    pub fn open(file: &Path, history: usize) -> Result<(Arc<Self>, Table), StoreError> {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        disk::folder(folder)?;
        let opened = disk::open_file(file, CACHE_BYTES, Duration::ZERO)?;
        let found = Self::load_from(opened, file, history)?;
        disk::flush_names(folder)?;
        Ok(found)
    }

    /// … on something else than a file; `name` is what errors call it.
    ///
    /// # Errors
    /// [`StoreError`], each with what to do about it.
    pub fn open_on(
        backend: impl StorageBackend,
        name: &Path,
        history: usize,
    ) -> Result<(Arc<Self>, Table), StoreError> {
        let opened = disk::open_on(Box::new(backend), name, CACHE_BYTES, Duration::ZERO)?;
        Self::load_from(opened, name, history)
    }

    fn load_from(
        opened: Opened,
        file: &Path,
        history: usize,
    ) -> Result<(Arc<Self>, Table), StoreError> {
        let loaded = disk::guarded(|| load_or_begin(&opened.db, file))
            .unwrap_or_else(|panic| Err(StoreError::damaged(file, panic)));
        let table = match loaded {
            Ok(table) => table,
            Err(error) => {
                opened.leave();
                return Err(error);
            }
        };
        let Opened { db, shutter } = opened;
        let limit = u64::try_from(history).unwrap_or(u64::MAX);
        let database = RwLock::new(Some(db));
        let inner = Inner { database, shutter, limit, failed: OnceLock::new() };
        Ok((Arc::new(Self { inner: Arc::new(inner) }), table))
    }

    /// Ends what is being written and closes the file, so that another process may have it. Whoever
    /// comes later is refused.
    pub fn close(&self) {
        let mut database = self.inner.database.write().unwrap_or_else(PoisonError::into_inner);
        let database = database.take();
        // After a failure the engine may find its own locks poisoned while it leaves.
        let _it_has_failed_already = disk::guarded(|| drop(database));
    }

    /// Does it where waiting for the disk holds up nobody.
    fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, NumberStoreError> + Send + 'static,
    ) -> Later<'static, Result<T, NumberStoreError>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let worked = tokio::task::spawn_blocking(move || work(&inner)).await;
            let died = |_| NumberStoreError::Unreadable("the reader died".into());
            worked.unwrap_or_else(|error| Err(died(error)))
        })
    }
}

impl NumberStore for NumberFile {
    fn load(&self) -> Result<Table, NumberStoreError> {
        self.inner.load().map_err(unreadable)
    }

    fn commit(&self, change: Arc<Change>) -> Later<'static, Result<(), NumberStoreError>> {
        self.beside(move |inner| inner.commit(&change))
    }

    fn history(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Later<'static, Result<HistoryPage, NumberStoreError>> {
        self.beside(move |inner| inner.history(before, limit).map_err(unreadable))
    }

    fn past(&self, version: u64) -> Later<'static, Result<Past, NumberStoreError>> {
        self.beside(move |inner| inner.past(version))
    }

    fn failed(&self) -> Option<Arc<str>> {
        self.inner.failed.get().cloned()
    }
}

/// What went wrong, in words without anything that is kept.
type Said<T> = Result<T, String>;

fn said(error: impl Display) -> String {
    error.to_string()
}

fn unreadable(error: String) -> NumberStoreError {
    NumberStoreError::Unreadable(error.into())
}

impl Inner {
    /// Whoever holds this holds up the closing.
    fn database(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn reading(&self) -> Said<ReadTransaction> {
        self.database().as_ref().ok_or(CLOSED)?.begin_read().map_err(said)
    }

    fn load(&self) -> Said<Table> {
        load(&self.reading()?)
    }

    fn commit(&self, change: &Change) -> Result<(), NumberStoreError> {
        if let Some(why) = self.failed.get() {
            return Err(NumberStoreError::Failed(Arc::clone(why)));
        }
        let written = disk::guarded(|| self.write(change)).unwrap_or_else(Err);
        written.map_err(|why| {
            self.shutter.shut();
            // What reached the disk is not known. Nothing may build on it.
            let why = self.failed.get_or_init(|| why.into());
            NumberStoreError::Failed(Arc::clone(why))
        })
    }

    fn write(&self, change: &Change) -> Said<()> {
        let database = self.database();
        let writing = writing(database.as_ref().ok_or(CLOSED)?).map_err(said)?;
        {
            let mut meta = writing.open_table(META).map_err(said)?;
            let newest = meta.get(VERSION_ROW).map_err(said)?.map_or(0, |row| row.value());
            if change.version != newest + 1 {
                return Err(format!("version {} does not follow {newest}", change.version));
            }
            let sum = meta.get(SUM_ROW).map_err(said)?.map_or(0, |row| row.value());
            let sum = write_assignments(&writing, &change.keys, sum)?;
            let oldest = self.write_history(&writing, change)?;
            meta.insert(VERSION_ROW, change.version).map_err(said)?;
            meta.insert(SUM_ROW, sum).map_err(said)?;
            if let Some(oldest) = oldest {
                meta.insert(OLDEST_ROW, oldest).map_err(said)?;
            }
        }
        writing.commit().map_err(said)
    }

    /// Gives the oldest version that can be gone back to, if it is another one now.
    fn write_history(&self, writing: &WriteTransaction, change: &Change) -> Said<Option<u64>> {
        let mut changes = writing.open_table(CHANGES).map_err(said)?;
        let mut changed = writing.open_table(CHANGED).map_err(said)?;
        let head = Head::of(change).text()?;
        changes.insert(change.version, head.as_str()).map_err(said)?;
        for KeyChange { key, before, after } in &change.keys {
            let row = Row { before: before.clone(), after: after.clone() };
            let row = serde_json::to_string(&row).map_err(said)?;
            changed.insert((change.version, key.text().as_str()), row.as_str()).map_err(said)?;
        }
        let mut oldest = None;
        while changes.len().map_err(said)? > self.limit {
            let Some((version, _)) = changes.pop_first().map_err(said)? else { break };
            let version = version.value();
            changed.retain_in((version, "")..(version + 1, ""), |_, _| false).map_err(said)?;
            oldest = Some(version);
        }
        Ok(oldest)
    }

    fn history(&self, before: Option<u64>, limit: usize) -> Said<HistoryPage> {
        let reading = self.reading()?;
        let meta = reading.open_table(META).map_err(said)?;
        let row =
            |name| -> Said<u64> { Ok(meta.get(name).map_err(said)?.map_or(0, |row| row.value())) };
        let heads = reading.open_table(CHANGES).map_err(said)?;
        let changed = reading.open_table(CHANGED).map_err(said)?;
        let mut changes = Vec::new();
        for head in heads.range(..before.unwrap_or(u64::MAX)).map_err(said)?.rev().take(limit) {
            let (version, head) = head.map_err(said)?;
            let (version, head) = (version.value(), Head::read(head.value())?);
            let rows = changed.range((version, "")..(version + 1, "")).map_err(said)?;
            let keys = rows.take(ListedChange::MAX_KEYS).map(|row| {
                let (at, row) = row.map_err(said)?;
                let Row { before, after } = serde_json::from_str(row.value()).map_err(said)?;
                Ok(KeyChange { key: Key::parse(at.value().1).map_err(said)?, before, after })
            });
            let change = Change { keys: keys.collect::<Said<_>>()?, ..head.change };
            changes.push(ListedChange { change, key_count: head.key_count });
        }
        Ok(HistoryPage { changes, version: row(VERSION_ROW)?, oldest: row(OLDEST_ROW)? })
    }

    fn past(&self, version: u64) -> Result<Past, NumberStoreError> {
        let page = self.history(None, 0).map_err(unreadable)?;
        if version > page.version {
            return Err(NumberStoreError::NotYet { newest: page.version });
        }
        if version < page.oldest {
            return Err(NumberStoreError::Gone { oldest: page.oldest });
        }
        self.read_past(version).map_err(unreadable)
    }

    fn read_past(&self, version: u64) -> Said<Past> {
        let reading = self.reading()?;
        let changed = reading.open_table(CHANGED).map_err(said)?;
        let mut past = BTreeMap::new();
        for row in changed.range((version + 1, "")..).map_err(said)? {
            let (at, row) = row.map_err(said)?;
            let key = Key::parse(at.value().1).map_err(said)?;
            // The oldest of the changes knows.
            if let std::collections::btree_map::Entry::Vacant(place) = past.entry(key) {
                let row: Row = serde_json::from_str(row.value()).map_err(said)?;
                place.insert(row.before);
            }
        }
        Ok(past.into_iter().collect())
    }
}

/// The assignments of a file that was opened; a file with nothing in it becomes one without any.
fn load_or_begin(database: &Database, file: &Path) -> Result<Table, StoreError> {
    let damaged = |why: String| StoreError::damaged(file, why);
    let reading = database.begin_read().map_err(|error| StoreError::of(file, error.into()))?;
    match format(&reading).map_err(damaged)? {
        None => {
            begin(database).map_err(|error| StoreError::of(file, error))?;
            Ok(Table::default())
        }
        Some(found) if found > FORMAT => {
            Err(StoreError::Newer { file: file.to_owned(), found, known: FORMAT })
        }
        Some(_) => load(&reading).map_err(damaged),
    }
}

/// The format of the file; `None` for a file without anything in it.
fn format(reading: &ReadTransaction) -> Said<Option<u64>> {
    match reading.open_table(META) {
        Ok(meta) => {
            let row = meta.get(FORMAT_ROW).map_err(said)?;
            row.map(|row| row.value()).map(Some).ok_or_else(|| "it names no format".to_owned())
        }
        Err(TableError::TableDoesNotExist(_)) => {
            match reading.list_tables().map_err(said)?.next() {
                None => Ok(None),
                Some(_) => Err("it is the file of something else".to_owned()),
            }
        }
        Err(error) => Err(said(error)),
    }
}

/// The first transaction.
fn begin(database: &Database) -> Result<(), redb::Error> {
    let writing = writing(database)?;
    let mut meta = writing.open_table(META)?;
    for (row, value) in [(FORMAT_ROW, FORMAT), (VERSION_ROW, 0), (OLDEST_ROW, 0), (SUM_ROW, 0)] {
        meta.insert(row, value)?;
    }
    drop(meta);
    writing.open_table(ASSIGNMENTS)?;
    writing.open_table(CHANGES)?;
    writing.open_table(CHANGED)?;
    Ok(writing.commit()?)
}

/// The assignments.
///
/// # Errors
/// What is wrong with them.
pub(in crate::storage) fn load(reading: &ReadTransaction) -> Said<Table> {
    let meta = reading.open_table(META).map_err(said)?;
    let row = |name| -> Said<u64> {
        let row = meta.get(name).map_err(said)?;
        row.map(|row| row.value()).ok_or_else(|| format!("it has no {name}"))
    };
    let (version, wanted) = (row(VERSION_ROW)?, row(SUM_ROW)?);
    let rows = reading.open_table(ASSIGNMENTS).map_err(said)?;
    let (mut sum, mut plans) = (0u64, HashMap::new());
    let mut assignments = Vec::new();
    for row in rows.iter().map_err(said)? {
        let (key, value) = row.map_err(said)?;
        let (key, (version, note, steps)) = (key.value(), value.value());
        sum = sum.wrapping_add(digest(key, version, note, steps));
        let key = Key::parse(key).map_err(|error| format!("a key is none: {error}"))?;
        let steps = plan(&mut plans, steps)?;
        let note = note.map(RedactedText::new);
        assignments.push((key, Arc::new(Assignment { steps, version, note })));
    }
    if sum != wanted {
        return Err("assignments are not as they were written".to_owned());
    }
    Table::of(version, assignments).map_err(said)
}

/// A transaction whose end is on the disk, in two phases, and after which an open file that is cut off
/// needs no long repair.
fn writing(database: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut writing = database.begin_write()?;
    writing.set_quick_repair(true);
    Ok(writing)
}

/// Gives the new sum.
fn write_assignments(writing: &WriteTransaction, keys: &[KeyChange], sum: u64) -> Said<u64> {
    let mut rows = writing.open_table(ASSIGNMENTS).map_err(said)?;
    let mut sum = sum;
    for change in keys {
        let key = change.key.text();
        if let Some(old) = rows.remove(key.as_str()).map_err(said)? {
            let (version, note, steps) = old.value();
            sum = sum.wrapping_sub(digest(&key, version, note, steps));
        }
        if let Some(after) = &change.after {
            let steps = serde_json::to_string(&after.steps).map_err(said)?;
            let note = after.note.as_ref().map(RedactedText::as_str);
            rows.insert(key.as_str(), (after.version, note, steps.as_str())).map_err(said)?;
            sum = sum.wrapping_add(digest(&key, after.version, note, &steps));
        }
    }
    Ok(sum)
}

/// A number that any change of a row changes; each part is begun with its length.
fn digest(key: &str, version: u64, note: Option<&str>, steps: &str) -> u64 {
    // Every step is one to one, so that one changed word can never be made good by those after it.
    let eat =
        |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let eat_text = |hash: u64, text: &str| {
        let (words, rest) = text.as_bytes().as_chunks::<8>();
        let mut last = [0; 8];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        let hash = eat(hash, text.len() as u64);
        let hash = words.iter().fold(hash, |hash, word| eat(hash, u64::from_le_bytes(*word)));
        eat(hash, u64::from_le_bytes(last))
    };
    let hash = eat_text(eat(0, version), key);
    let hash = note.map_or_else(|| eat(hash, u64::MAX), |note| eat_text(hash, note));
    eat_text(hash, steps)
}

/// The plan that a text stands for, the same one for the same text.
fn plan(plans: &mut HashMap<String, Arc<[Step]>>, text: &str) -> Said<Arc<[Step]>> {
    if let Some(known) = plans.get(text) {
        return Ok(Arc::clone(known));
    }
    let plan = Step::parse_plan(text).map_err(said)?;
    if plans.len() < PLANS {
        plans.insert(text.to_owned(), Arc::clone(&plan));
    }
    Ok(plan)
}

/// A change without its keys, as it stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    #[serde(flatten)]
    change: Change,
    key_count: u64,
}

impl Head {
    fn of(change: &Change) -> Self {
        Self { change: change.with_keys(Vec::new()), key_count: change.keys.len() as u64 }
    }

    fn text(&self) -> Said<String> {
        serde_json::to_string(self).map_err(said)
    }

    fn read(text: &str) -> Said<Self> {
        serde_json::from_str(text).map_err(said)
    }
}

/// A change as it stands in the file, checked.
///
/// # Errors
/// What is wrong with it.
pub(in crate::storage) fn check_change(text: &str) -> Said<serde_json::Value> {
    Head::read(text)?;
    serde_json::from_str(text).map_err(said)
}

/// What a change did to a key, as it stands in the file, checked.
///
/// # Errors
/// What is wrong with it.
pub(in crate::storage) fn check_row(text: &str) -> Said<serde_json::Value> {
    serde_json::from_str::<Row>(text).map_err(|_| "it is no such row".to_owned())?;
    serde_json::from_str(text).map_err(said)
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
