//! The directory where a daemon keeps what has to survive it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The file that is locked.
const LOCK: &str = "lock";
/// More than anybody's id has, in bytes.
const MAX_PID_BYTES: u64 = 20;

/// A data directory that nobody else of this kind has, for as long as this lives. A killed process holds
/// nothing: the kernel lets go of the lock.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Held, not read.
    _lock: File,
}

/// Why a directory can't be had.
#[derive(Debug, Error)]
pub enum DataDirError {
    /// Another process has it.
    #[error(
        "the data directory {} is in use{}: stop that process first, or name another directory",
        .path.display(),
        .pid.map(|pid| format!(" by process {pid}")).unwrap_or_default()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Whose, if it has said so.
        pid: Option<u32>,
    },
    /// It can't be made, read or locked.
    #[error("the data directory {}: {source}", .path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl DataDir {
    /// Takes the directory; makes it and those above it for the owner alone if need be. Blocks, shortly.
    ///
    /// # Errors
    /// [`DataDirError`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, DataDirError> {
        let path = path.into();
        match lock(&path) {
            Ok(Some(lock)) => Ok(Self { path, _lock: lock }),
            Ok(None) => {
                let pid = holder(&path);
                Err(DataDirError::InUse { path, pid })
            }
            Err(source) => Err(DataDirError::Io { path, source }),
        }
    }

    /// Returns the directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Locks the directory and writes our id into the lock; `None` if somebody else has it.
fn lock(path: &Path) -> std::io::Result<Option<File>> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options.mode(0o600).open(path.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // The id is for people. On a full disk the lock counts without it.
    drop(write_pid(&mut file));
    Ok(Some(file))
}

fn write_pid(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// Reads whose the lock is.
fn holder(path: &Path) -> Option<u32> {
    let file = File::open(path.join(LOCK)).ok()?;
    let mut text = String::new();
    file.take(MAX_PID_BYTES).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn is_made_for_the_owner_alone_and_had_by_one() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("deep/er");
        let first = DataDir::open(&path).unwrap();
        assert_eq!(first.path(), path);
        for made in [path.clone(), dir.path().join("deep")] {
            let mode = std::fs::metadata(made).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
        }
        let refused = DataDir::open(&path).unwrap_err();
        let expected = format!(
            "the data directory {} is in use by process {}: stop that process first, or name another directory",
            path.display(),
            std::process::id()
        );
        assert_eq!(refused.to_string(), expected);
        drop(first);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn a_lock_without_a_name_is_still_a_lock() {
        let dir = TempDir::new().unwrap();
        let _first = DataDir::open(dir.path()).unwrap();
        for text in ["", "nonsense", "99999999999999999999999"] {
            std::fs::write(dir.path().join(LOCK), text).unwrap();
            let refused = DataDir::open(dir.path()).unwrap_err();
            assert!(matches!(refused, DataDirError::InUse { pid: None, .. }));
            assert!(refused.to_string().contains("is in use: stop"));
        }
    }

    #[test]
    fn what_cannot_be_made_is_named() {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let refused = DataDir::open(file.join("data")).unwrap_err();
        assert!(matches!(refused, DataDirError::Io { .. }));
        assert!(refused.to_string().contains("file/data"), "{refused}");
    }
}
