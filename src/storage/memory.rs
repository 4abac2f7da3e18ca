//! The journal that lives in memory: for `--ephemeral`, for tests, and for reading back payloads.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::ports::{
    Found, Journal, JournalError, JournalState, Later, Line, Page, Placed, Position, Record,
    Remark, Snapshots,
};

/// What a record costs beside its text, roughly.
const OVERHEAD: usize = 80;

/// Keeps the newest lines within a number of bytes. It forgets everything with the process, so it keeps
/// neither snapshots nor remarks.
pub struct MemoryJournal {
    life: u32,
    max_bytes: usize,
    kept: Mutex<Kept>,
    state: watch::Sender<JournalState>,
}

#[derive(Default)]
struct Kept {
    newest: Position,
    bytes: usize,
    trimmed: u64,
    records: VecDeque<Record>,
}

impl MemoryJournal {
    /// Keeps lines up to `max_bytes`; at least the newest one. `life` names this run of the process.
    pub fn new(max_bytes: usize, life: u32) -> Arc<Self> {
        let state = watch::Sender::new(JournalState::default());
        Arc::new(Self { life, max_bytes, kept: Mutex::default(), state })
    }

    /// Records kept, their bytes, and how many were trimmed away.
    pub fn size(&self) -> (usize, usize, u64) {
        let kept = self.lock();
        (kept.records.len(), kept.bytes, kept.trimmed)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // A panic while the lock was held can only have come from `placed`, after the records were
        // complete.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn push(&mut self, line: Line) {
        self.newest = Position(self.newest.0 + 1);
        self.bytes += line.text.len() + OVERHEAD;
        self.records.push_back(Record { position: self.newest, line });
    }

    fn trim(&mut self, max_bytes: usize) {
        while self.bytes > max_bytes && self.records.len() > 1 {
            if let Some(record) = self.records.pop_front() {
                self.bytes -= record.line.text.len() + OVERHEAD;
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
        lines: Vec<Line>,
        placed: Placed<'_>,
    ) -> Later<'static, Result<(), JournalError>> {
        let mut kept = self.lock();
        let first = Position(kept.newest.0 + 1);
        for line in lines {
            kept.push(line);
            kept.trim(self.max_bytes);
        }
        placed(first);
        let newest = kept.newest;
        drop(kept);
        self.state.send_if_modified(|state| {
            let newer = state.newest < newest;
            state.newest = newest.max(state.newest);
            newer
        });
        Box::pin(std::future::ready(Ok(())))
    }

    fn remark(&self, _: Position, _: Remark) {}

    fn keep(&self, _: Snapshots) -> Later<'static, Result<(), JournalError>> {
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

    fn recover(&self, _: &mut dyn FnMut(Found<'_>)) -> Result<(), JournalError> {
        Ok(())
    }

    fn state(&self) -> watch::Receiver<JournalState> {
        self.state.subscribe()
    }

    fn life(&self) -> u32 {
        self.life
    }
}
