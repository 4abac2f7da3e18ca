//! What stands between the engine and a disk: a gate that shuts for good after a failure, and the way
//! to open a file so that its name survives a power cut too.

use std::any::Any;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redb::backends::FileBackend;
use redb::{BackendError, Database, StorageBackend};

use super::StoreError;
use crate::clock::hold_up;

/// Shuts a [`Gate`].
#[derive(Clone, Debug, Default)]
pub(super) struct Shutter(Arc<AtomicBool>);

impl Shutter {
    /// From now on nothing is written: after a failure nobody knows what the disk has, and another
    /// flush that succeeds would prove nothing.
    pub(super) fn shut(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn pass(&self) -> io::Result<()> {
        let shut = self.0.load(Ordering::SeqCst);
        if shut { Err(io::Error::other("nothing is written after a failure")) } else { Ok(()) }
    }
}

/// A disk behind a gate.
#[derive(Debug)]
struct Gate {
    disk: Box<dyn StorageBackend>,
    added_flush: Duration,
    shutter: Shutter,
}

impl StorageBackend for Gate {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.shutter.pass()?;
        self.disk.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.shutter.pass()?;
        hold_up(self.added_flush);
        self.disk.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.shutter.pass()?;
        self.disk.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.disk.close()
    }

    // The engine locks the file through these; a disk without locks says so.

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.disk.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.disk.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.disk.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.disk.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.disk.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.disk.query_lock_range(start, end)
    }
}

/// An open database and the gate before its disk.
pub(super) struct Opened {
    pub(super) db: Database,
    pub(super) shutter: Shutter,
}

/// Opens or makes the database on a disk; `name` is what the disk is called in errors.
pub(super) fn open_on(
    disk: Box<dyn StorageBackend>,
    name: &Path,
    cache_bytes: usize,
    added_flush: Duration,
) -> Result<Opened, StoreError> {
    let shutter = Shutter::default();
    let gate = Gate { disk, added_flush, shutter: shutter.clone() };
    let open = || {
        redb::Builder::new()
            .set_cache_size(cache_bytes)
            .set_repair_callback(|repair| told_repair(repair.progress()))
            .create_with_backend(gate)
    };
    let opened = guarded(open).map_err(|panic| StoreError::damaged(name, panic))?;
    let db = opened.map_err(|error| StoreError::of(name, error.into()))?;
    Ok(Opened { db, shutter })
}

/// Opens a database for looking at it, through a disk on which nothing is lost; says also whether it had to
/// be repaired for that.
pub(super) fn open_to_look(
    disk: impl StorageBackend,
    name: &Path,
    cache_bytes: usize,
) -> Result<(Opened, bool), StoreError> {
    let repaired = Arc::new(AtomicBool::new(false));
    let noticed = Arc::clone(&repaired);
    let open = || {
        redb::Builder::new()
            .set_cache_size(cache_bytes)
            .set_repair_callback(move |_| noticed.store(true, Ordering::SeqCst))
            .create_with_backend(disk)
    };
    let opened = guarded(open).map_err(|panic| StoreError::damaged(name, panic))?;
    let db = opened.map_err(|error| StoreError::of(name, error.into()))?;
    Ok((Opened { db, shutter: Shutter::default() }, repaired.load(Ordering::SeqCst)))
}

impl Opened {
    /// Closes a file that turned out to be of no use, and leaves it as it is.
    pub(super) fn leave(self) {
        self.shutter.shut();
        let _it_is_of_no_use = guarded(|| drop(self.db));
    }
}

/// Does something with the engine, which asserts what it believes about its own pages; a damaged file
/// can prove it wrong.
///
/// # Errors
/// What the panic said.
pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| panic_text(panic.as_ref()))
}

/// Opens or makes the database in a file, and locks it.
pub(super) fn open_file(
    path: &Path,
    cache_bytes: usize,
    added_flush: Duration,
) -> Result<Opened, StoreError> {
    if there(path) {
        return open_on(file(path)?, path, cache_bytes, added_flush);
    }
    // Made under another name, so that a crash half-way leaves no file that looks damaged. The lock is
    // on the file and moves with it.
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let unfinished = Path::new(&unfinished);
    let unusable = |error: io::Error| StoreError::unusable(unfinished, &error);
    let disk = file(unfinished)?;
    if there(path) {
        // Somebody else was a moment faster.
        fs::remove_file(unfinished).map_err(unusable)?;
        return open_on(file(path)?, path, cache_bytes, added_flush);
    }
    disk.set_len(0).map_err(unusable)?;
    let opened = open_on(disk, unfinished, cache_bytes, added_flush)?;
    fs::rename(unfinished, path).map_err(unusable)?;
    Ok(opened)
}

fn there(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.len() > 0)
}

/// Opens the file, made when it is missing, and locks it.
fn file(path: &Path) -> Result<Box<dyn StorageBackend>, StoreError> {
    let unusable = |error: io::Error| StoreError::unusable(path, &error);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(unusable)?;
    let backend = FileBackend::new(file).map_err(|error| StoreError::of(path, error.into()))?;
    Ok(Box::new(backend))
}

/// Makes the folder where it is missing. What is kept there is about people: nobody else on this machine
/// may look.
pub(super) fn folder(path: &Path) -> Result<(), StoreError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| StoreError::unusable(path, &error))
}

/// Makes sure that the names of new files in the folder, and its own, survive a power cut: flushing a
/// file does not flush the folder that it stands in.
pub(super) fn flush_names(folder: &Path) -> Result<(), StoreError> {
    if !cfg!(unix) {
        return Ok(());
    }
    let full = folder.canonicalize().map_err(|error| StoreError::unusable(folder, &error))?;
    let parent = full.parent().map(Path::to_owned);
    let flush = |path: &Path| File::open(path).and_then(|opened| opened.sync_all());
    flush(&full).map_err(|error| StoreError::unusable(folder, &error))?;
    // The folder above may be somebody else's; then its name was there before we came.
    let _not_permitted = parent.map(|parent| flush(&parent));
    Ok(())
}

fn told_repair(progress: f64) {
    tracing::warn!(progress, "a file of the store was not closed in order and is checked whole");
}

/// What a panic said.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "the engine panicked".to_owned())
}
