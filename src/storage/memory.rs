//! The journal that lives in memory: for `--ephemeral`, for tests, and for reading back payloads.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;

use crate::ports::{Deliver, Journal, JournalError, Later, Page, Position, Record};
use crate::wire::events::CallEvent;

/// What a record costs beside its payload, roughly.
const OVERHEAD: usize = 160;

/// Keeps the newest events within a number of bytes.
pub struct MemoryJournal {
    life: u32,
    max_bytes: usize,
    kept: Mutex<Kept>,
    newest: watch::Sender<Position>,
}

#[derive(Default)]
struct Kept {
    newest: Position,
    bytes: usize,
    trimmed: u64,
    records: VecDeque<Record>,
}

impl MemoryJournal {
    /// Keeps events up to `max_bytes`; at least the newest one. `life` names this run of the process.
    pub fn new(max_bytes: usize, life: u32) -> Arc<Self> {
        let newest = watch::Sender::new(Position(0));
        Arc::new(Self { life, max_bytes, kept: Mutex::default(), newest })
    }

    /// Records kept, their bytes, and how many were trimmed away.
    pub fn size(&self) -> (usize, usize, u64) {
        let kept = self.lock();
        (kept.records.len(), kept.bytes, kept.trimmed)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // A panic while the lock was held can only have come from `deliver`, after the record was
        // complete.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn push(&mut self, received: Timestamp, event: &CallEvent) -> Position {
        self.newest = Position(self.newest.0 + 1);
        self.bytes += event.raw.len() + OVERHEAD;
        self.records.push_back(Record {
            position: self.newest,
            received,
            call: event.call.clone(),
            kind: event.kind.clone(),
            raw: Arc::clone(&event.raw),
        });
        self.newest
    }

    fn trim(&mut self, max_bytes: usize) {
        while self.bytes > max_bytes && self.records.len() > 1 {
            if let Some(record) = self.records.pop_front() {
                self.bytes -= record.raw.len() + OVERHEAD;
                self.trimmed += 1;
            }
        }
    }

    fn oldest(&self) -> Position {
        Position(self.newest.0 + 1 - self.records.len() as u64)
    }

    fn place(&self, position: Position) -> Option<usize> {
        usize::try_from(position.0.checked_sub(self.oldest().0)?).ok()
    }
}

impl Journal for MemoryJournal {
    fn append(
        &self,
        received: Timestamp,
        events: Vec<Arc<CallEvent>>,
        deliver: Deliver<'_>,
    ) -> Later<'static, Result<(), JournalError>> {
        let mut kept = self.lock();
        for event in events {
            let position = kept.push(received, &event);
            kept.trim(self.max_bytes);
            deliver(position, event);
        }
        let newest = kept.newest;
        drop(kept);
        self.newest.send_if_modified(|seen| {
            let newer = *seen < newest;
            *seen = newest.max(*seen);
            newer
        });
        Box::pin(std::future::ready(Ok(())))
    }

    fn read(&self, after: Position, limit: usize) -> Later<'_, Result<Page, JournalError>> {
        let kept = self.lock();
        let from = kept.place(Position(after.0.saturating_add(1))).unwrap_or(0);
        let records = kept.records.iter().skip(from).take(limit).cloned().collect();
        let page = Page { records, oldest: kept.oldest() };
        Box::pin(std::future::ready(Ok(page)))
    }

    fn get(&self, at: &[Position]) -> Later<'_, Result<Vec<Option<Record>>, JournalError>> {
        let kept = self.lock();
        let get = |position: &Position| kept.records.get(kept.place(*position)?).cloned();
        let records = at.iter().map(get).collect();
        Box::pin(std::future::ready(Ok(records)))
    }

    fn newest(&self) -> watch::Receiver<Position> {
        self.newest.subscribe()
    }

    fn life(&self) -> u32 {
        self.life
    }
}
