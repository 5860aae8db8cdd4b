//! How a fetch can fail, and whose fault it is.

use std::io;
use std::path::{Path, PathBuf};

use squall_proto::Sha256;
use thiserror::Error;

use crate::slots::Fault;

/// A binary that isn't there.
#[derive(Debug, Error)]
pub(crate) enum FetchError {
    /// Nobody answers, or the answer broke off.
    #[error("nimbus can't be reached for the binary: {reason}")]
    Away {
        /// What happened.
        reason: String,
    },
    /// Nimbus doesn't give it.
    #[error("nimbus doesn't give the binary: {reason}")]
    Refused {
        /// Why.
        reason: String,
    },
    /// There is no room.
    #[error(
        "no room for the binary: {needed_bytes} bytes more are needed, {min_free_bytes} are kept free, and \
         {free_bytes} are left in {}; make room there", .directory.display()
    )]
    NoRoom {
        /// Where.
        directory: PathBuf,
        /// What is left.
        free_bytes: u64,
        /// What the binary still takes.
        needed_bytes: u64,
        /// What must stay free.
        min_free_bytes: u64,
    },
    /// What came isn't what was asked for.
    #[error("the binary that came has the SHA-256 {found}")]
    WrongHash {
        /// What it has.
        found: Sha256,
    },
    /// The pieces don't fit together.
    #[error("the binary came in pieces that don't fit: {reason}")]
    Misfit {
        /// How.
        reason: String,
    },
    /// The file can't be written or read.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl FetchError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    /// Says whose fault it is.
    pub(crate) const fn fault(&self) -> Fault {
        match self {
            Self::Away { .. } => Fault::Away,
            Self::Refused { .. }
            | Self::NoRoom { .. }
            | Self::WrongHash { .. }
            | Self::Misfit { .. }
            | Self::Io { .. } => Fault::Here,
        }
    }
}
