//! What the cluster wants to be, kept where it survives: nimbus's desired state as keys and values.
//!
//! [`ClusterStore`] is the contract; [`MemoryCluster`] keeps it for tests, [`FileCluster`] in one file.
//! The words are chosen so that etcd can keep it as well: a [`Revision`] is etcd's `mod_revision`, a [`Txn`]
//! is its transaction, the leader's epoch is one more key that each transaction compares. Leases, where a
//! store has them, tell who is alive; what is *right* hangs on revisions and on the epoch alone.

mod checkpoints;
mod file;
mod memory;
mod page;
mod txn;
mod watch;
mod worker;

use bytes::Bytes;
use squall_core::BoxFuture;
use thiserror::Error;

pub use checkpoints::ClusterCheckpoints;
pub use file::{FileCluster, FileClusterConfig};
pub use memory::MemoryCluster;
pub use txn::{MAX_KEY_BYTES, MAX_TXN_BYTES, MAX_TXN_OPS, Op, Precondition, Txn};
pub use watch::{Change, MAX_HISTORY_BYTES, MAX_HISTORY_CHANGES, Watch, WatchItem};

/// The most entries of one page of a listing.
pub const MAX_PAGE_ENTRIES: usize = 1000;
/// The most bytes of keys and values in one page of a listing; a single larger entry is a page of its own.
pub const MAX_PAGE_BYTES: usize = 4 << 20;
/// What a store holds in keys and values unless told otherwise, in bytes.
pub const DEFAULT_MAX_BYTES: u64 = 256 << 20;

/// A point in a store's history. Each commit that changes something has one of its own, higher than all
/// before; numbers may be skipped, and none ever comes again, so that a key which was deleted and made
/// anew is not mistaken for the old one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// Which nimbus leads: raised each time one takes over. 0 before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaderEpoch(pub u64);

/// A key's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The value.
    pub value: Bytes,
    /// The commit that wrote it: what a [`Precondition`] names.
    pub revision: Revision,
}

/// A part of a listing, by key in the order of bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// At most [`MAX_PAGE_ENTRIES`] and [`MAX_PAGE_BYTES`].
    pub entries: Vec<(String, Stored)>,
    /// How far the store was when this page was read. To follow a listing, watch after the revision of
    /// its *first* page, and let the higher revision of a key win.
    pub revision: Revision,
    /// What to pass as `after` to get the next page; `None` for the last one.
    pub next: Option<String>,
}

/// How a commit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a commit may have been refused"]
pub enum Outcome {
    /// It is stored, and survives whatever comes.
    Committed {
        /// The commit's revision; the store's own when the commit changed nothing.
        revision: Revision,
    },
    /// A precondition doesn't hold; nothing was written.
    Conflict {
        /// The first key, in the order of the preconditions, that is not as it was expected.
        key: String,
        /// Its revision; `None` when there is no such key.
        found: Option<Revision>,
    },
    /// Another nimbus has taken over since; nothing was written. Who hears this must stop leading.
    StaleLeader {
        /// The epoch that leads.
        current: LeaderEpoch,
    },
}

/// What a store can answer instead.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ClusterError {
    /// A key, a value or a transaction is outside its bounds, and always will be; nothing was written.
    #[error("{0}")]
    Invalid(String),
    /// There is no room; nothing was written. Deleting keys, or making room on the disk, helps at once,
    /// without a restart.
    #[error("{0}")]
    Full(String),
    /// The store can't be reached, read or written now; nothing was written. Trying again may help.
    #[error("the cluster store is unavailable: {0}")]
    Unavailable(String),
    /// The store broke off while it wrote: the commit may be there or not. Read to find out, or commit again
    /// under the same preconditions.
    #[error("the cluster store doesn't know whether a commit was kept: {0}")]
    Unknown(String),
}

/// Keys with versioned values.
///
/// **Invariant:** a commit is all or nothing; it is durable once it is answered; and it is refused unless
/// it carries the current leader's epoch and every precondition holds.
///
/// No call blocks: the futures wait. A call whose future is dropped may still be performed.
pub trait ClusterStore: Send + Sync {
    /// Reads these keys, all at one revision. The answers come in the order of the keys.
    ///
    /// # Errors
    /// [`ClusterError::Unavailable`]; [`ClusterError::Invalid`] for more than [`MAX_TXN_OPS`] keys.
    fn get_many(
        &self,
        keys: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<Option<Stored>>, ClusterError>>;

    /// Reads one key.
    ///
    /// # Errors
    /// [`ClusterError::Unavailable`].
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Stored>, ClusterError>> {
        Box::pin(async move {
            let mut found = self.get_many(vec![key.to_owned()]).await?;
            Ok(found.pop().flatten())
        })
    }

    /// Reads a page of the keys that start with `prefix`, beginning behind the key `after`. One page is of
    /// one revision; the next may be of a later one. [`list_all`] turns the pages.
    ///
    /// # Errors
    /// [`ClusterError::Unavailable`].
    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Page, ClusterError>>;

    /// Writes all or nothing.
    ///
    /// # Errors
    /// Any [`ClusterError`]; only after [`ClusterError::Unknown`] anything may have been written.
    fn commit(&self, txn: Txn) -> BoxFuture<'_, Result<Outcome, ClusterError>>;

    /// Takes the lead: raises the epoch durably and returns the new one. From now on commits with any other
    /// are refused.
    ///
    /// # Errors
    /// [`ClusterError`]; after [`ClusterError::Unknown`] a number may be lost, which does no harm.
    fn raise_leader_epoch(&self) -> BoxFuture<'_, Result<LeaderEpoch, ClusterError>>;

    /// Follows the keys that start with `prefix`: all changes of commits after the revision `after`, in order.
    ///
    /// A store remembers the last [`MAX_HISTORY_CHANGES`] changes or [`MAX_HISTORY_BYTES`]. Who asks for
    /// older ones, or falls behind that far, gets [`WatchItem::Resync`] instead and reads anew; a slow
    /// watcher holds nobody up.
    fn watch(&self, prefix: &str, after: Revision) -> Watch;

    /// Says where the state lives, for people: a path or a URL.
    fn location(&self) -> String;
}

/// Reads all keys that start with `prefix`, page by page, up to `max_entries`. Returns them with the
/// revision to watch after.
///
/// # Errors
/// [`ClusterError::Unavailable`]; [`ClusterError::Invalid`] when there are more than `max_entries`.
pub async fn list_all(
    store: &dyn ClusterStore,
    prefix: &str,
    max_entries: usize,
) -> Result<(Vec<(String, Stored)>, Revision), ClusterError> {
    let first = store.list(prefix, None).await?;
    let revision = first.revision;
    let (mut entries, mut next) = (first.entries, first.next);
    while let Some(after) = next {
        let page = store.list(prefix, Some(&after)).await?;
        entries.extend(page.entries);
        next = page.next;
        if entries.len() > max_entries {
            break;
        }
    }
    if entries.len() > max_entries {
        return Err(ClusterError::Invalid(format!(
            "there are more than {max_entries} keys that start with `{prefix}`"
        )));
    }
    Ok((entries, revision))
}
