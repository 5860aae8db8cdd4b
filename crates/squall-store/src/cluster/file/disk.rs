//! Where a [`crate::cluster::FileCluster`] has its file: the machine's disk, or one that tests break.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Builder, Database};

use crate::OpenError;
use crate::disk::{directory_of, open_or_create, sync_directory};

/// A place for one file. All of it blocks.
pub(crate) trait Disk: Send + 'static {
    /// Opens the file, or makes it.
    fn create(&self, builder: &Builder) -> Result<Database, OpenError>;

    /// Makes it certain that a new file is found again after a power cut.
    fn sync_directory(&self) -> Result<(), OpenError>;

    /// Opens the file once more after something has failed. It is never made anew: that would be another
    /// store.
    fn reopen(&self, builder: &Builder) -> Result<Database, OpenError>;

    /// How much more fits on the disk, in bytes; `None` when nobody knows.
    fn free_bytes(&self) -> Option<u64>;

    /// The file.
    fn path(&self) -> &Path;
}

/// The machine's own disk.
#[derive(Debug)]
pub(crate) struct FileDisk {
    path: PathBuf,
}

impl FileDisk {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

impl Disk for FileDisk {
    fn create(&self, builder: &Builder) -> Result<Database, OpenError> {
        open_or_create(&self.path, builder)
    }

    fn sync_directory(&self) -> Result<(), OpenError> {
        sync_directory(directory_of(&self.path)).map_err(|error| OpenError::io(&self.path, &error))
    }

    fn reopen(&self, builder: &Builder) -> Result<Database, OpenError> {
        let path = &self.path;
        let io = |error| OpenError::io(path, &error);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).open(path).map_err(io)?;
        if file.metadata().map_err(io)?.len() == 0 {
            return Err(OpenError::corrupt(path, "it has been emptied"));
        }
        FileBackend::new(file)
            .and_then(|backend| builder.create_with_backend(backend))
            .map_err(|error| OpenError::explain(path, error))
    }

    fn free_bytes(&self) -> Option<u64> {
        crate::disk::free_bytes(directory_of(&self.path))
    }

    fn path(&self) -> &Path {
        &self.path
    }
}
