//! A disk that is held in the hand: it remembers what was flushed and what was only written, loses power
//! on request, and breaks in the ways in which disks break.
//!
//! It is the backend of a store in tests. A clone is the same disk; [`SimDisk::crash`] gives another one,
//! as it is found after the power came back.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

/// What is written whole or not at all.
const SECTOR: u64 = 512;

/// Random numbers that are the same for the same seed.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number (SplitMix64).
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.roll() % end.max(1)
    }

    /// True so many times in a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// How a disk breaks. Writes, flushes and operations are counted from 1, over the life of the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Flushes say that they are done, and are not.
    pub lying: bool,
    /// Writes beyond so many bytes fail: the disk is full.
    pub capacity: Option<u64>,
    /// This write fails, and those after it do not.
    pub fail_write: Option<u64>,
    /// This flush fails, and those after it do not.
    pub fail_flush: Option<u64>,
    /// The power goes off in the middle of this operation (write, change of length or flush).
    pub cut_at: Option<u64>,
}

/// What was asked of the disk and is not flushed yet.
#[derive(Clone, Debug)]
enum Pending {
    Length(u64),
    Bytes(u64, Vec<u8>),
}

#[derive(Debug, Default)]
struct State {
    /// What survives whatever comes.
    flushed: Vec<u8>,
    /// What is read.
    current: Vec<u8>,
    pending: Vec<Pending>,
    faults: Faults,
    operations: u64,
    writes: u64,
    flushes: u64,
    off: bool,
}

/// The disk.
#[derive(Clone, Debug, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

impl SimDisk {
    /// An empty disk that works.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on it breaks like this.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// From now on it breaks like this, counted from now.
    pub fn cut_after(&self, operations: u64) {
        let mut state = self.lock();
        state.faults.cut_at = Some(state.operations + operations);
    }

    /// The power goes off now.
    pub fn cut(&self) {
        self.lock().off = true;
    }

    /// Whether it has no power any more.
    pub fn is_off(&self) -> bool {
        self.lock().off
    }

    /// Operations, writes and flushes so far.
    pub fn counts(&self) -> (u64, u64, u64) {
        let state = self.lock();
        (state.operations, state.writes, state.flushes)
    }

    /// What is on the disk when the power comes back: all that was flushed, and of the rest whatever
    /// the seed says, each piece kept, dropped, or kept in some of its sectors. The new disk breaks in
    /// no way but lying, if this one lied. This one is left without power.
    pub fn crash(&self, seed: u64) -> Self {
        let mut state = self.lock();
        state.off = true;
        let mut dice = Dice::new(seed);
        // Some caches were just written out, some held everything back, most are in between.
        let (keep, tear) = match dice.below(6) {
            0 => (100, 0),
            1 => (0, 0),
            2 => (90, 5),
            3 => (10, 5),
            _ => (35, 35),
        };
        let mut found = state.flushed.clone();
        for pending in &state.pending {
            let fate = dice.below(100);
            match pending {
                _ if fate < keep => apply(&mut found, pending),
                Pending::Bytes(offset, data) if fate < keep + tear => {
                    tear_into(&mut found, *offset, data, &mut dice);
                }
                _ => {}
            }
        }
        let faults = Faults { lying: state.faults.lying, ..Faults::default() };
        let after = State { flushed: found.clone(), current: found, faults, ..State::default() };
        Self(Arc::new(Mutex::new(after)))
    }
}

fn apply(to: &mut Vec<u8>, pending: &Pending) {
    match pending {
        Pending::Length(length) => to.resize(index(*length), 0),
        Pending::Bytes(offset, data) => put(to, *offset, data),
    }
}

/// A write whose change of length was lost makes the file longer by itself.
fn put(to: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let (start, end) = (index(offset), index(offset) + data.len());
    if to.len() < end {
        to.resize(end, 0);
    }
    to[start..end].copy_from_slice(data);
}

fn tear_into(to: &mut Vec<u8>, offset: u64, data: &[u8], dice: &mut Dice) {
    let end = offset + data.len() as u64;
    let mut at = offset;
    while at < end {
        let next = ((at / SECTOR + 1) * SECTOR).min(end);
        if dice.chance(50) {
            put(to, at, &data[index(at - offset)..index(next - offset)]);
        }
        at = next;
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("a small disk")
}

fn off() -> io::Error {
    io::Error::other("the power is off")
}

impl State {
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.off {
            return Err(off());
        }
        let (start, end) = (index(offset), index(offset) + out.len());
        let found = self.current.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        Ok(())
    }

    /// Counts an operation that changes the disk; `true` when the power goes off in the middle of it.
    fn operate(&mut self) -> io::Result<bool> {
        if self.off {
            return Err(off());
        }
        self.operations += 1;
        self.off = self.faults.cut_at.is_some_and(|at| self.operations >= at);
        Ok(self.off)
    }

    fn change(&mut self, pending: Pending) -> io::Result<()> {
        let cut = self.operate()?;
        if let Pending::Bytes(offset, data) = &pending {
            self.writes += 1;
            if self.faults.fail_write == Some(self.writes) {
                return Err(io::Error::other("this write failed"));
            }
            let end = offset + data.len() as u64;
            if self.faults.capacity.is_some_and(|capacity| end > capacity) {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        apply(&mut self.current, &pending);
        self.pending.push(pending);
        if cut { Err(off()) } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let cut = self.operate()?;
        self.flushes += 1;
        if self.faults.fail_flush == Some(self.flushes) {
            return Err(io::Error::other("this flush failed"));
        }
        if cut {
            return Err(off());
        }
        if !self.faults.lying {
            for pending in self.pending.drain(..) {
                apply(&mut self.flushed, &pending);
            }
        }
        Ok(())
    }
}

impl StorageBackend for SimDisk {
    fn len(&self) -> io::Result<u64> {
        let state = self.lock();
        if state.off { Err(off()) } else { Ok(state.current.len() as u64) }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.lock().read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.lock().change(Pending::Length(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.lock().flush()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.lock().change(Pending::Bytes(offset, data.to_vec()))
    }
}

#[test]
fn what_was_flushed_survives_and_the_rest_only_by_luck() {
    let disk = SimDisk::new();
    disk.set_len(4096).expect("grown");
    disk.write(0, &[1; 1024]).expect("written");
    disk.sync_data().expect("flushed");
    disk.write(0, &[2; 1024]).expect("written");
    let mut found = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let mut read = [0; 1024];
        let after = disk.crash(seed);
        after.read(0, &mut read).expect("readable");
        assert!(read.chunks(512).all(|sector| sector == [1; 512] || sector == [2; 512]));
        assert_eq!(after.len().expect("a length"), 4096);
        found.insert((read[0], read[512]));
    }
    assert_eq!(found.len(), 4, "each sector has a fate of its own: {found:?}");
    assert!(disk.write(0, &[3]).is_err(), "the crashed one has no power");
}
