//! Reading a blob piece by piece.

use std::fmt;
use std::path::PathBuf;

use crate::blob::BlobError;
use crate::blob::fs::FileToRead;
use crate::blob::store::io;

/// Reads a blob. What was removed meanwhile can be read to its end.
pub struct BlobReader {
    file: Box<dyn FileToRead>,
    n_left: u64,
    path: PathBuf,
}

impl BlobReader {
    /// Reads what is left from where the file stands.
    pub(crate) fn new(file: Box<dyn FileToRead>, n_left: u64, path: PathBuf) -> Self {
        Self { file, n_left, path }
    }

    /// Fills the buffer, less at the end; returns how many bytes that are, 0 at the end.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, BlobError> {
        let n_wanted = usize::try_from(self.n_left).unwrap_or(usize::MAX);
        let n_wanted = n_wanted.min(buffer.len());
        let wanted = buffer.get_mut(..n_wanted).unwrap_or_default();
        let read = self.file.read_exact(wanted);
        read.map_err(|error| io(&self.path, &error))?;
        self.n_left -= n_wanted as u64;
        Ok(n_wanted)
    }

    /// How many bytes are still to come.
    #[must_use]
    pub fn n_left(&self) -> u64 {
        self.n_left
    }
}

impl fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobReader")
            .field("path", &self.path)
            .field("n_left", &self.n_left)
            .finish_non_exhaustive()
    }
}
