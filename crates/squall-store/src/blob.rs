//! Large files that never change, each under the SHA-256 of its content: the binaries that were uploaded.
//!
//! **Invariant:** what stands under a hash has that hash: a blob gets its name when its content is complete,
//! compared and durable, and it is compared again before it is first read.
//!
//! All of it blocks, on the disk: call it from a thread that may wait.

mod fs;
mod hash;
mod reader;
mod store;
#[cfg(test)]
mod tests;
mod writer;

use thiserror::Error;

pub use hash::BlobHash;
pub use reader::BlobReader;
pub use store::{BlobStore, BlobStoreConfig, Mark, Removed};
pub use writer::BlobWriter;

/// What a blob store can answer instead.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BlobError {
    /// The blob is larger than one may be.
    #[error("a blob of {n_bytes} bytes is above the bound of {max_bytes}")]
    TooLarge {
        /// Its size.
        n_bytes: u64,
        /// The largest.
        max_bytes: u64,
    },
    /// There is no room, within the store's bound or on the disk. Nothing was kept.
    #[error("{0}")]
    Full(String),
    /// As many uploads as there may be at once are under way: try again.
    #[error("{max_uploads} uploads are under way already; try again when one of them is done")]
    Busy {
        /// How many there may be.
        max_uploads: usize,
    },
    /// More or less came than was announced. Nothing was kept.
    #[error("{expected} bytes were announced, {found} came")]
    WrongSize {
        /// How many bytes were announced.
        expected: u64,
        /// How many came, as far as anybody looked.
        found: u64,
    },
    /// What came is something else than was announced. Nothing was kept.
    #[error("the content has the SHA-256 {found}, not {expected}")]
    WrongHash {
        /// What was announced.
        expected: BlobHash,
        /// What came.
        found: BlobHash,
    },
    /// There is no such blob.
    #[error("no blob {hash} is stored")]
    Missing {
        /// Its hash.
        hash: BlobHash,
    },
    /// The disk has changed the blob. It was removed, and can be uploaded again.
    #[error("blob {hash} was damaged on the disk and has been removed; upload it again")]
    Damaged {
        /// Its hash.
        hash: BlobHash,
    },
    /// A file can't be read or written.
    #[error("{path}: {reason}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
}
