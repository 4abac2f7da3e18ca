//! What is found in a file that was opened: a journal of this version, of a newer one, or none.

use std::path::Path;

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, TableHandle};

use super::JournalConfig;
use super::format::{FORMAT, Head, LINES, META, time};
use super::telling::Done;
use super::writing::{Writer, begin};
use crate::storage::StoreError;

/// A journal that can be used.
pub(super) struct Loaded {
    pub writer: Writer,
    /// The place of the next line.
    pub first: u64,
    pub found: Done,
}

/// Checks what is in the file, and begins a run of it. A file with nothing in it becomes a journal.
///
/// # Errors
/// [`StoreError`].
pub(super) fn load(
    db: &Database,
    file: &Path,
    config: &JournalConfig,
) -> Result<Loaded, StoreError> {
    let of = |error: redb::Error| StoreError::of(file, error);
    let head = match head(db).map_err(of)? {
        Found::Nothing => Head { life: u64::from(config.new_life), oldest: 1, ..Head::default() },
        Found::Strange(what) => return Err(StoreError::damaged(file, what)),
        Found::Newer(found) => {
            return Err(StoreError::Newer { file: file.to_owned(), found, known: FORMAT });
        }
        Found::Journal(head) => head,
    };
    let (head, first) = begin(db, head, config).map_err(of)?;
    let (writer, found) = newest(db, head).map_err(of)?;
    Ok(Loaded { writer, first, found })
}

enum Found {
    Nothing,
    Strange(&'static str),
    Newer(u64),
    Journal(Head),
}

fn head(db: &Database) -> Result<Found, redb::Error> {
    let txn = db.begin_read()?;
    if txn.list_tables()?.next().is_none() {
        return Ok(Found::Nothing);
    }
    if !has(&txn, META.name())? || !has(&txn, LINES.name())? {
        return Ok(Found::Strange("it is no journal"));
    }
    let meta = txn.open_table(META)?;
    let format = meta.get("format")?.map(|format| format.value());
    Ok(match format {
        None | Some(0) => Found::Strange("it does not say which format it has"),
        Some(format) if format > FORMAT => Found::Newer(format),
        Some(_) => Found::Journal(Head::read(&meta)?),
    })
}

fn has(txn: &ReadTransaction, name: &str) -> Result<bool, redb::Error> {
    Ok(txn.list_tables()?.any(|table| table.name() == name))
}

fn newest(db: &Database, head: Head) -> Result<(Writer, Done), redb::Error> {
    let txn = db.begin_read()?;
    let lines = txn.open_table(LINES)?;
    let last = lines.last()?;
    let last = last.map(|(at, value)| (at.value(), time(value.value()).unwrap_or_default()));
    let (newest, newest_ms) = last.unwrap_or_default();
    let writer = Writer { head, newest, newest_ms };
    let found = writer.done(&lines, 0)?;
    Ok((writer, found))
}
