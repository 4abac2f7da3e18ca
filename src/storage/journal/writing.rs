//! One batch, one transaction, one state of the file.

use redb::{Database, ReadableTable, Table};

use super::JournalConfig;
use super::format::{
    FORMAT, Head, LINES, META, REMARKS, SNAPSHOTS, cost, cost_in_file, encode, time,
};
use super::queue::Batch;
use super::telling::Done;
use crate::ports::Snapshots;

/// Lines that one commit trims at most, so that no commit takes long because much became old at once.
const TRIMMED_AT_MOST: u64 = 2048;

type Lines<'txn> = Table<'txn, u64, &'static [u8]>;
type Remarks<'txn> = Table<'txn, u64, u8>;

/// What the committer remembers of the file from one commit to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writer {
    pub head: Head,
    /// Place and time (Unix milliseconds) of the newest line.
    pub newest: u64,
    pub newest_ms: i64,
}

impl Writer {
    /// Writes the batch and trims; when this returns `Ok`, all of it is safe.
    ///
    /// # Errors
    /// Anything that goes wrong; then nothing is known about the batch, and the database is of no
    /// more use.
    pub(super) fn commit(
        &mut self,
        db: &Database,
        batch: &Batch,
        config: &JournalConfig,
    ) -> Result<Done, redb::Error> {
        let mut after = *self;
        let mut txn = db.begin_write()?;
        // After a crash the file is then open at once, instead of after a walk through all of it; the
        // price is a second flush.
        txn.set_quick_repair(true);
        let done = {
            let mut lines = txn.open_table(LINES)?;
            let mut remarks = txn.open_table(REMARKS)?;
            after.add(&mut lines, batch)?;
            note(&mut remarks, batch, after.head.oldest)?;
            if !batch.keeps.is_empty() {
                let mut snapshots = txn.open_table(SNAPSHOTS)?;
                for keep in &batch.keeps {
                    replace(&mut snapshots, keep)?;
                    after.cover(keep);
                }
            }
            let trimmed = after.trim(&mut lines, &mut remarks, config)?;
            after.head.bound = after.head.bound.max(after.newest + config.queue_lines as u64);
            after.head.write(&mut txn.open_table(META)?)?;
            after.done(&lines, trimmed)?
        };
        txn.commit()?;
        *self = after;
        Ok(done)
    }

    fn add(&mut self, lines: &mut Lines<'_>, batch: &Batch) -> Result<(), redb::Error> {
        for record in &batch.lines {
            let value = encode(&record.line);
            lines.insert(record.position.0, value.as_slice())?;
            self.head.bytes += cost(record.line.text.len());
            self.newest = record.position.0;
            self.newest_ms = record.line.at.as_millisecond();
        }
        self.head.uncovered += batch.lines.len() as u64;
        Ok(())
    }

    fn cover(&mut self, keep: &Snapshots) {
        let Some(covers) = keep.covers.filter(|covers| covers.0 > self.head.covered) else {
            return;
        };
        self.head.covered = covers.0;
        self.head.uncovered = self.head.uncovered.min(self.newest.saturating_sub(covers.0));
    }

    /// Removes the oldest lines while they are too many or too old, those that snapshots stand for, and
    /// never the newest one. Age is counted back from that one, not from a clock.
    fn trim(
        &mut self,
        lines: &mut Lines<'_>,
        remarks: &mut Remarks<'_>,
        config: &JournalConfig,
    ) -> Result<u64, redb::Error> {
        let age = i64::try_from(config.max_age.as_millis()).unwrap_or(i64::MAX);
        let horizon = self.newest_ms.saturating_sub(age);
        let mut trimmed = 0;
        while trimmed < TRIMMED_AT_MOST {
            let Some((key, value)) = lines.first()? else { break };
            let at = key.value();
            let old = time(value.value()).is_none_or(|time| time < horizon);
            let cost = cost_in_file(value.value());
            let needed = at > self.head.covered || at >= self.newest;
            if needed || !(old || self.head.bytes > config.max_bytes) {
                break;
            }
            drop((key, value));
            lines.remove(at)?;
            self.head.bytes = self.head.bytes.saturating_sub(cost);
            self.head.oldest = at + 1;
            trimmed += 1;
        }
        if trimmed > 0 {
            remarks.retain_in(..self.head.oldest, |_, _| false)?;
        }
        Ok(trimmed)
    }

    /// How the file is now.
    pub(super) fn done(
        &self,
        lines: &impl ReadableTable<u64, &'static [u8]>,
        trimmed: u64,
    ) -> Result<Done, redb::StorageError> {
        let oldest = lines.first()?.and_then(|(_, value)| time(value.value()));
        let span = oldest.map_or(0, |oldest| self.newest_ms.saturating_sub(oldest));
        Ok(Done { trimmed, bytes: self.head.bytes, span_ms: u64::try_from(span).unwrap_or(0) })
    }
}

fn note(remarks: &mut Remarks<'_>, batch: &Batch, oldest: u64) -> Result<(), redb::Error> {
    for (at, bits) in batch.remarks.range(oldest..) {
        let before = remarks.get(at)?.map_or(0, |found| found.value());
        remarks.insert(at, before | bits)?;
    }
    Ok(())
}

fn replace(
    table: &mut Table<'_, &'static str, &'static str>,
    snapshots: &Snapshots,
) -> Result<(), redb::Error> {
    for (call, text) in &snapshots.of {
        table.insert(call.as_str(), text.as_str())?;
    }
    for call in &snapshots.gone {
        table.remove(call.as_str())?;
    }
    Ok(())
}

/// Prepares the file for a run: all tables are there, and the places that may be given out in it are
/// beyond all that any earlier run may have given. Gives the first of them too.
///
/// # Errors
/// Anything that goes wrong.
pub(super) fn begin(
    db: &Database,
    mut head: Head,
    config: &JournalConfig,
) -> Result<(Head, u64), redb::Error> {
    let first = head.bound + 1;
    head.bound += config.queue_lines as u64;
    let mut txn = db.begin_write()?;
    txn.set_quick_repair(true);
    txn.open_table(LINES)?;
    txn.open_table(REMARKS)?;
    txn.open_table(SNAPSHOTS)?;
    {
        let mut meta = txn.open_table(META)?;
        meta.insert("format", FORMAT)?;
        head.write(&mut meta)?;
    }
    txn.commit()?;
    Ok((head, first))
}
