//! `config.redb`: the number assignments and their history in a file.
//!
//! Four tables. `meta` names the format and the table's version. `assignments` is the table as it is
//! now, one row for each key: version, note, and the plan as JSON. `changes` has one row for each version
//! that is still known, and `changed` what it did to each key. Every commit writes all four at once and
//! in two phases, so that the file is whole whenever the power goes.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::fs::File;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use redb::{
    Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable,
    ReadableTableMetadata, StorageBackend, StorageError, TableDefinition, TableError,
    WriteTransaction,
};
use serde::{Deserialize, Serialize};

use crate::ports::{HistoryPage, Later, ListedChange, NumberStore, NumberStoreError, Past};
use crate::pure::routing::{Assignment, Change, Key, KeyChange, Step, Table};
use crate::wire::identifiers::RedactedText;

/// The format that is written, and the newest that is read. To be raised with every change that an older
/// version would misread, new actions and conditions of steps among them.
pub const FORMAT: u64 = 1;

/// Assignments are read once and then live in memory; the file needs no more than this for its pages.
const CACHE_BYTES: usize = 4 << 20;
/// Plans that are recognised while loading, so that numbers with the same one share it.
const PLANS: usize = 65_536;

const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
const ASSIGNMENTS: TableDefinition<&str, (u64, Option<&str>, &str)> =
    TableDefinition::new("assignments");
const CHANGES: TableDefinition<u64, &str> = TableDefinition::new("changes");
const CHANGED: TableDefinition<(u64, &str), &str> = TableDefinition::new("changed");

const CLOSED: &str = "it was closed";

/// Rows of [`META`].
const FORMAT_ROW: &str = "format";
const VERSION_ROW: &str = "version";
/// The oldest version that can be gone back to.
const OLDEST_ROW: &str = "oldest";
/// Sum over all assignments: a row that was lost, or is not as it was written, is noticed.
const SUM_ROW: &str = "sum";

/// Why the file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "{} is in use by another process; stop that one, or give this one a folder of its own",
        .0.display()
    )]
    InUse(PathBuf),
    /// A newer version wrote it.
    #[error(
        "{} has format {found}, and this version of switchhook reads formats up to {FORMAT}; run the \
         newer version again, or restore a backup from before it ran", .file.display()
    )]
    Newer {
        /// Which file.
        file: PathBuf,
        /// Its format.
        found: u64,
    },
    /// It is something else, or not whole.
    #[error(
        "{} is damaged or no file of number assignments ({reason}); restore a backup, or move it away \
         and assign the numbers again", .file.display()
    )]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The system does not let us.
    #[error("{} cannot be opened: {error}", .file.display())]
    System {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

/// The assignments in a file.
pub struct NumberFile {
    inner: Arc<Inner>,
}

struct Inner {
    /// `None` once it is closed.
    database: RwLock<Option<Database>>,
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
    /// [`OpenError`] says what to do.
    pub fn open(file: &Path, history: usize) -> Result<(Arc<Self>, Table), OpenError> {
        let is_new = !file.exists();
        opened(file, || {
            let found = Self::on(builder().create(file), file, history)?;
            if is_new && let Some(folder) = file.parent() {
                // The name of a new file is safe when its folder is.
                let synced = File::open(folder).and_then(|folder| folder.sync_all());
                synced.map_err(|error| OpenError::System { file: file.to_owned(), error })?;
            }
            Ok(found)
        })
    }

    /// … on something else than a file; `name` is what errors call it.
    ///
    /// # Errors
    /// [`OpenError`] says what to do.
    pub fn open_on(
        backend: impl StorageBackend,
        name: &Path,
        history: usize,
    ) -> Result<(Arc<Self>, Table), OpenError> {
        opened(name, || Self::on(builder().create_with_backend(backend), name, history))
    }

    fn on(
        database: Result<Database, DatabaseError>,
        file: &Path,
        history: usize,
    ) -> Result<(Arc<Self>, Table), OpenError> {
        let damaged = |reason: String| OpenError::Damaged { file: file.to_owned(), reason };
        let database = database.map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => OpenError::InUse(file.to_owned()),
            DatabaseError::Storage(StorageError::Io(error))
                if error.kind() != ErrorKind::InvalidData =>
            {
                OpenError::System { file: file.to_owned(), error }
            }
            error => damaged(error.to_string()),
        })?;
        let limit = u64::try_from(history).unwrap_or(u64::MAX);
        let database = RwLock::new(Some(database));
        let inner = Inner { database, limit, failed: OnceLock::new() };
        match inner.format().map_err(damaged)? {
            None => inner.begin().map_err(|error| damaged(error.to_string()))?,
            Some(found) if found > FORMAT => {
                return Err(OpenError::Newer { file: file.to_owned(), found });
            }
            Some(_) => {}
        }
        let table = inner.load().map_err(damaged)?;
        Ok((Arc::new(Self { inner: Arc::new(inner) }), table))
    }

    /// Ends what is being written and closes the file, so that another process may have it. Whoever
    /// comes later is refused.
    pub fn close(&self) {
        let mut database = self.inner.database.write().unwrap_or_else(PoisonError::into_inner);
        let database = database.take();
        // After a failure the engine may find its own locks poisoned while it leaves.
        let _it_has_failed_already = catch_unwind(AssertUnwindSafe(|| drop(database)));
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

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// The engine trusts its pages, and may panic over one that is not as it left it.
fn opened<T>(file: &Path, open: impl FnOnce() -> Result<T, OpenError>) -> Result<T, OpenError> {
    catch_unwind(AssertUnwindSafe(open)).unwrap_or_else(|_| {
        let reason = "its pages do not hang together".to_owned();
        Err(OpenError::Damaged { file: file.to_owned(), reason })
    })
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
    /// The format of the file; `None` for a file without anything in it.
    fn format(&self) -> Said<Option<u64>> {
        let reading = self.reading()?;
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
    fn begin(&self) -> Result<(), redb::Error> {
        let database = self.database();
        let writing = writing(&database)?;
        let mut meta = writing.open_table(META)?;
        for (row, value) in [(FORMAT_ROW, FORMAT), (VERSION_ROW, 0), (OLDEST_ROW, 0), (SUM_ROW, 0)]
        {
            meta.insert(row, value)?;
        }
        drop(meta);
        writing.open_table(ASSIGNMENTS)?;
        writing.open_table(CHANGES)?;
        writing.open_table(CHANGED)?;
        Ok(writing.commit()?)
    }

    /// Whoever holds this holds up the closing.
    fn database(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn reading(&self) -> Said<ReadTransaction> {
        self.database().as_ref().ok_or(CLOSED)?.begin_read().map_err(said)
    }

    fn load(&self) -> Said<Table> {
        let reading = self.reading()?;
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

    fn commit(&self, change: &Change) -> Result<(), NumberStoreError> {
        if let Some(why) = self.failed.get() {
            return Err(NumberStoreError::Failed(Arc::clone(why)));
        }
        let died = |_| Err("the engine of the store died".to_owned());
        let written = catch_unwind(AssertUnwindSafe(|| self.write(change)));
        written.unwrap_or_else(died).map_err(|why| {
            // What reached the disk is not known. Nothing may build on it.
            let why = self.failed.get_or_init(|| why.into());
            NumberStoreError::Failed(Arc::clone(why))
        })
    }

    fn write(&self, change: &Change) -> Said<()> {
        let database = self.database();
        let writing = writing(&database).map_err(said)?;
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

/// A transaction whose end is on the disk, in two phases, and after which an open file that is cut off
/// needs no long repair.
fn writing(database: &Option<Database>) -> Result<WriteTransaction, redb::Error> {
    let mut writing = database.as_ref().ok_or(redb::Error::DatabaseClosed)?.begin_write()?;
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

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
