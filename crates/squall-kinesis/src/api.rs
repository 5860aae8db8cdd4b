//! What the spout needs from Kinesis, and nothing more: three calls and one table of errors.
//!
//! The spout sees this trait only: [`crate::Aws`] stands behind it in earnest, a scripted fake in tests.

use std::fmt;
use std::sync::Arc;

use squall_core::{BoxFuture, Str};
use thiserror::Error;

use crate::sequence::Sequence;

/// The calls that the spout makes on one stream.
pub trait KinesisApi: Send + Sync {
    /// Lists one page of the stream's shards, open and closed; `token` comes from the page before.
    ///
    /// # Errors
    /// [`ApiError`].
    fn list_shards<'a>(
        &'a self,
        token: Option<&'a str>,
    ) -> BoxFuture<'a, Result<ShardPage, ApiError>>;

    /// Makes an iterator: it lives for five minutes.
    ///
    /// # Errors
    /// [`ApiError`].
    fn shard_iterator<'a>(
        &'a self,
        shard: &'a ShardId,
        start: &'a Start,
    ) -> BoxFuture<'a, Result<String, ApiError>>;

    /// Reads at most `limit` records (1 to 10 000) and at most 10 MiB from an iterator on.
    ///
    /// # Errors
    /// [`ApiError`].
    fn records<'a>(
        &'a self,
        iterator: &'a str,
        limit: u32,
    ) -> BoxFuture<'a, Result<Page, ApiError>>;
}

/// One of the three calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    ListShards,
    GetShardIterator,
    GetRecords,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ListShards => "ListShards",
            Self::GetShardIterator => "GetShardIterator",
            Self::GetRecords => "GetRecords",
        })
    }
}

/// A shard's name: `shardId-000000000000`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(Str);

impl ShardId {
    /// Wraps a name.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self(Str::new(id))
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name as a value that clones cheaply.
    pub(crate) const fn as_value(&self) -> &Str {
        &self.0
    }

    /// Returns the number in the name, or `None` where it has another form.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        self.0.strip_prefix("shardId-")?.parse().ok()
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A shard as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardInfo {
    /// Its name.
    pub id: ShardId,
    /// The shards that it came from: none, one after a split, two after a merge. They may be gone.
    pub parents: Vec<ShardId>,
    /// It takes no more records: it was split or merged.
    pub closed: bool,
}

/// One page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardPage {
    /// The shards, in no certain order; the next page may repeat some.
    pub shards: Vec<ShardInfo>,
    /// What the next page is asked for with; `None` on the last one.
    pub next_token: Option<String>,
}

/// Where an iterator starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record that is still there.
    TrimHorizon,
    /// Behind the newest record. Used only where an operator has asked for it: what comes between the
    /// iterator and the first read of it is lost when the iterator expires.
    Latest,
    /// At the first record that arrived at this time or later, in milliseconds since 1970.
    AtTimestamp(u64),
    /// At this record.
    AtSequence(Sequence),
    /// Behind this record.
    AfterSequence(Sequence),
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in the shard.
    pub sequence: Sequence,
    /// What decided on its shard.
    pub partition_key: Str,
    /// Its contents.
    pub data: Arc<[u8]>,
    /// When it arrived, in milliseconds since 1970, by the stream's clock.
    pub arrival_ms: Option<i64>,
}

/// What one read gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The records in the order of their sequence numbers; none is normal even when there are more.
    pub records: Vec<Record>,
    /// The iterator of the next read; `None` at the end of a closed shard.
    pub next_iterator: Option<String>,
    /// How far the end of this page is behind the newest record, in milliseconds.
    pub behind_ms: Option<u64>,
    /// The shards that follow this one. Present only at its end, and not from every server.
    pub children: Vec<ShardId>,
}

impl Page {
    /// Returns the bytes of all data.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.records.iter().map(|record| record.data.len()).sum()
    }
}

/// A call that failed: which class of the spout's error table it is in, and what the server said.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// What is to be done about it.
    pub class: ErrorClass,
    /// The server's code, or a word of ours where none came.
    pub code: String,
    /// The server's text.
    pub message: String,
}

/// What is to be done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The shard's throughput is used up: wait for a second at least.
    Throttled,
    /// The server failed: back off and try again.
    Transient,
    /// No server answered, or what gives out credentials didn't: back off and try again.
    Unreachable,
    /// The iterator is too old: make a new one, at once.
    ExpiredIterator,
    /// The listing took too long: begin it anew.
    ExpiredToken,
    /// An iterator or a position isn't accepted.
    InvalidArgument,
    /// The shard or the whole stream isn't there.
    NotFound,
    /// The position is older than the oldest record.
    Trimmed,
    /// Credentials, permissions or encryption keys: somebody has to act; try again slowly.
    Denied,
    /// There are no credentials: somebody has to act; try again slowly.
    NoCredentials,
    /// Nothing says which region the stream is in: somebody has to act.
    NoRegion,
}

impl ErrorClass {
    /// Classifies by the server's code, or by the HTTP status where there is none that is known.
    #[must_use]
    pub fn of(code: &str, status: Option<u16>) -> Self {
        match code {
            "ProvisionedThroughputExceededException" => Self::Throttled,
            "ExpiredIteratorException" => Self::ExpiredIterator,
            "ExpiredNextTokenException" => Self::ExpiredToken,
            "InvalidArgumentException" | "ValidationException" => Self::InvalidArgument,
            "ResourceNotFoundException" => Self::NotFound,
            "TrimmedDataAccessException" => Self::Trimmed,
            "AccessDeniedException"
            | "KMSAccessDeniedException"
            | "KMSDisabledException"
            | "KMSInvalidStateException"
            | "KMSNotFoundException"
            | "KMSOptInRequired"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "IncompleteSignatureException"
            | "SignatureDoesNotMatch"
            | "InvalidClientTokenId"
            | "MissingAuthenticationTokenException"
            | "ExpiredTokenException"
            | "OptInRequired" => Self::Denied,
            // Throttled KMS, limits, a stream in use, server faults, and whatever comes later.
            _ if matches!(status, Some(401 | 403)) => Self::Denied,
            _ => Self::Transient,
        }
    }
}
