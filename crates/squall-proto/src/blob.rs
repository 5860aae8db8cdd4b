//! Binaries by their hash.

use prost::bytes::Bytes;

use crate::bounds::{MAX_BLOB_BYTES, MAX_CHUNK_BYTES};
use crate::check;
use crate::field::{At, FieldError};
use crate::hash::Sha256;
use crate::wire;

/// What is going to be uploaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadHeader {
    /// The hash of the whole.
    pub sha256: Sha256,
    /// The size of the whole: 1 to [`MAX_BLOB_BYTES`].
    pub size_bytes: u64,
}

/// A piece of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadPart {
    /// The first message of the stream.
    Header(UploadHeader),
    /// The next bytes: 1 to [`MAX_CHUNK_BYTES`].
    Chunk(Bytes),
}

/// Asks for a blob's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchBlob {
    /// Its hash.
    pub sha256: Sha256,
    /// How many bytes to skip.
    pub offset_bytes: u64,
}

/// A piece of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobChunk {
    /// The size of the whole blob.
    pub size_bytes: u64,
    /// Where the chunk begins. It ends at the blob's end or before.
    pub offset_bytes: u64,
    /// The bytes: at most [`MAX_CHUNK_BYTES`]; none only at the blob's end.
    pub chunk: Bytes,
}

impl TryFrom<wire::HasRequest> for Sha256 {
    type Error = FieldError;

    fn try_from(wire: wire::HasRequest) -> Result<Self, FieldError> {
        wire.sha256.try_into().at("sha256")
    }
}

impl From<Sha256> for wire::HasRequest {
    fn from(sha256: Sha256) -> Self {
        Self {
            sha256: sha256.into(),
        }
    }
}

impl TryFrom<wire::UploadRequest> for UploadPart {
    type Error = FieldError;

    fn try_from(wire: wire::UploadRequest) -> Result<Self, FieldError> {
        use wire::upload_request::Part;
        match wire.part {
            Some(Part::Header(header)) => header.try_into().map(Self::Header).at("header"),
            Some(Part::Chunk(chunk)) => {
                check::bytes("chunk", chunk, 1..=MAX_CHUNK_BYTES).map(Self::Chunk)
            }
            None => Err(FieldError::missing("part")),
        }
    }
}

impl From<UploadPart> for wire::UploadRequest {
    fn from(part: UploadPart) -> Self {
        use wire::upload_request::Part;
        let part = match part {
            UploadPart::Header(header) => Part::Header(header.into()),
            UploadPart::Chunk(chunk) => Part::Chunk(chunk),
        };
        Self { part: Some(part) }
    }
}

impl TryFrom<wire::UploadHeader> for UploadHeader {
    type Error = FieldError;

    fn try_from(wire: wire::UploadHeader) -> Result<Self, FieldError> {
        Ok(Self {
            sha256: wire.sha256.try_into().at("sha256")?,
            size_bytes: check::number("size_bytes", wire.size_bytes, 1..=MAX_BLOB_BYTES)?,
        })
    }
}

impl From<UploadHeader> for wire::UploadHeader {
    fn from(header: UploadHeader) -> Self {
        Self {
            sha256: header.sha256.into(),
            size_bytes: header.size_bytes,
        }
    }
}

impl TryFrom<wire::FetchRequest> for FetchBlob {
    type Error = FieldError;

    fn try_from(wire: wire::FetchRequest) -> Result<Self, FieldError> {
        Ok(Self {
            sha256: wire.sha256.try_into().at("sha256")?,
            offset_bytes: check::number("offset_bytes", wire.offset_bytes, 0..=MAX_BLOB_BYTES)?,
        })
    }
}

impl From<FetchBlob> for wire::FetchRequest {
    fn from(fetch: FetchBlob) -> Self {
        Self {
            sha256: fetch.sha256.into(),
            offset_bytes: fetch.offset_bytes,
        }
    }
}

impl TryFrom<wire::FetchResponse> for BlobChunk {
    type Error = FieldError;

    fn try_from(wire: wire::FetchResponse) -> Result<Self, FieldError> {
        let size = check::number("size_bytes", wire.size_bytes, 1..=MAX_BLOB_BYTES)?;
        let offset = check::number("offset_bytes", wire.offset_bytes, 0..=size)?;
        let left = usize::try_from(size - offset).unwrap_or(usize::MAX);
        let chunk = check::bytes("chunk", wire.chunk, left.min(1)..=left.min(MAX_CHUNK_BYTES))?;
        Ok(Self {
            size_bytes: size,
            offset_bytes: offset,
            chunk,
        })
    }
}

impl From<BlobChunk> for wire::FetchResponse {
    fn from(chunk: BlobChunk) -> Self {
        Self {
            size_bytes: chunk.size_bytes,
            offset_bytes: chunk.offset_bytes,
            chunk: chunk.chunk,
        }
    }
}
