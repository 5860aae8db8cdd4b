//! The few things that a blob store asks of a disk; another one in tests.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Result, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A disk.
pub(crate) trait Fs: Send + Sync + fmt::Debug {
    /// Makes a directory and those above it, durably.
    fn create_directory(&self, directory: &Path) -> Result<()>;

    /// The names and sizes of the files in a directory.
    fn list(&self, directory: &Path) -> Result<Vec<(String, u64)>>;

    /// Makes a file that must not be there yet.
    fn create(&self, path: &Path) -> Result<Box<dyn FileToWrite>>;

    /// Opens a file to read.
    fn open(&self, path: &Path) -> Result<Box<dyn FileToRead>>;

    /// Renames a file, over another if need be.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> Result<()>;

    /// Makes what was made, renamed and removed in a directory durable.
    fn sync_directory(&self, directory: &Path) -> Result<()>;

    /// How much more fits on the disk, in bytes; `None` when nobody knows.
    fn free_bytes(&self, directory: &Path) -> Option<u64>;
}

/// A file that is being written.
pub(crate) trait FileToWrite: Send {
    /// Appends.
    fn write_all(&mut self, bytes: &[u8]) -> Result<()>;

    /// Makes what was written durable.
    fn sync(&mut self) -> Result<()>;
}

/// A file that is being read.
pub(crate) trait FileToRead: Read + Seek + Send {}

impl<T: Read + Seek + Send> FileToRead for T {}

/// The machine's own disk.
#[derive(Debug)]
pub(crate) struct RealFs {
    /// The permissions of new files, in octal.
    pub(crate) mode: u32,
}

impl Fs for RealFs {
    fn create_directory(&self, directory: &Path) -> Result<()> {
        crate::disk::create_directory(directory)
    }

    fn list(&self, directory: &Path) -> Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            // A name that is no text is none of ours.
            if metadata.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                files.push((name, metadata.len()));
            }
        }
        Ok(files)
    }

    fn create(&self, path: &Path) -> Result<Box<dyn FileToWrite>> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(self.mode);
        Ok(Box::new(file.open(path)?))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn FileToRead>> {
        Ok(Box::new(File::open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_directory(&self, directory: &Path) -> Result<()> {
        crate::disk::sync_directory(directory)
    }

    fn free_bytes(&self, directory: &Path) -> Option<u64> {
        crate::disk::free_bytes(directory)
    }
}

impl FileToWrite for File {
    fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        Write::write_all(self, bytes)
    }

    fn sync(&mut self) -> Result<()> {
        self.sync_all()
    }
}
