//! A file that is looked at and never changed: whatever the engine writes, to repair it, say, stays in
//! memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

use super::StoreError;

/// Changes are remembered in blocks of so many bytes.
const BLOCK: usize = 4096;

/// The disk that is shown to the engine.
#[derive(Debug)]
pub(super) struct Overlay {
    file: FileBackend,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    /// What the engine takes for the file's length.
    len: u64,
    /// Bytes of the file that are still to be seen; what was cut off stays away.
    seen: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl Overlay {
    /// Opens the file for reading.
    ///
    /// # Errors
    /// [`StoreError::Unusable`].
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let unusable = |error: io::Error| StoreError::unusable(path, &error);
        let file = File::open(path).map_err(unusable)?;
        let len = file.metadata().map_err(unusable)?.len();
        let file = FileBackend::new(file).map_err(|error| StoreError::of(path, error.into()))?;
        let written = Mutex::new(Written { len, seen: len, blocks: BTreeMap::new() });
        Ok(Self { file, written })
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block as it is in the file, with zeros beyond its end.
    fn block(&self, at: u64, seen: u64) -> io::Result<Vec<u8>> {
        let mut block = vec![0; BLOCK];
        let start = at * BLOCK as u64;
        let there = seen.saturating_sub(start).min(BLOCK as u64);
        let there = usize::try_from(there).unwrap_or(BLOCK);
        if let Some(part) = block.get_mut(..there).filter(|part| !part.is_empty()) {
            self.file.read(start, part)?;
        }
        Ok(block)
    }
}

/// The blocks that a range of bytes touches: number, first byte in it, bytes of it.
fn touched(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let (mut at, end) = (offset, offset.saturating_add(len as u64));
    std::iter::from_fn(move || {
        let left = usize::try_from(end.saturating_sub(at)).unwrap_or(BLOCK);
        let (block, inside) = (at / BLOCK as u64, usize::try_from(at % BLOCK as u64).unwrap_or(0));
        let taken = left.min(BLOCK - inside);
        at += taken as u64;
        (taken > 0).then_some((block, inside, taken))
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.written();
        if offset.saturating_add(out.len() as u64) > written.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut rest = out;
        for (at, inside, taken) in touched(offset, rest.len()) {
            let (part, later) = rest.split_at_mut(taken);
            match written.blocks.get(&at) {
                Some(block) => part.copy_from_slice(&block[inside..inside + taken]),
                None => {
                    let block = self.block(at, written.seen)?;
                    part.copy_from_slice(&block[inside..inside + taken]);
                }
            }
            rest = later;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut written = self.written();
        if len < written.len {
            written.seen = written.seen.min(len);
            let (last, inside) = (len / BLOCK as u64, usize::try_from(len % BLOCK as u64));
            written.blocks.retain(|at, _| *at <= last);
            if let (Some(block), Ok(inside)) = (written.blocks.get_mut(&last), inside) {
                block[inside..].fill(0);
            }
        }
        written.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.written();
        let mut rest = data;
        for (at, inside, taken) in touched(offset, data.len()) {
            let (part, later) = rest.split_at(taken);
            let mut block = match written.blocks.remove(&at) {
                Some(block) => block,
                None => self.block(at, written.seen)?,
            };
            block[inside..inside + taken].copy_from_slice(part);
            written.blocks.insert(at, block);
            rest = later;
        }
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    // A shared lock is all that a reader needs, and all that it may have: no service may use the file
    // meanwhile, and several may look at it.

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}
