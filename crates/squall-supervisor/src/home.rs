//! The data directory: what a supervisor knows after it was killed at any moment.
//!
//! ```text
//! supervisor.json        who it is, and the highest leader epoch
//! lock                   held while a supervisor runs
//! binaries/SHA256        what workers are started from
//! slots/PORT/slot.json   the latest start in that slot
//! slots/PORT/order       what nimbus wanted there last
//! slots/PORT/launch      what the worker is told at its start
//! slots/PORT/lock        held by the worker
//! slots/PORT/workers/T.N the directory that worker N of topology T runs in
//! ```

mod identity;
mod ports;
mod slot_dir;

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use squall_daemon::data_dir::{DataDir, DataDirError};
use thiserror::Error;

use crate::files::{self, FailPoints};

pub(crate) use identity::{Identity, Leader};
pub(crate) use ports::pick as pick_ports;
pub(crate) use slot_dir::SlotDir;

/// The longest `supervisor.json`, in bytes.
const MAX_IDENTITY_BYTES: u64 = 64 << 10;

/// A data directory that can't be used.
#[derive(Debug, Error)]
pub enum HomeError {
    /// It can't be had, or another supervisor has it.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// A file in it isn't what it should be.
    #[error(
        "{}: {reason}; move the data directory away to start over as a new supervisor", .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The settings ask for what contradicts it.
    #[error("{}: {reason}", .path.display())]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// What contradicts what, and what to do.
        reason: String,
    },
    /// It can't be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// An open data directory; no other supervisor has it.
#[derive(Debug)]
pub(crate) struct Home {
    root: PathBuf,
    points: FailPoints,
    _directory: DataDir,
}

impl Home {
    /// Opens the directory, or makes it and those above it. Blocks.
    ///
    /// # Errors
    /// [`HomeError`].
    pub(crate) fn open(root: &Path, points: FailPoints) -> Result<Self, HomeError> {
        let directory = DataDir::open(root)?;
        // Workers run elsewhere: their paths must mean the same there.
        let root = root.canonicalize().map_err(|error| io(root, error))?;
        let home = Self {
            root,
            points,
            _directory: directory,
        };
        make_directory(&home.binaries())?;
        Ok(home)
    }

    /// Returns the directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns where the binaries are.
    pub(crate) fn binaries(&self) -> PathBuf {
        self.root.join("binaries")
    }

    /// Opens a slot's directory, or makes it. Blocks.
    ///
    /// # Errors
    /// [`HomeError::Io`].
    pub(crate) fn slot(&self, port: u16) -> Result<SlotDir, HomeError> {
        let path = self.root.join("slots").join(port.to_string());
        make_directory(&path)?;
        Ok(SlotDir::new(path, self.points.clone()))
    }

    /// Reads who this supervisor is; `None` at its first start. Blocks.
    ///
    /// # Errors
    /// [`HomeError::Damaged`], [`HomeError::Io`].
    pub(crate) fn identity(&self) -> Result<Option<Identity>, HomeError> {
        let path = self.identity_path();
        let content = files::read(&path, MAX_IDENTITY_BYTES).map_err(|error| io(&path, error))?;
        let parse = |content: Vec<u8>| Identity::parse(&content);
        let identity = content.map(parse).transpose();
        identity.map_err(|reason| HomeError::Damaged { path, reason })
    }

    /// Stores who this supervisor is. Blocks.
    ///
    /// # Errors
    /// [`HomeError::Io`].
    pub(crate) fn store_identity(&self, identity: &Identity) -> Result<(), HomeError> {
        let path = self.identity_path();
        files::replace(&path, &identity.to_bytes(), &self.points).map_err(|error| io(&path, error))
    }

    /// Returns where that is.
    pub(crate) fn identity_path(&self) -> PathBuf {
        self.root.join("supervisor.json")
    }
}

/// Makes a directory for its owner only, and those above it.
fn make_directory(path: &Path) -> Result<(), HomeError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(path).map_err(|error| io(path, error))
}

pub(crate) fn io(path: &Path, source: io::Error) -> HomeError {
    HomeError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_supervisor_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("a").join("b");
        let home = Home::open(&root, FailPoints::default()).unwrap();
        let error = Home::open(&root, FailPoints::default()).unwrap_err();
        assert!(matches!(error, HomeError::DataDir(_)), "{error}");
        drop(home);
        Home::open(&root, FailPoints::default()).unwrap();
    }

    #[test]
    fn a_damaged_identity_says_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::open(directory.path(), FailPoints::default()).unwrap();
        assert!(home.identity().unwrap().is_none());
        std::fs::write(home.identity_path(), "{").unwrap();
        let error = home.identity().unwrap_err().to_string();
        assert!(error.contains("supervisor.json: "), "{error}");
        assert!(
            error.ends_with("to start over as a new supervisor"),
            "{error}"
        );
    }
}
