//! A store that fails when it is told to.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use squall_core::{BoxFuture, CheckpointStore, Entry, Fence, StoreError, Write};
use squall_store::MemoryStore;

/// A store in memory with switches.
#[derive(Default)]
pub(crate) struct Flaky {
    pub(crate) inner: MemoryStore,
    /// Reads fail.
    pub(crate) no_reads: AtomicBool,
    /// Writes fail, and nothing is written.
    pub(crate) no_writes: AtomicBool,
    /// Writes are done, but so many answers are lost.
    pub(crate) lost_answers: AtomicUsize,
}

fn unavailable() -> StoreError {
    StoreError::Unavailable("told to fail".to_owned())
}

impl CheckpointStore for Flaky {
    fn load<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
        if self.no_reads.load(Ordering::SeqCst) {
            return Box::pin(async { Err(unavailable()) });
        }
        self.inner.load(key)
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
    ) -> BoxFuture<'a, Result<Vec<(String, Entry)>, StoreError>> {
        if self.no_reads.load(Ordering::SeqCst) {
            return Box::pin(async { Err(unavailable()) });
        }
        self.inner.list(prefix)
    }

    fn commit(
        &self,
        fence: Fence,
        writes: Vec<Write>,
    ) -> BoxFuture<'_, Result<Vec<u64>, StoreError>> {
        Box::pin(async move {
            if self.no_writes.load(Ordering::SeqCst) {
                return Err(unavailable());
            }
            let done = self.inner.commit(fence, writes).await;
            let lost = |n: usize| n.checked_sub(1);
            match self
                .lost_answers
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, lost)
            {
                Ok(_) => Err(unavailable()),
                Err(_) => done,
            }
        })
    }

    fn location(&self) -> String {
        "a flaky place".to_owned()
    }
}
