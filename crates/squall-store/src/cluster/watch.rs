//! Following a cluster store: one bounded memory of what changed last, and watchers that are places in it.
//!
//! **Invariant:** a watcher sees every change of its prefix in order, or is told that it missed some.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use crate::cluster::Revision;

/// How many changes a store remembers for its watchers.
pub const MAX_HISTORY_CHANGES: usize = 16_384;
/// How many bytes of keys and values a store remembers for its watchers.
pub const MAX_HISTORY_BYTES: usize = 16 << 20;

/// What became of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: String,
    /// The commit that changed it.
    pub revision: Revision,
    /// Its new value; `None` when it was deleted.
    pub value: Option<Bytes>,
}

/// What a watcher hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchItem {
    /// All changes that one commit made to keys of the watched prefix; never empty.
    Changed(Vec<Change>),
    /// Changes up to this revision were missed: list the keys again. The watch goes on with what comes after
    /// this revision.
    Resync {
        /// How far the store is.
        revision: Revision,
    },
}

/// A place in a store's history, which moves as its owner reads. Holds no changes itself.
#[derive(Debug)]
pub struct Watch {
    hub: Arc<Hub>,
    id: u64,
    prefix: String,
    /// All up to here have been seen.
    seen: Revision,
}

impl Watch {
    /// Waits for what comes next; `None` once the store is closed and all was seen. Safe to drop and call
    /// again.
    pub async fn next(&mut self) -> Option<WatchItem> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The same for those who poll by hand.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<WatchItem>> {
        let mut history = self.hub.lock();
        if self.seen < history.forgotten || self.seen > history.latest {
            self.seen = history.latest;
            return Poll::Ready(Some(WatchItem::Resync {
                revision: history.latest,
            }));
        }
        let unseen = history
            .commits
            .partition_point(|commit| commit.revision <= self.seen);
        for commit in history.commits.iter().skip(unseen) {
            self.seen = commit.revision;
            let ours = commit
                .changes
                .iter()
                .filter(|change| change.key.starts_with(&self.prefix));
            let ours: Vec<Change> = ours.cloned().collect();
            if !ours.is_empty() {
                return Poll::Ready(Some(WatchItem::Changed(ours)));
            }
        }
        self.seen = history.latest;
        if history.is_closed {
            return Poll::Ready(None);
        }
        history.waiting.insert(self.id, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.hub.lock().waiting.remove(&self.id);
    }
}

/// What a store's watchers share.
#[derive(Default)]
pub(crate) struct Hub {
    history: Mutex<History>,
}

#[derive(Default)]
struct History {
    /// Oldest first.
    commits: VecDeque<Commit>,
    n_changes: usize,
    n_bytes: usize,
    /// Changes up to here are not known any more.
    forgotten: Revision,
    /// How far the store is.
    latest: Revision,
    is_closed: bool,
    next_id: u64,
    /// Those who have seen everything and wait, by their watch's id: one for each watch at most.
    waiting: BTreeMap<u64, Waker>,
}

struct Commit {
    revision: Revision,
    changes: Vec<Change>,
    n_bytes: usize,
}

impl Hub {
    /// Begins at a revision, before which nothing is known.
    pub(crate) fn new(revision: Revision) -> Arc<Self> {
        let hub = Self::default();
        hub.skip_to(revision);
        Arc::new(hub)
    }

    pub(crate) fn watch(self: &Arc<Self>, prefix: &str, after: Revision) -> Watch {
        let mut history = self.lock();
        history.next_id += 1;
        Watch {
            hub: Arc::clone(self),
            id: history.next_id,
            prefix: prefix.to_owned(),
            seen: after,
        }
    }

    /// Makes a commit known. Commits come in the order of their revisions.
    pub(crate) fn publish(&self, revision: Revision, changes: Vec<Change>) {
        let n_bytes = changes.iter().map(n_bytes).sum();
        let mut history = self.lock();
        history.latest = revision;
        history.n_changes += changes.len();
        history.n_bytes += n_bytes;
        history.commits.push_back(Commit {
            revision,
            changes,
            n_bytes,
        });
        history.forget_the_oldest();
        Self::wake(history);
    }

    /// Goes on at a revision, and knows nothing of what led there.
    pub(crate) fn skip_to(&self, revision: Revision) {
        let mut history = self.lock();
        history.commits.clear();
        (history.n_changes, history.n_bytes) = (0, 0);
        (history.forgotten, history.latest) = (revision, revision);
        Self::wake(history);
    }

    /// Ends every watch once it has seen everything.
    pub(crate) fn close(&self) {
        let mut history = self.lock();
        history.is_closed = true;
        Self::wake(history);
    }

    fn wake(mut history: MutexGuard<'_, History>) {
        let waiting = std::mem::take(&mut history.waiting);
        // A waker may run its task here and now, which then wants the lock.
        drop(history);
        waiting.into_values().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl History {
    fn forget_the_oldest(&mut self) {
        while self.n_changes > MAX_HISTORY_CHANGES || self.n_bytes > MAX_HISTORY_BYTES {
            let Some(oldest) = self.commits.pop_front() else {
                return;
            };
            self.forgotten = oldest.revision;
            self.n_changes -= oldest.changes.len();
            self.n_bytes -= oldest.n_bytes;
        }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let history = self.lock();
        f.debug_struct("Hub")
            .field("latest", &history.latest)
            .field("forgotten", &history.forgotten)
            .field("n_changes", &history.n_changes)
            .finish_non_exhaustive()
    }
}

fn n_bytes(change: &Change) -> usize {
    change.key.len() + change.value.as_ref().map_or(0, Bytes::len)
}
