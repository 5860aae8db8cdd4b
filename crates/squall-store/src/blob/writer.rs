//! An upload: written beside its place, compared, made durable, renamed.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::blob::fs::FileToWrite;
use crate::blob::store::{Shared, UNFINISHED, io};
use crate::blob::{BlobError, BlobHash};

/// Takes the content of a blob piece by piece. Dropping it ends the upload and leaves nothing behind.
pub struct BlobWriter {
    shared: Arc<Shared>,
    hash: BlobHash,
    n_bytes: u64,
    n_written: u64,
    hasher: Sha256,
    path: PathBuf,
    /// `None` once the upload is done or has failed.
    file: Option<Box<dyn FileToWrite>>,
    /// Whether the room is still set aside.
    holds_room: bool,
}

impl BlobWriter {
    /// Begins an upload for which room was set aside.
    pub(crate) fn begin(
        shared: Arc<Shared>,
        hash: BlobHash,
        n_bytes: u64,
        number: u64,
    ) -> Result<Self, BlobError> {
        let path = shared
            .directory
            .join(format!("{hash}.{number}{UNFINISHED}"));
        let mut writer = Self {
            shared,
            hash,
            n_bytes,
            n_written: 0,
            hasher: Sha256::new(),
            path,
            file: None,
            holds_room: true,
        };
        let file = writer.shared.fs.create(&writer.path);
        writer.file = Some(file.map_err(|error| io(&writer.path, &error))?);
        Ok(writer)
    }

    /// Appends a piece.
    ///
    /// # Errors
    /// [`BlobError::WrongSize`] when more comes than was announced, [`BlobError::Full`], [`BlobError::Io`]. The
    /// upload is over then.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), BlobError> {
        let n_written = self.n_written.saturating_add(piece.len() as u64);
        let result = match &mut self.file {
            None => Err(BlobError::Io {
                path: self.path.display().to_string(),
                reason: "the upload has failed before".to_owned(),
            }),
            Some(_) if n_written > self.n_bytes => Err(BlobError::WrongSize {
                expected: self.n_bytes,
                found: n_written,
            }),
            Some(file) => {
                let written = file.write_all(piece);
                written.map_err(|error| io(&self.path, &error))
            }
        };
        if result.is_err() {
            self.give_up();
            return result;
        }
        self.hasher.update(piece);
        self.n_written = n_written;
        Ok(())
    }

    /// Ends the upload: compares the content with what was announced, makes it durable and stores it under its
    /// hash.
    ///
    /// # Errors
    /// [`BlobError::WrongSize`], [`BlobError::WrongHash`], [`BlobError::Full`], [`BlobError::Io`]. Nothing was
    /// kept then.
    pub fn finish(mut self) -> Result<(), BlobError> {
        if self.n_written != self.n_bytes {
            return Err(BlobError::WrongSize {
                expected: self.n_bytes,
                found: self.n_written,
            });
        }
        let found = BlobHash::new(self.hasher.finalize_reset().into());
        if found != self.hash {
            return Err(BlobError::WrongHash {
                expected: self.hash,
                found,
            });
        }
        let Some(mut file) = self.file.take() else {
            return Err(BlobError::Io {
                path: self.path.display().to_string(),
                reason: "the upload has failed before".to_owned(),
            });
        };
        let synced = file.sync();
        drop(file);
        let stored = synced
            .map_err(|error| io(&self.path, &error))
            .and_then(|()| {
                let shared = Arc::clone(&self.shared);
                let place = shared.path(self.hash);
                shared.keep(self.hash, self.n_bytes, || {
                    let io = |error| io(&place, &error);
                    shared.fs.rename(&self.path, &place).map_err(io)?;
                    shared
                        .fs
                        .sync_directory(&shared.directory)
                        .map_err(|error| {
                            // Who is told that it failed must not find it done.
                            drop(shared.fs.remove(&place));
                            io(error)
                        })
                })
            });
        if let Err(error) = stored {
            self.remove();
            return Err(error);
        }
        self.holds_room = false;
        Ok(())
    }

    fn give_up(&mut self) {
        if self.file.take().is_some() {
            self.remove();
        }
    }

    fn remove(&self) {
        // What can't be removed now is removed when the store is opened.
        drop(self.shared.fs.remove(&self.path));
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        self.give_up();
        if self.holds_room {
            self.shared.release(self.n_bytes);
        }
    }
}

impl fmt::Debug for BlobWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobWriter")
            .field("hash", &self.hash)
            .field("n_bytes", &self.n_bytes)
            .field("n_written", &self.n_written)
            .finish_non_exhaustive()
    }
}
