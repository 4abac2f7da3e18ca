//! The journal on disk: one redb file, one thread that writes it.
//!
//! Owns positions, group commit, retention and the file's format. Never interprets what it keeps.
//!
//! Whoever appends gets places and is queued under one lock. The committer takes whatever is queued,
//! writes it in one transaction, flushes, answers everybody in it, and looks again: there is no timer,
//! the flush itself makes batches. Readers see what is committed and wait for nobody.

pub(super) mod format;
mod opening;
mod queue;
mod reading;
mod telling;
#[cfg(test)]
mod tests;
mod writing;

use std::future::ready;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::thread;
use std::time::Duration;

use redb::{Database, StorageBackend};
use tokio::sync::watch;

use self::opening::Loaded;
use self::queue::{Answer, Batch, Queue};
use self::telling::{Done, Telling};
use self::writing::Writer;
use super::StoreError;
use super::disk::{self, Opened, Shutter};
use crate::clock::Stopwatch;
use crate::ports::{
    Found, Journal, JournalError, JournalState, Later, Line, Page, Placed, Position, Record,
    Remark, Snapshots,
};

/// The name of the journal's file in its folder.
pub const FILE: &str = "journal.redb";

/// How a journal is kept. The defaults are those of `config/default.toml`.
#[derive(Clone, Debug)]
pub struct JournalConfig {
    /// Lines that may wait to be written, those that are being written included. No append may have
    /// more.
    pub queue_lines: usize,
    /// Their bytes. An append that finds nothing waiting may have more.
    pub queue_bytes: usize,
    /// Lines that are so much older than the newest one leave, with the next commit.
    pub max_age: Duration,
    /// Bytes of all lines; beyond, the oldest leave. The file is larger: pages are not filled to the
    /// brim, and it grows by doubling.
    pub max_bytes: u64,
    /// Memory for reading and writing the file.
    pub cache_bytes: usize,
    /// Lines of one commit. An append is never split.
    pub batch_lines: usize,
    /// Bytes of one commit.
    pub batch_bytes: usize,
    /// Added to each flush; for benchmarks on disks that are too kind.
    pub added_flush: Duration,
    /// The name of a journal that is made now; one that is there keeps its own.
    pub new_life: u32,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            queue_lines: 65_536,
            queue_bytes: 64 << 20,
            max_age: Duration::from_secs(7 * 24 * 60 * 60),
            max_bytes: 2 << 30,
            cache_bytes: 32 << 20,
            batch_lines: 1024,
            batch_bytes: 1 << 20,
            added_flush: Duration::ZERO,
            new_life: uuid::Uuid::new_v4().as_fields().0,
        }
    }
}

/// The journal in a redb file.
///
/// Positions are 1, 2, 3, … in a new file. When it is opened again they go on beyond all that may have
/// been handed out before: the newest committed one and the limit of the queue, and one.
pub struct RedbJournal {
    shared: Arc<Shared>,
    committer: Mutex<Option<thread::JoinHandle<()>>>,
}

struct Shared {
    config: JournalConfig,
    /// Named in errors.
    file: PathBuf,
    life: u32,
    /// `None` once it is closed.
    db: RwLock<Option<Database>>,
    shutter: Shutter,
    queue: Queue,
    writer: Mutex<Writer>,
    telling: Telling,
    state: watch::Sender<JournalState>,
}

impl RedbJournal {
    /// Opens `journal.redb` in the folder; both are made when they are missing. Blocks: after a crash
    /// the file is checked.
    ///
    /// # Errors
    /// [`StoreError`], each with what to do about it.
    pub fn open(folder: &Path, config: JournalConfig) -> Result<Arc<Self>, StoreError> {
        disk::folder(folder)?;
        let file = folder.join(FILE);
        let opened = disk::open_file(&file, config.cache_bytes, config.added_flush)?;
        let shared = Shared::load(opened, file, config)?;
        disk::flush_names(folder)?;
        Self::with_committer(shared)
    }

    /// Opens the journal on another disk than the machine's. What is left of one whose making was cut
    /// off is refused as damaged; in a folder such a file never gets its name.
    ///
    /// # Errors
    /// As [`RedbJournal::open`].
    pub fn on(disk: impl StorageBackend, config: JournalConfig) -> Result<Arc<Self>, StoreError> {
        Self::with_committer(Shared::load_on(disk, config)?)
    }

    /// A journal without a thread of its own: nothing is written until somebody calls
    /// [`RedbJournal::commit_next`]. For simulations in which everything has its order.
    ///
    /// # Errors
    /// As [`RedbJournal::open`].
    pub fn by_hand(
        disk: impl StorageBackend,
        config: JournalConfig,
    ) -> Result<Arc<Self>, StoreError> {
        let shared = Arc::new(Shared::load_on(disk, config)?);
        Ok(Arc::new(Self { shared, committer: Mutex::default() }))
    }

    fn with_committer(shared: Shared) -> Result<Arc<Self>, StoreError> {
        let shared = Arc::new(shared);
        let its = Arc::clone(&shared);
        let committer = thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || while its.commit_next(true) {})
            .map_err(|error| StoreError::unusable(&shared.file, &error))?;
        Ok(Arc::new(Self { shared, committer: Mutex::new(Some(committer)) }))
    }

    /// Writes what one transaction takes of what is queued, and says whether there was anything.
    pub fn commit_next(&self) -> bool {
        self.shared.commit_next(false)
    }

    /// Lines that have a place and are not safe yet.
    pub fn waiting(&self) -> usize {
        self.shared.queue.len()
    }

    /// Writes what is queued, ends the committer and closes the file. Whoever comes later is refused.
    pub fn close(&self) {
        self.shared.queue.close();
        let committer = self.committer.lock().unwrap_or_else(PoisonError::into_inner).take();
        match committer {
            Some(committer) => {
                let _it_told_of_its_panics = committer.join();
            }
            None => while self.shared.commit_next(false) {},
        }
        let db = self.shared.db.write().unwrap_or_else(PoisonError::into_inner).take();
        // After a failure the engine may find its own locks poisoned while it leaves.
        let _it_has_failed_already = disk::guarded(|| drop(db));
    }
}

impl Drop for RedbJournal {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn load_on(disk: impl StorageBackend, config: JournalConfig) -> Result<Self, StoreError> {
        let file = PathBuf::from(FILE);
        let (cache_bytes, added_flush) = (config.cache_bytes, config.added_flush);
        let opened = disk::open_on(Box::new(disk), &file, cache_bytes, added_flush)?;
        Self::load(opened, file, config)
    }

    fn load(opened: Opened, file: PathBuf, config: JournalConfig) -> Result<Self, StoreError> {
        let loaded = disk::guarded(|| opening::load(&opened.db, &file, &config))
            .unwrap_or_else(|panic| Err(StoreError::damaged(&file, panic)));
        let Loaded { writer, first, found } = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                opened.leave();
                return Err(error);
            }
        };
        let Opened { db, shutter } = opened;
        let telling = Telling::register();
        telling.found(found);
        let state = watch::Sender::new(state_of(&writer));
        Ok(Self {
            // Only 32 bits of it are ever written.
            life: u32::try_from(writer.head.life).unwrap_or_default(),
            queue: Queue::new(&config, first, writer.head.bound, writer.newest),
            writer: Mutex::new(writer),
            db: RwLock::new(Some(db)),
            config,
            file,
            shutter,
            telling,
            state,
        })
    }

    /// Writes the next batch; with `wait`, as soon as there is one. `false` when there is nothing
    /// (more) to write.
    fn commit_next(&self, wait: bool) -> bool {
        let Some(batch) = self.queue.take(wait) else { return false };
        self.telling.queued(self.queue.len());
        let watch = Stopwatch::start();
        match disk::guarded(|| self.write(&batch)) {
            Ok(Ok(done)) => self.committed(batch, done, watch.elapsed()),
            Ok(Err(why)) | Err(why) => self.failed(batch, why),
        }
        true
    }

    fn write(&self, batch: &Batch) -> Result<Done, String> {
        let db = self.db();
        let db = db.as_ref().ok_or("it was closed")?;
        let done = self.writer().commit(db, batch, &self.config);
        done.map_err(|error| error.to_string())
    }

    fn committed(&self, batch: Batch, done: Done, took: Duration) {
        let writer = *self.writer();
        self.queue.safe(&batch, writer.head.bound);
        self.telling.committed(&batch, done, took);
        self.telling.queued(self.queue.len());
        self.state.send_replace(state_of(&writer));
        batch.answer(&Ok(()));
    }

    /// The end: nobody can say what the disk has of this batch, and a flush that is tried again and
    /// succeeds would not prove that the first one's pages are there.
    fn failed(&self, batch: Batch, why: String) {
        self.shutter.shut();
        telling::failed(&why);
        let why: Arc<str> = why.into();
        self.state.send_modify(|state| state.failed = Some(Arc::clone(&why)));
        self.queue.fail(&why);
        batch.answer(&Err(JournalError::Failed(why)));
    }

    fn db(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.db.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn state_of(writer: &Writer) -> JournalState {
    JournalState {
        newest: Position(writer.newest),
        covered: Position(writer.head.covered),
        uncovered: writer.head.uncovered,
        failed: None,
    }
}

async fn answered(asked: Result<Answer, JournalError>) -> Result<(), JournalError> {
    let gone = || JournalError::Failed("its thread is gone".into());
    asked?.await.unwrap_or_else(|_| Err(gone()))
}

impl Journal for RedbJournal {
    fn append(
        &self,
        lines: Vec<Line>,
        placed: Placed<'_>,
    ) -> Later<'static, Result<(), JournalError>> {
        if lines.is_empty() {
            return Box::pin(ready(Ok(())));
        }
        let asked = self.shared.queue.append(lines, placed);
        if matches!(asked, Err(JournalError::Full)) {
            self.shared.telling.refused();
        }
        Box::pin(answered(asked))
    }

    fn remark(&self, position: Position, remark: Remark) {
        self.shared.queue.remark(position, remark);
    }

    fn keep(&self, snapshots: Snapshots) -> Later<'static, Result<(), JournalError>> {
        Box::pin(answered(self.shared.queue.keep(snapshots)))
    }

    fn read(&self, after: Position, limit: usize) -> Later<'_, Result<Page, JournalError>> {
        Box::pin(ready(self.shared.reading(|db| reading::page(db, after, limit))))
    }

    fn get(&self, at: &[Position]) -> Later<'_, Result<Vec<Option<Record>>, JournalError>> {
        Box::pin(ready(self.shared.get(at)))
    }

    fn recover(&self, found: &mut dyn FnMut(Found<'_>)) -> Result<(), JournalError> {
        self.shared.reading(|db| reading::recover(db, found))
    }

    fn state(&self) -> watch::Receiver<JournalState> {
        self.shared.state.subscribe()
    }

    fn life(&self) -> u32 {
        self.shared.life
    }
}
