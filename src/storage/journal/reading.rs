//! Reading the journal back: pages, single lines, and everything after a restart.
//!
//! Each read is a transaction of its own: it sees the last commit and holds nobody up. They are short
//! and mostly from memory, so they run where they are asked for.

use redb::{Database, ReadableDatabase, ReadableTable};

use super::Shared;
use super::format::{Head, LINES, META, REMARKS, SNAPSHOTS, decode};
use crate::ports::{Found, JournalError, Page, Position, Record, Remark};
use crate::storage::disk::guarded;

/// Why something could not be read.
pub(super) struct Unreadable(String);

impl<E: Into<redb::Error>> From<E> for Unreadable {
    fn from(error: E) -> Self {
        Self(error.into().to_string())
    }
}

impl Shared {
    /// Reads with the open file.
    pub(super) fn reading<T>(
        &self,
        read: impl FnOnce(&Database) -> Result<T, Unreadable>,
    ) -> Result<T, JournalError> {
        let db = self.db();
        let Some(db) = db.as_ref() else {
            return Err(JournalError::Unreadable("it was closed".into()));
        };
        let read = guarded(|| read(db)).unwrap_or_else(|panic| Err(Unreadable(panic)));
        read.map_err(|Unreadable(why)| JournalError::Unreadable(why.into()))
    }

    /// The lines at these places, safe or not.
    pub(super) fn get(&self, at: &[Position]) -> Result<Vec<Option<Record>>, JournalError> {
        // The queue first: a line leaves it only when it is in the file.
        let waiting: Vec<_> = at.iter().map(|position| self.queue.find(*position)).collect();
        if waiting.iter().all(Option::is_some) {
            return Ok(waiting);
        }
        self.reading(|db| {
            let lines = db.begin_read()?.open_table(LINES)?;
            let mut found = Vec::with_capacity(at.len());
            for (position, waiting) in at.iter().zip(waiting) {
                found.push(match waiting {
                    Some(record) => Some(record),
                    None => match lines.get(position.0)? {
                        Some(value) => Some(record(position.0, value.value())?),
                        None => None,
                    },
                });
            }
            Ok(found)
        })
    }
}

fn record(at: u64, value: &[u8]) -> Result<Record, Unreadable> {
    let position = Position(at);
    Ok(Record { position, line: decode(position, value).map_err(Unreadable)? })
}

/// Lines after a place, and the oldest place from which on none was trimmed.
pub(super) fn page(db: &Database, after: Position, limit: usize) -> Result<Page, Unreadable> {
    let txn = db.begin_read()?;
    let oldest = Head::read(&txn.open_table(META)?)?.oldest;
    let lines = txn.open_table(LINES)?;
    let mut records = Vec::new();
    for entry in lines.range(after.0.saturating_add(1)..)?.take(limit) {
        let (at, value) = entry?;
        records.push(record(at.value(), value.value())?);
    }
    Ok(Page { records, oldest: Position(oldest) })
}

/// All snapshots, then the lines that they do not cover with their remarks.
pub(super) fn recover(db: &Database, found: &mut dyn FnMut(Found<'_>)) -> Result<(), Unreadable> {
    let txn = db.begin_read()?;
    for entry in txn.open_table(SNAPSHOTS)?.iter()? {
        let (call, text) = entry?;
        found(Found::Snapshot(call.value(), text.value()));
    }
    let after = Head::read(&txn.open_table(META)?)?.covered.saturating_add(1);
    // Both tables are in the order of places, so one walk beside the other finds every remark.
    let mut remarks = txn.open_table(REMARKS)?.range(after..)?.peekable();
    for entry in txn.open_table(LINES)?.range(after..)? {
        let (at, value) = entry?;
        let at = at.value();
        let mut remark = Remark::default();
        while let Some(next) =
            remarks.next_if(|next| next.as_ref().map_or(true, |(on, _)| on.value() <= at))
        {
            let (on, bits) = next?;
            if on.value() == at {
                remark = Remark(bits.value());
            }
        }
        found(Found::Line(record(at, value.value())?, remark));
    }
    Ok(())
}
