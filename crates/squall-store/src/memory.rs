//! A store that lives as long as the process.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Mutex, PoisonError};

use squall_core::{BoxFuture, CheckpointStore, Entry, Fence, StoreError, Write};

use crate::commit::{apply, check_bounds, check_write};

/// Keeps everything in memory: for tests, and for runs that begin anew each time. Never blocks for long.
#[derive(Debug, Default)]
pub struct MemoryStore {
    entries: Mutex<BTreeMap<String, Entry>>,
}

impl MemoryStore {
    /// Makes an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn commit_now(&self, fence: Fence, writes: Vec<Write>) -> Result<Vec<u64>, StoreError> {
        check_bounds(&writes)?;
        let mut entries = self.lock();
        for write in &writes {
            let stored = entries.get(&write.key).map(|e| (e.version, e.fence));
            check_write(stored, fence, write)?;
        }
        let mut versions = Vec::with_capacity(writes.len());
        for write in writes {
            let (key, entry) = apply(fence, write);
            versions.push(entry.as_ref().map_or(0, |entry| entry.version));
            match entry {
                Some(entry) => entries.insert(key, entry),
                None => entries.remove(&key),
            };
        }
        Ok(versions)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CheckpointStore for MemoryStore {
    fn load<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
        let found = self.lock().get(key).cloned();
        Box::pin(ready(Ok(found)))
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
    ) -> BoxFuture<'a, Result<Vec<(String, Entry)>, StoreError>> {
        let entries = self.lock();
        let found = entries
            .range(prefix.to_owned()..)
            .take_while(|(key, _)| key.starts_with(prefix));
        let found = found.map(|(key, entry)| (key.clone(), entry.clone()));
        Box::pin(ready(Ok(found.collect())))
    }

    fn commit(
        &self,
        fence: Fence,
        writes: Vec<Write>,
    ) -> BoxFuture<'_, Result<Vec<u64>, StoreError>> {
        Box::pin(ready(self.commit_now(fence, writes)))
    }

    fn location(&self) -> String {
        "memory".to_owned()
    }
}
