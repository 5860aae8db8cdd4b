//! A store that fails when it is told to.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use squall_core::{BoxFuture, CheckpointStore, Entry, Fence, StoreError, Write};
use squall_store::MemoryStore;
use tokio::sync::Notify;
use tokio::time::sleep;

/// A store in memory with switches.
pub(crate) struct Flaky {
    pub(crate) inner: MemoryStore,
    /// Reads fail.
    pub(crate) no_reads: AtomicBool,
    /// Writes fail, and nothing is written.
    pub(crate) no_writes: AtomicBool,
    /// Writes are done, but so many answers are lost.
    pub(crate) lost_answers: AtomicUsize,
    /// Nothing is done and nothing is answered, ever.
    pub(crate) hangs: AtomicBool,
    /// After so many commits there are no more: they fail, and nothing is written.
    pub(crate) n_commits_left: AtomicUsize,
    /// How late each answer comes, in milliseconds; what was asked for is done at once.
    pub(crate) late_ms: AtomicU64,
    /// Commits are done, but answered only when this is opened.
    pub(crate) gate: Gate,
    /// How often it was asked for anything.
    pub(crate) n_calls: AtomicUsize,
    /// How often it was asked to write.
    pub(crate) n_commits: AtomicUsize,
    /// The most writes that a commit had.
    pub(crate) max_writes: AtomicUsize,
}

impl Default for Flaky {
    fn default() -> Self {
        Self {
            inner: MemoryStore::new(),
            no_reads: AtomicBool::default(),
            no_writes: AtomicBool::default(),
            lost_answers: AtomicUsize::default(),
            hangs: AtomicBool::default(),
            n_commits_left: AtomicUsize::new(usize::MAX),
            late_ms: AtomicU64::default(),
            gate: Gate::default(),
            n_calls: AtomicUsize::default(),
            n_commits: AtomicUsize::default(),
            max_writes: AtomicUsize::default(),
        }
    }
}

/// Open until it is shut.
#[derive(Default)]
pub(crate) struct Gate {
    shut: AtomicBool,
    opened: Notify,
}

impl Gate {
    pub(crate) fn shut(&self) {
        self.shut.store(true, Ordering::SeqCst);
    }

    pub(crate) fn open(&self) {
        self.shut.store(false, Ordering::SeqCst);
        self.opened.notify_waiters();
    }

    async fn pass(&self) {
        while self.shut.load(Ordering::SeqCst) {
            self.opened.notified().await;
        }
    }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable("told to fail".to_owned())
}

/// Counts down; false when nothing is left.
fn take_one(left: &AtomicUsize) -> bool {
    let taken = |n: usize| n.checked_sub(1);
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, taken)
        .is_ok()
}

impl Flaky {
    pub(crate) fn set(switch: &AtomicBool, on: bool) {
        switch.store(on, Ordering::SeqCst);
    }

    pub(crate) fn n_commits(&self) -> usize {
        self.n_commits.load(Ordering::SeqCst)
    }

    async fn wait(&self) {
        let late = self.late_ms.load(Ordering::SeqCst);
        if late > 0 {
            sleep(Duration::from_millis(late)).await;
        }
    }

    pub(crate) fn n_calls(&self) -> usize {
        self.n_calls.load(Ordering::SeqCst)
    }

    async fn admit(&self, refuses: &AtomicBool) -> Result<(), StoreError> {
        self.n_calls.fetch_add(1, Ordering::SeqCst);
        if self.hangs.load(Ordering::SeqCst) {
            pending::<()>().await;
        }
        if refuses.load(Ordering::SeqCst) {
            return Err(unavailable());
        }
        Ok(())
    }
}

impl CheckpointStore for Flaky {
    fn load<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
        Box::pin(async move {
            self.admit(&self.no_reads).await?;
            let found = self.inner.load(key).await;
            self.wait().await;
            found
        })
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
    ) -> BoxFuture<'a, Result<Vec<(String, Entry)>, StoreError>> {
        Box::pin(async move {
            self.admit(&self.no_reads).await?;
            let found = self.inner.list(prefix).await;
            self.wait().await;
            found
        })
    }

    fn commit(
        &self,
        fence: Fence,
        writes: Vec<Write>,
    ) -> BoxFuture<'_, Result<Vec<u64>, StoreError>> {
        Box::pin(async move {
            self.n_commits.fetch_add(1, Ordering::SeqCst);
            self.admit(&self.no_writes).await?;
            self.max_writes.fetch_max(writes.len(), Ordering::SeqCst);
            if !take_one(&self.n_commits_left) {
                return Err(unavailable());
            }
            let done = self.inner.commit(fence, writes).await;
            self.gate.pass().await;
            self.wait().await;
            if take_one(&self.lost_answers) {
                return Err(unavailable());
            }
            done
        })
    }

    fn location(&self) -> String {
        "a flaky place".to_owned()
    }
}
