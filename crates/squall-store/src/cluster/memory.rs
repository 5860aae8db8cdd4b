//! A cluster store that lives as long as the process.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::ready;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use squall_core::BoxFuture;

use crate::cluster::page::PageBuilder;
use crate::cluster::txn::{Found, Head, check_keys, judge};
use crate::cluster::watch::Hub;
use crate::cluster::{
    ClusterError, ClusterStore, DEFAULT_MAX_BYTES, LeaderEpoch, Outcome, Page, Revision, Stored,
    Txn, Watch,
};

/// Keeps the cluster's state in memory: for tests, which can also make it fail. Never blocks for long.
#[derive(Debug)]
pub struct MemoryCluster {
    state: Mutex<State>,
    hub: Arc<Hub>,
    max_bytes: u64,
}

#[derive(Debug, Default)]
struct State {
    head: Head,
    entries: BTreeMap<String, Stored>,
    /// What every write is answered.
    fault: Option<ClusterError>,
}

impl Default for MemoryCluster {
    fn default() -> Self {
        Self::with_max_bytes(DEFAULT_MAX_BYTES)
    }
}

impl MemoryCluster {
    /// Makes an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an empty store that holds no more than this, in bytes of keys and values.
    #[must_use]
    pub fn with_max_bytes(max_bytes: u64) -> Self {
        Self {
            state: Mutex::default(),
            hub: Hub::new(Revision::default()),
            max_bytes,
        }
    }

    /// Answers every write with this error from now on, and performs none; `None` ends it. Reads go on.
    pub fn set_fault(&self, fault: Option<ClusterError>) {
        self.lock().fault = fault;
    }

    fn commit_now(&self, txn: Txn) -> Result<Outcome, ClusterError> {
        txn.check()?;
        let mut state = self.lock();
        if let Some(fault) = &state.fault {
            return Err(fault.clone());
        }
        let judged = judge(state.head, self.max_bytes, txn, |key| {
            Ok::<_, Infallible>(state.entries.get(key).map(|stored| Found {
                revision: stored.revision,
                n_value_bytes: stored.value.len(),
            }))
        });
        let Ok(judged) = judged;
        let plan = match judged {
            Ok(plan) => plan,
            Err(refused) => return refused.into_answer(self.max_bytes),
        };
        let revision = plan.head.revision;
        state.head = plan.head;
        for change in &plan.changes {
            match change.value.clone() {
                Some(value) => {
                    let stored = Stored { value, revision };
                    state.entries.insert(change.key.clone(), stored)
                }
                None => state.entries.remove(&change.key),
            };
        }
        if !plan.changes.is_empty() {
            // Under the lock, so that commits become known in their order.
            self.hub.publish(revision, plan.changes);
        }
        Ok(Outcome::Committed { revision })
    }

    fn list_now(&self, prefix: &str, after: Option<&str>) -> Page {
        let state = self.lock();
        let from = match after.filter(|after| *after >= prefix) {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(prefix),
        };
        let mut page = PageBuilder::new(state.head.revision);
        for (key, stored) in state.entries.range::<str, _>((from, Bound::Unbounded)) {
            if !key.starts_with(prefix) || !page.push(key, stored.clone()) {
                break;
            }
        }
        page.finish()
    }

    fn raise_now(&self) -> Result<LeaderEpoch, ClusterError> {
        let mut state = self.lock();
        if let Some(fault) = &state.fault {
            return Err(fault.clone());
        }
        state.head.leader_epoch.0 += 1;
        Ok(state.head.leader_epoch)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClusterStore for MemoryCluster {
    fn get_many(
        &self,
        keys: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<Option<Stored>>, ClusterError>> {
        Box::pin(ready(check_keys(&keys).map(|()| {
            let state = self.lock();
            let found = keys.iter().map(|key| state.entries.get(key).cloned());
            found.collect()
        })))
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Page, ClusterError>> {
        Box::pin(ready(Ok(self.list_now(prefix, after))))
    }

    fn commit(&self, txn: Txn) -> BoxFuture<'_, Result<Outcome, ClusterError>> {
        Box::pin(ready(self.commit_now(txn)))
    }

    fn raise_leader_epoch(&self) -> BoxFuture<'_, Result<LeaderEpoch, ClusterError>> {
        Box::pin(ready(self.raise_now()))
    }

    fn watch(&self, prefix: &str, after: Revision) -> Watch {
        self.hub.watch(prefix, after)
    }

    fn location(&self) -> String {
        "memory".to_owned()
    }
}

impl Drop for MemoryCluster {
    fn drop(&mut self) {
        self.hub.close();
    }
}
