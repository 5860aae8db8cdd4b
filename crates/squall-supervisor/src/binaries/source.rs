//! Where binaries come from.

use bytes::Bytes;
use squall_core::BoxFuture;
use squall_proto::Sha256;

use super::error::FetchError;

/// Gives binaries piece by piece.
pub(crate) trait Source: Send + Sync {
    /// Begins to read a binary behind so many bytes.
    fn open(
        &self,
        sha256: Sha256,
        offset_bytes: u64,
    ) -> BoxFuture<'_, Result<Box<dyn Pieces>, FetchError>>;
}

/// A read under way.
pub(crate) trait Pieces: Send {
    /// Returns the next piece; `None` behind the last.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Piece>, FetchError>>;
}

/// Some bytes of a binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The size of the whole.
    pub(crate) size_bytes: u64,
    /// Where the bytes begin.
    pub(crate) offset_bytes: u64,
    /// The bytes; none only at the end.
    pub(crate) bytes: Bytes,
}
