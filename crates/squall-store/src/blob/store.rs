//! The store: which blobs there are, and how much room is left.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::blob::fs::{FileToRead, Fs, RealFs};
use crate::blob::{BlobError, BlobHash, BlobReader, BlobWriter};
use crate::disk::is_full;

/// What the names of unfinished uploads end in.
pub(crate) const UNFINISHED: &str = ".unfinished";

/// Blobs in a directory that nobody else writes to. Clones share it.
#[derive(Clone, Debug)]
pub struct BlobStore {
    shared: Arc<Shared>,
}

/// The bounds of a [`BlobStore`].
#[derive(Clone, Debug)]
pub struct BlobStoreConfig {
    /// The largest blob, in bytes. Default: 1 GiB.
    pub max_blob_bytes: u64,
    /// How much all blobs and uploads may take together, in bytes. Default: 16 GiB.
    pub max_total_bytes: u64,
    /// How much must be left on the disk after an upload, in bytes. Default: 64 MiB.
    pub min_free_bytes: u64,
    /// How many uploads may be under way at once. Default: 16.
    pub max_uploads: usize,
    /// The permissions of the files, in octal. Default: 0o400, readable by the owner, not to be started.
    pub mode: u32,
}

impl Default for BlobStoreConfig {
    fn default() -> Self {
        Self {
            max_blob_bytes: 1 << 30,
            max_total_bytes: 16 << 30,
            min_free_bytes: 64 << 20,
            max_uploads: 16,
            mode: 0o400,
        }
    }
}

/// A moment in a store's life: see [`BlobStore::remove_unreferenced`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// How many blobs.
    pub n_blobs: usize,
    /// How many bytes they took.
    pub n_bytes: u64,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) directory: PathBuf,
    pub(crate) config: BlobStoreConfig,
    pub(crate) fs: Arc<dyn Fs>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    blobs: BTreeMap<BlobHash, Blob>,
    /// What the blobs and the uploads that are under way take.
    n_bytes: u64,
    n_uploads: usize,
    /// Counts what was ever begun.
    clock: u64,
}

#[derive(Clone, Copy, Debug)]
struct Blob {
    n_bytes: u64,
    /// Whether its content was compared since the store was opened.
    is_verified: bool,
    /// When it was uploaded, or asked for by somebody who had it too.
    touched: Mark,
}

impl BlobStore {
    /// Opens the directory, or makes it and those above it, and removes what a killed process left half done.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn open(directory: impl Into<PathBuf>, config: BlobStoreConfig) -> Result<Self, BlobError> {
        let fs = RealFs { mode: config.mode };
        Self::open_on(Arc::new(fs), directory.into(), config)
    }

    /// Opens a directory on any disk.
    pub(crate) fn open_on(
        fs: Arc<dyn Fs>,
        directory: PathBuf,
        config: BlobStoreConfig,
    ) -> Result<Self, BlobError> {
        let io = |error| io(&directory, &error);
        fs.create_directory(&directory).map_err(io)?;
        let mut state = State::default();
        for (name, n_bytes) in fs.list(&directory).map_err(io)? {
            if name.ends_with(UNFINISHED) {
                fs.remove(&directory.join(name)).map_err(io)?;
            } else if let Ok(hash) = name.parse() {
                let blob = Blob {
                    n_bytes,
                    is_verified: false,
                    touched: Mark::default(),
                };
                state.blobs.insert(hash, blob);
                state.n_bytes += n_bytes;
            }
        }
        // What is there now may have been renamed by a process that was killed before it could sync.
        fs.sync_directory(&directory).map_err(io)?;
        let shared = Shared {
            directory,
            config,
            fs,
            state: Mutex::new(state),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Tells whether a blob is stored, by its size in bytes. From now on it counts as young.
    #[must_use]
    pub fn size(&self, hash: BlobHash) -> Option<u64> {
        let mut state = self.shared.lock();
        let touched = state.tick();
        let blob = state.blobs.get_mut(&hash)?;
        blob.touched = touched;
        Some(blob.n_bytes)
    }

    /// What all blobs and the uploads that are under way take, in bytes.
    #[must_use]
    pub fn n_bytes(&self) -> u64 {
        self.shared.lock().n_bytes
    }

    /// Begins an upload of exactly `n_bytes`. `None` when the blob is stored already.
    ///
    /// # Errors
    /// [`BlobError::TooLarge`], [`BlobError::Full`], [`BlobError::Busy`], [`BlobError::Io`].
    pub fn begin(&self, hash: BlobHash, n_bytes: u64) -> Result<Option<BlobWriter>, BlobError> {
        if self.size(hash).is_some() {
            return Ok(None);
        }
        let number = self.shared.reserve(n_bytes)?;
        BlobWriter::begin(Arc::clone(&self.shared), hash, n_bytes, number).map(Some)
    }

    /// Opens a blob to be read from an offset, which may be its end. Compares the whole content with the hash
    /// first if nobody has since the store was opened, or the blob was uploaded.
    ///
    /// # Errors
    /// [`BlobError::Missing`], [`BlobError::Damaged`], [`BlobError::Io`], and [`BlobError::WrongSize`] for an
    /// offset behind the end.
    pub fn read(&self, hash: BlobHash, offset: u64) -> Result<BlobReader, BlobError> {
        let missing = BlobError::Missing { hash };
        let blob = self.shared.lock().blobs.get(&hash).copied();
        let blob = blob.ok_or_else(|| missing.clone())?;
        if offset > blob.n_bytes {
            return Err(BlobError::WrongSize {
                expected: blob.n_bytes,
                found: offset,
            });
        }
        let path = self.path(hash);
        let io = |error: std::io::Error| match error.kind() {
            // Removed meanwhile, by us or by somebody who shouldn't.
            ErrorKind::NotFound => missing.clone(),
            _ => io(&path, &error),
        };
        let mut file = self.shared.fs.open(&path).map_err(io)?;
        if !blob.is_verified {
            self.verify(hash, blob.n_bytes, &mut *file).map_err(io)??;
        }
        file.seek(SeekFrom::Start(offset)).map_err(io)?;
        Ok(BlobReader::new(file, blob.n_bytes - offset, path))
    }

    /// Returns where a blob's file is or would be. Nothing says that it is there.
    #[must_use]
    pub fn path(&self, hash: BlobHash) -> PathBuf {
        self.shared.path(hash)
    }

    /// Returns this moment.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.shared.lock().tick()
    }

    /// Removes the blobs that nobody needs: not in `referenced`, and neither uploaded nor asked for since
    /// `before`. Who has uploaded a blob, or was told that it is there, needs time to refer to it: pass
    /// a [`Mark`] that is as old as that takes.
    ///
    /// # Errors
    /// [`BlobError::Io`]; some blobs may be gone already.
    pub fn remove_unreferenced(
        &self,
        referenced: &BTreeSet<BlobHash>,
        before: Mark,
    ) -> Result<Removed, BlobError> {
        let mut removed = Removed::default();
        // The lock is held so that nobody is told that a blob is there which is on its way out.
        let mut state = self.shared.lock();
        let unreferenced: Vec<(BlobHash, u64)> = state
            .blobs
            .iter()
            .filter(|(hash, blob)| !referenced.contains(hash) && blob.touched < before)
            .map(|(hash, blob)| (*hash, blob.n_bytes))
            .collect();
        for (hash, n_bytes) in unreferenced {
            self.shared.remove(&mut state, hash)?;
            removed.n_blobs += 1;
            removed.n_bytes += n_bytes;
        }
        drop(state);
        if removed.n_blobs > 0 {
            self.shared.sync_directory()?;
        }
        Ok(removed)
    }

    /// Compares a file with its hash; an outer error is the disk's.
    fn verify(
        &self,
        hash: BlobHash,
        n_bytes: u64,
        file: &mut dyn FileToRead,
    ) -> std::io::Result<Result<(), BlobError>> {
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 64 << 10];
        let mut n_read = 0;
        loop {
            let n = file.read(&mut buffer)?;
            if n == 0 {
                break;
            }
            n_read += n as u64;
            hasher.update(buffer.get(..n).unwrap_or_default());
        }
        let mut state = self.shared.lock();
        if n_read == n_bytes && BlobHash::new(hasher.finalize().into()) == hash {
            if let Some(blob) = state.blobs.get_mut(&hash) {
                blob.is_verified = true;
            }
            return Ok(Ok(()));
        }
        if state.blobs.contains_key(&hash)
            && let Err(error) = self.shared.remove(&mut state, hash)
        {
            return Ok(Err(error));
        }
        Ok(Err(BlobError::Damaged { hash }))
    }
}

impl Shared {
    pub(crate) fn path(&self, hash: BlobHash) -> PathBuf {
        self.directory.join(hash.to_string())
    }

    fn sync_directory(&self) -> Result<(), BlobError> {
        let synced = self.fs.sync_directory(&self.directory);
        synced.map_err(|error| io(&self.directory, &error))
    }

    /// Sets room aside for an upload; returns a number that no other has.
    fn reserve(&self, n_bytes: u64) -> Result<u64, BlobError> {
        let config = &self.config;
        if n_bytes > config.max_blob_bytes {
            return Err(BlobError::TooLarge {
                n_bytes,
                max_bytes: config.max_blob_bytes,
            });
        }
        let free_bytes = self.fs.free_bytes(&self.directory);
        let mut state = self.lock();
        if state.n_uploads >= config.max_uploads {
            return Err(BlobError::Busy {
                max_uploads: config.max_uploads,
            });
        }
        let n_together = state.n_bytes.saturating_add(n_bytes);
        if n_together > config.max_total_bytes {
            return Err(BlobError::Full(format!(
                "with {n_bytes} bytes more the uploaded binaries would take {n_together}, above the bound of \
                 {}: kill topologies that are not needed, or raise the bound",
                config.max_total_bytes
            )));
        }
        let n_needed = n_bytes.saturating_add(config.min_free_bytes);
        if free_bytes.is_some_and(|free| free < n_needed) {
            return Err(BlobError::Full(format!(
                "{} has room for {} bytes more, {n_needed} are needed: free some",
                self.directory.display(),
                free_bytes.unwrap_or_default()
            )));
        }
        state.n_bytes = n_together;
        state.n_uploads += 1;
        Ok(state.tick().0)
    }

    /// Gives back what was set aside for an upload that came to nothing.
    pub(crate) fn release(&self, n_bytes: u64) {
        let mut state = self.lock();
        state.n_bytes = state.n_bytes.saturating_sub(n_bytes);
        state.n_uploads = state.n_uploads.saturating_sub(1);
    }

    /// Makes an upload a blob by way of `publish`. Under the lock, so that no removal of the same blob comes
    /// between.
    pub(crate) fn keep(
        &self,
        hash: BlobHash,
        n_bytes: u64,
        publish: impl FnOnce() -> Result<(), BlobError>,
    ) -> Result<(), BlobError> {
        let mut state = self.lock();
        publish()?;
        let blob = Blob {
            n_bytes,
            is_verified: true,
            touched: state.tick(),
        };
        if state.blobs.insert(hash, blob).is_some() {
            // Somebody else has uploaded the same.
            state.n_bytes = state.n_bytes.saturating_sub(n_bytes);
        }
        state.n_uploads = state.n_uploads.saturating_sub(1);
        Ok(())
    }

    fn remove(&self, state: &mut State, hash: BlobHash) -> Result<(), BlobError> {
        let path = self.path(hash);
        match self.fs.remove(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(&path, &error)),
            _ => {}
        }
        if let Some(blob) = state.blobs.remove(&hash) {
            state.n_bytes = state.n_bytes.saturating_sub(blob.n_bytes);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tick(&mut self) -> Mark {
        self.clock += 1;
        Mark(self.clock)
    }
}

/// Says what the system's refusal means.
pub(crate) fn io(path: &Path, error: &std::io::Error) -> BlobError {
    let path = path.display().to_string();
    if is_full(error) {
        return BlobError::Full(format!("no room for {path}: {error}; free some"));
    }
    BlobError::Io {
        path,
        reason: error.to_string(),
    }
}
