//! Where sources remember how far they came: compare-and-set, so that an old copy of a task can never
//! turn a newer one's checkpoint back.

use std::pin::Pin;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A future that a trait object returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Which copy of a task is speaking: compared first by placement epoch, then by incarnation.
///
/// A key belongs to whoever may write it: a task writes only keys that are its own, and one that takes
/// keys over from another task, as after a change of parallelism, has to have the larger fence of the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fence {
    /// The assignment version in which the task last moved.
    pub placement_epoch: u64,
    /// How often its worker has been started.
    pub incarnation: u64,
}

/// A stored value and what a compare-and-set has to name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub value: Vec<u8>,
    /// Raised by each write to the key, from 1.
    pub version: u64,
    /// The fence of the last writer.
    pub fence: Fence,
}

/// One write of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The key: any UTF-8 text of 1 to [`MAX_KEY_BYTES`] bytes; by convention `application/stream/shard`.
    pub key: String,
    /// The version that the key must have; `None` means that it must not exist.
    pub expected: Option<u64>,
    /// The new value of at most [`MAX_VALUE_BYTES`] bytes; `None` deletes the key.
    pub value: Option<Vec<u8>>,
}

/// The longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 1024;
/// The largest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 256 * 1024;
/// The most writes in one commit.
pub const MAX_WRITES_PER_COMMIT: usize = 10_000;

/// What a store can answer instead.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Somebody else wrote the key: the caller is not its owner any more, or repeats itself.
    #[error("`{key}` has version {found:?}, not {expected:?}")]
    Conflict {
        /// The key.
        key: String,
        /// The version that the caller named.
        expected: Option<u64>,
        /// The version there is.
        found: Option<u64>,
    },
    /// A newer copy of the task has written: this one must stop.
    #[error("`{key}` was written under the newer fence {found:?}")]
    Fenced {
        /// The key.
        key: String,
        /// The newer fence.
        found: Fence,
    },
    /// A key, value or commit is outside its bounds.
    #[error("{0}")]
    Invalid(String),
    /// The store can't be reached or can't write now: try again. A commit that is answered so may have
    /// been done all the same, or be done yet: until a later answer tells, repeat it and write nothing
    /// else to its keys.
    #[error("the checkpoint store is unavailable: {0}")]
    Unavailable(String),
}

/// A store of small values. Implementations: in memory, a file (`squall-store`), later nimbus and
/// DynamoDB.
///
/// **Invariant:** a commit is all or nothing, durable once it is answered, and refused unless every
/// key has its expected version and no key was written under a newer fence.
pub trait CheckpointStore: Send + Sync {
    /// Reads one key.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn load<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>>;

    /// Reads all keys that start with `prefix`, in order.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn list<'a>(
        &'a self,
        prefix: &'a str,
    ) -> BoxFuture<'a, Result<Vec<(String, Entry)>, StoreError>>;

    /// Writes all or nothing; returns the new version of each key in the order of the writes (0 for a
    /// deleted one). May take a second or more, for a store may gather the commits of many tasks; a task
    /// has one under way at a time.
    ///
    /// # Errors
    /// Any [`StoreError`]; nothing was written, but for [`StoreError::Unavailable`], after which nobody
    /// knows.
    fn commit(
        &self,
        fence: Fence,
        writes: Vec<Write>,
    ) -> BoxFuture<'_, Result<Vec<u64>, StoreError>>;

    /// Says where the state lives, for people: a path or a URL.
    fn location(&self) -> String;
}
