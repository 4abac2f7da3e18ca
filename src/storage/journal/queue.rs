//! What waits to be written: lines with their places, remarks, snapshots, and who wants to know.
//!
//! Owns the handing out of positions. Never touches the disk.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::JournalConfig;
use super::format::cost;
use crate::ports::{JournalError, Line, Placed, Position, Record, Remark, Snapshots};

/// The answer to somebody who waits for a commit.
pub(super) type Answer = oneshot::Receiver<Result<(), JournalError>>;
type Asked = oneshot::Sender<Result<(), JournalError>>;

/// One thing to be written whole.
enum Job {
    /// So many of the lines in `placed`, and their cost.
    Lines(usize, u64, Asked),
    /// Snapshots, and their cost.
    Keep(Snapshots, u64, Asked),
}

impl Job {
    fn size(&self) -> (usize, u64) {
        match self {
            Self::Lines(lines, bytes, _) => (*lines, *bytes),
            Self::Keep(_, bytes, _) => (0, *bytes),
        }
    }
}

/// What is written in one transaction.
#[derive(Default)]
pub(super) struct Batch {
    pub lines: Vec<Record>,
    pub remarks: BTreeMap<u64, u8>,
    pub keeps: Vec<Snapshots>,
    pub asked: Vec<Asked>,
    bytes: u64,
}

impl Batch {
    /// Tells everybody who waits for it.
    pub(super) fn answer(self, result: &Result<(), JournalError>) {
        for asked in self.asked {
            let _nobody_waits_any_more = asked.send(result.clone());
        }
    }
}

/// The queue, for any number of threads that fill it and one that empties it.
pub(super) struct Queue {
    limits: Limits,
    inner: Mutex<Inner>,
    work: Condvar,
}

#[derive(Clone, Copy)]
struct Limits {
    queue_bytes: u64,
    batch_lines: usize,
    batch_bytes: u64,
}

struct Inner {
    /// The place of the next line.
    next: u64,
    /// No place beyond this one is given. It is in the file, so that no place is ever given twice.
    bound: u64,
    /// The newest line that is safe.
    safe: u64,
    jobs: VecDeque<Job>,
    /// Lines that are not safe yet, those of the batch that is being written included, without gaps.
    placed: VecDeque<Record>,
    /// How many of them are in the batch that is being written.
    taken: usize,
    placed_bytes: u64,
    remarks: BTreeMap<u64, u8>,
    over: Option<JournalError>,
}

impl Queue {
    /// A queue whose first line gets the place `next`, and none a place beyond `bound`.
    pub(super) fn new(config: &JournalConfig, next: u64, bound: u64, safe: u64) -> Self {
        let limits = Limits {
            queue_bytes: config.queue_bytes as u64,
            batch_lines: config.batch_lines,
            batch_bytes: config.batch_bytes as u64,
        };
        let inner = Inner {
            next,
            bound,
            safe,
            jobs: VecDeque::new(),
            placed: VecDeque::new(),
            taken: 0,
            placed_bytes: 0,
            remarks: BTreeMap::new(),
            over: None,
        };
        Self { limits, inner: Mutex::new(inner), work: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Only `placed` can have panicked in here, and it is called when everything is in its place.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the lines their places and queues them.
    pub(super) fn append(
        &self,
        lines: Vec<Line>,
        placed: Placed<'_>,
    ) -> Result<Answer, JournalError> {
        let bytes = lines.iter().map(|line| cost(line.text.len())).sum();
        let mut inner = self.lock();
        inner.room(self.limits, lines.len(), bytes)?;
        let (asked, answer) = oneshot::channel();
        inner.jobs.push_back(Job::Lines(lines.len(), bytes, asked));
        inner.placed_bytes += bytes;
        let first = Position(inner.next);
        for line in lines {
            let position = Position(inner.next);
            inner.placed.push_back(Record { position, line: in_file_time(line) });
            inner.next += 1;
        }
        placed(first);
        drop(inner);
        self.work.notify_one();
        Ok(answer)
    }

    /// Queues snapshots. They take no room of lines: who makes them waits for one part before the next.
    pub(super) fn keep(&self, mut snapshots: Snapshots) -> Result<Answer, JournalError> {
        let texts = snapshots.of.iter().map(|(call, text)| call.as_str().len() + text.len());
        let bytes = texts.sum::<usize>() as u64;
        let mut inner = self.lock();
        if let Some(error) = &inner.over {
            return Err(error.clone());
        }
        let newest = Position(inner.next.saturating_sub(1));
        snapshots.covers = snapshots.covers.map(|covers| covers.min(newest));
        let (asked, answer) = oneshot::channel();
        inner.jobs.push_back(Job::Keep(snapshots, bytes, asked));
        drop(inner);
        self.work.notify_one();
        Ok(answer)
    }

    /// Queues a remark. One about a line that was never placed is forgotten.
    pub(super) fn remark(&self, position: Position, remark: Remark) {
        let mut inner = self.lock();
        if inner.over.is_none() && position.0 < inner.next {
            *inner.remarks.entry(position.0).or_default() |= remark.0;
            drop(inner);
            self.work.notify_one();
        }
    }

    /// What is to be written next, when there is something; with `wait`, as soon as there is. `None`
    /// for nothing (more).
    pub(super) fn take(&self, wait: bool) -> Option<Batch> {
        let mut inner = self.lock();
        loop {
            if inner.has_work() {
                return Some(inner.batch(self.limits));
            }
            if !wait || inner.over.is_some() {
                return None;
            }
            inner = self.work.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The batch that was taken is safe; places up to `bound` may now be given.
    pub(super) fn safe(&self, batch: &Batch, bound: u64) {
        let mut inner = self.lock();
        if let Some(last) = batch.lines.last() {
            inner.safe = last.position.0;
        }
        inner.placed.drain(..batch.lines.len());
        inner.placed_bytes -= batch.bytes;
        inner.taken = 0;
        inner.bound = bound;
    }

    /// Takes nothing more. What is queued can still be taken out.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        inner.over.get_or_insert_with(|| JournalError::Failed("it was closed".into()));
        drop(inner);
        self.work.notify_all();
    }

    /// Takes nothing more, and gives nothing more out: everybody who waits is told.
    pub(super) fn fail(&self, why: &Arc<str>) {
        let mut inner = self.lock();
        let error = JournalError::Failed(Arc::clone(why));
        inner.over = Some(error.clone());
        inner.remarks.clear();
        let jobs = std::mem::take(&mut inner.jobs);
        drop(inner);
        for job in jobs {
            let (Job::Lines(_, _, asked) | Job::Keep(_, _, asked)) = job;
            let _nobody_waits_any_more = asked.send(Err(error.clone()));
        }
        self.work.notify_all();
    }

    /// A line that has a place and is not safe yet.
    pub(super) fn find(&self, position: Position) -> Option<Record> {
        let inner = self.lock();
        let first = inner.placed.front()?.position;
        let index = usize::try_from(position.0.checked_sub(first.0)?).ok()?;
        inner.placed.get(index).cloned()
    }

    /// Lines that are not safe yet.
    pub(super) fn len(&self) -> usize {
        self.lock().placed.len()
    }
}

impl Inner {
    fn room(&self, limits: Limits, lines: usize, bytes: u64) -> Result<(), JournalError> {
        if let Some(error) = &self.over {
            return Err(error.clone());
        }
        let places = self.bound.saturating_sub(self.next - 1);
        // One batch of any size passes when nothing else waits: it could never come in otherwise.
        let small = self.placed.is_empty() || self.placed_bytes + bytes <= limits.queue_bytes;
        if lines as u64 <= places && small { Ok(()) } else { Err(JournalError::Full) }
    }

    fn has_work(&self) -> bool {
        let first = self.remarks.first_key_value().map(|(at, _)| *at);
        !self.jobs.is_empty() || first.is_some_and(|at| at <= self.safe)
    }

    /// The oldest jobs, as many as one transaction takes and at least one, and the remarks about lines
    /// that are in the file when they are: a remark is never there before its line.
    fn batch(&mut self, limits: Limits) -> Batch {
        let mut batch = Batch::default();
        let (mut lines, mut written) = (0, 0);
        while let Some(job) = self.jobs.front() {
            let (more_lines, more_bytes) = job.size();
            let first = batch.asked.is_empty();
            let fits = lines + more_lines <= limits.batch_lines
                && written + more_bytes <= limits.batch_bytes;
            if !first && !fits {
                break;
            }
            lines += more_lines;
            written += more_bytes;
            match self.jobs.pop_front() {
                Some(Job::Lines(_, bytes, asked)) => {
                    batch.bytes += bytes;
                    batch.asked.push(asked);
                }
                Some(Job::Keep(snapshots, _, asked)) => {
                    batch.keeps.push(snapshots);
                    batch.asked.push(asked);
                }
                None => {}
            }
        }
        batch.lines = self.placed.iter().skip(self.taken).take(lines).cloned().collect();
        self.taken += lines;
        let newest = batch.lines.last().map_or(self.safe, |record| record.position.0);
        let later = self.remarks.split_off(&newest.saturating_add(1));
        batch.remarks = std::mem::replace(&mut self.remarks, later);
        batch
    }
}

/// The file keeps milliseconds; a line is the same before it is there and after.
fn in_file_time(mut line: Line) -> Line {
    line.at = Timestamp::from_millisecond(line.at.as_millisecond()).unwrap_or(line.at);
    line
}
