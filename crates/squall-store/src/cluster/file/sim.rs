//! A disk for tests: it fails when it is told to, and forgets what was not synced when the power goes.

use std::collections::BTreeSet;
use std::io::{Error, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::{Builder, Database, StorageBackend};

use crate::OpenError;
use crate::cluster::file::Disk;

/// What a disk allocates and loses at once, in bytes.
const BLOCK: usize = 4096;
const SECTOR: usize = 512;

/// One file on a disk. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimDisk(Arc<Mutex<State>>);

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// What needs a block that the file doesn't have yet fails.
    Full,
    /// Each write, change of length and sync fails, a write after its first half is done.
    Broken,
    /// The same, but each panics.
    Panics,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    allocated: BTreeSet<usize>,
    /// What is there after a power cut, whatever else gets lost.
    durable: Vec<u8>,
    unsynced: Vec<Unsynced>,
    fault: Option<Fault>,
    /// How many more writes, changes of length and syncs go well before the fault sets in.
    n_before_fault: usize,
    /// What is wrong with the operation that was begun last.
    met: Option<Fault>,
    n_ops: usize,
    free_bytes: Option<u64>,
}

#[derive(Clone, Debug)]
enum Unsynced {
    Len(usize),
    Write { offset: usize, data: Vec<u8> },
}

impl SimDisk {
    /// Begins to fail after this many more operations that change something.
    pub(crate) fn fail(&self, fault: Fault, n_before: usize) {
        let mut state = self.lock();
        (state.fault, state.n_before_fault) = (Some(fault), n_before);
    }

    pub(crate) fn heal(&self) {
        self.lock().fault = None;
    }

    pub(crate) fn set_free_bytes(&self, free_bytes: u64) {
        self.lock().free_bytes = Some(free_bytes);
    }

    pub(crate) fn n_ops(&self) -> usize {
        self.lock().n_ops
    }

    pub(crate) fn empty(&self) {
        self.lock().bytes.clear();
    }

    /// What a machine finds that comes up after a power cut now: of what was not synced all or some
    /// sectors.
    pub(crate) fn after_power_cut(&self, rng: &mut fastrand::Rng) -> Self {
        let state = self.lock();
        let mut bytes = state.durable.clone();
        let keeps_all = rng.bool();
        for unsynced in &state.unsynced {
            match unsynced {
                Unsynced::Len(len) if keeps_all || rng.bool() => bytes.resize(*len, 0),
                Unsynced::Len(_) => {}
                Unsynced::Write { offset, data } => {
                    let kept = if keeps_all { 0 } else { rng.u8(0..3) };
                    for (n, sector) in data.chunks(SECTOR).enumerate() {
                        if kept == 0 || (kept == 1 && rng.bool()) {
                            write(&mut bytes, offset + n * SECTOR, sector);
                        }
                    }
                }
            }
        }
        let state = State {
            allocated: (0..bytes.len().div_ceil(BLOCK)).collect(),
            durable: bytes.clone(),
            bytes,
            ..State::default()
        };
        Self(Arc::new(Mutex::new(state)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Begins an operation that changes something.
    fn begin(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.begin();
        if state.met == Some(Fault::Panics) {
            // Whoever looks at the disk afterwards must find it whole.
            drop(state);
            panic!("told to panic");
        }
        state
    }

    fn open(&self, builder: &Builder) -> Result<Database, OpenError> {
        let opened = builder.create_with_backend(SimFile(self.clone()));
        opened.map_err(|error| OpenError::explain(self.path(), error))
    }
}

impl Disk for SimDisk {
    fn create(&self, builder: &Builder) -> Result<Database, OpenError> {
        self.open(builder)
    }

    fn sync_directory(&self) -> Result<(), OpenError> {
        Ok(())
    }

    fn reopen(&self, builder: &Builder) -> Result<Database, OpenError> {
        if self.lock().bytes.is_empty() {
            return Err(OpenError::corrupt(self.path(), "it has been emptied"));
        }
        self.open(builder)
    }

    fn free_bytes(&self) -> Option<u64> {
        self.lock().free_bytes
    }

    fn path(&self) -> &Path {
        Path::new("nimbus.redb")
    }
}

/// The file as redb has it open.
#[derive(Debug)]
struct SimFile(SimDisk);

impl State {
    /// Counts an operation that changes something, and finds out what is wrong with it.
    fn begin(&mut self) {
        self.n_ops += 1;
        self.met = self.fault;
        if self.fault.is_some() && self.n_before_fault > 0 {
            self.n_before_fault -= 1;
            self.met = None;
        }
    }

    fn write(&mut self, offset: usize, data: &[u8]) {
        write(&mut self.bytes, offset, data);
        self.unsynced.push(Unsynced::Write {
            offset,
            data: data.to_owned(),
        });
    }
}

impl StorageBackend for SimFile {
    fn len(&self) -> Result<u64, Error> {
        Ok(self.0.lock().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        let state = self.0.lock();
        let from = usize::try_from(offset).unwrap();
        let found = state.bytes.get(from..from + out.len());
        out.copy_from_slice(found.ok_or(Error::from(ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        let mut state = self.0.begin();
        if state.met == Some(Fault::Broken) {
            return Err(Error::from_raw_os_error(5));
        }
        let len = usize::try_from(len).unwrap();
        state.bytes.resize(len, 0);
        state.unsynced.push(Unsynced::Len(len));
        Ok(())
    }

    fn sync_data(&self) -> Result<(), Error> {
        let mut state = self.0.begin();
        if state.met == Some(Fault::Broken) {
            return Err(Error::from_raw_os_error(5));
        }
        state.durable = state.bytes.clone();
        state.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        let mut state = self.0.begin();
        let offset = usize::try_from(offset).unwrap();
        let fault = state.met;
        if fault == Some(Fault::Broken) {
            state.write(offset, &data[..data.len() / 2]);
            return Err(Error::from_raw_os_error(5));
        }
        for block in offset / BLOCK..=(offset + data.len() - 1) / BLOCK {
            if fault.is_some() && !state.allocated.contains(&block) {
                return Err(Error::from(ErrorKind::StorageFull));
            }
            state.allocated.insert(block);
        }
        state.write(offset, data);
        Ok(())
    }
}

fn write(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if bytes.len() < offset + data.len() {
        bytes.resize(offset + data.len(), 0);
    }
    bytes[offset..offset + data.len()].copy_from_slice(data);
}
