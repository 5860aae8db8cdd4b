//! A disk for tests: it fails when it is told to, and forgets what was not synced when the power goes.

use std::collections::BTreeMap;
use std::io::{Cursor, Error, ErrorKind, Result};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::blob::fs::{FileToRead, FileToWrite, Fs};

/// One directory on a disk. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimFs(Arc<Mutex<State>>);

#[derive(Clone, Debug, Default)]
struct State {
    contents: Vec<Content>,
    /// Name → index in `contents`.
    names: BTreeMap<String, usize>,
    /// The same as it was synced last.
    durable_names: BTreeMap<String, usize>,
    /// How many more operations that change something go well.
    n_before_fault: Option<usize>,
    /// Whether everything fails after that, or one operation.
    is_dying: bool,
}

#[derive(Clone, Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    n_synced: usize,
}

impl SimFs {
    /// Lets one operation fail, after this many more that go well.
    pub(crate) fn fail_once(&self, n_before: usize) {
        let mut state = self.lock();
        (state.n_before_fault, state.is_dying) = (Some(n_before), false);
    }

    /// Lets everything fail after this many more operations, as for a process that is killed there: nothing
    /// that it would still do is done.
    pub(crate) fn die_after(&self, n_before: usize) {
        let mut state = self.lock();
        (state.n_before_fault, state.is_dying) = (Some(n_before), true);
    }

    pub(crate) fn revive(&self) {
        self.lock().n_before_fault = None;
    }

    pub(crate) fn n_files(&self) -> usize {
        self.lock().names.len()
    }

    /// What a machine finds that comes up after a power cut now: each name as it was or as it is, and of each
    /// content what was synced and some of the rest, with zeros where it was not written.
    pub(crate) fn after_power_cut(&self, rng: &mut fastrand::Rng) -> Self {
        let mut state = self.lock().clone();
        let names: Vec<String> = state
            .names
            .keys()
            .chain(state.durable_names.keys())
            .cloned()
            .collect();
        let mut found = state.durable_names.clone();
        for name in names {
            if rng.bool() {
                match state.names.get(&name) {
                    Some(idx) => found.insert(name, *idx),
                    None => found.remove(&name),
                };
            }
        }
        for content in &mut state.contents {
            let n_kept = rng.usize(content.n_synced..=content.bytes.len());
            content.bytes[n_kept..].fill(0);
            if rng.bool() {
                content.bytes.truncate(n_kept);
            }
            content.n_synced = content.bytes.len();
        }
        (state.names, state.durable_names) = (found.clone(), found);
        state.n_before_fault = None;
        Self(Arc::new(Mutex::new(state)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    /// Counts an operation that changes something, and fails it if its turn has come.
    fn begin(&mut self) -> Result<()> {
        match &mut self.n_before_fault {
            None => Ok(()),
            Some(0) => {
                if !self.is_dying {
                    self.n_before_fault = None;
                }
                Err(Error::from(ErrorKind::StorageFull))
            }
            Some(n_before) => {
                *n_before -= 1;
                Ok(())
            }
        }
    }
}

impl Fs for SimFs {
    fn create_directory(&self, _directory: &Path) -> Result<()> {
        Ok(())
    }

    fn list(&self, _directory: &Path) -> Result<Vec<(String, u64)>> {
        let state = self.lock();
        let size = |idx: &usize| state.contents[*idx].bytes.len() as u64;
        let names = state.names.iter();
        Ok(names.map(|(name, idx)| (name.clone(), size(idx))).collect())
    }

    fn create(&self, path: &Path) -> Result<Box<dyn FileToWrite>> {
        let mut state = self.lock();
        state.begin()?;
        let idx = state.contents.len();
        state.contents.push(Content::default());
        if state.names.insert(name(path), idx).is_some() {
            return Err(Error::from(ErrorKind::AlreadyExists));
        }
        Ok(Box::new(SimFile {
            fs: self.clone(),
            idx,
        }))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn FileToRead>> {
        let state = self.lock();
        let idx = state.names.get(&name(path));
        let idx = idx.ok_or(Error::from(ErrorKind::NotFound))?;
        Ok(Box::new(Cursor::new(state.contents[*idx].bytes.clone())))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let mut state = self.lock();
        state.begin()?;
        let idx = state.names.remove(&name(from));
        let idx = idx.ok_or(Error::from(ErrorKind::NotFound))?;
        state.names.insert(name(to), idx);
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let mut state = self.lock();
        state.begin()?;
        let removed = state.names.remove(&name(path));
        removed.map(drop).ok_or(Error::from(ErrorKind::NotFound))
    }

    fn sync_directory(&self, _directory: &Path) -> Result<()> {
        let mut state = self.lock();
        state.begin()?;
        state.durable_names = state.names.clone();
        Ok(())
    }

    fn free_bytes(&self, _directory: &Path) -> Option<u64> {
        None
    }
}

struct SimFile {
    fs: SimFs,
    idx: usize,
}

impl FileToWrite for SimFile {
    fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        let mut state = self.fs.lock();
        let begun = state.begin();
        let n_written = match begun {
            Ok(()) => bytes.len(),
            Err(_) => bytes.len() / 2,
        };
        let content = &mut state.contents[self.idx];
        content.bytes.extend_from_slice(&bytes[..n_written]);
        begun
    }

    fn sync(&mut self) -> Result<()> {
        let mut state = self.fs.lock();
        state.begin()?;
        let content = &mut state.contents[self.idx];
        content.n_synced = content.bytes.len();
        Ok(())
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}
