//! Checkpoints of a whole cluster: the contract of [`squall_core::CheckpointStore`] on a cluster store.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use squall_core::{BoxFuture, CheckpointStore, Entry, Fence, StoreError, Write};

use crate::cluster::{ClusterError, ClusterStore, LeaderEpoch, Outcome, Stored, Txn, list_all};
use crate::commit::{apply, check_bounds, check_write};

/// Where checkpoints stand among the keys of the cluster.
const PREFIX: &str = "checkpoint/";
/// The most checkpoints of one listing.
const MAX_LISTED: usize = 100_000;
/// How often a commit is tried again when somebody else has written between its reading and its writing.
const MAX_TRIES: usize = 16;

/// Keeps the checkpoints of all topologies in a cluster store, under the epoch of the nimbus that leads.
///
/// A commit reads the entries that it names, compares fences and versions, and writes on condition that
/// none of them has changed since. Commits of many workers that wait together become durable together where
/// the store does that. What a commit holds is bounded as a [`Txn`] is: with
/// [`crate::cluster::MAX_TXN_BYTES`], below what the contract would allow.
#[derive(Clone)]
pub struct ClusterCheckpoints {
    store: Arc<dyn ClusterStore>,
    leader_epoch: LeaderEpoch,
}

impl ClusterCheckpoints {
    /// Serves the checkpoints in `store` on behalf of the leader with this epoch.
    #[must_use]
    pub fn new(store: Arc<dyn ClusterStore>, leader_epoch: LeaderEpoch) -> Self {
        Self {
            store,
            leader_epoch,
        }
    }

    async fn commit_once(
        &self,
        fence: Fence,
        writes: &[Write],
    ) -> Result<Option<Vec<u64>>, StoreError> {
        let keys = writes.iter().map(|write| stored_under(&write.key));
        let stored = self.store.get_many(keys.collect()).await;
        let stored = stored.map_err(unavailable)?;
        for (write, stored) in writes.iter().zip(&stored) {
            let found = stored.as_ref().map(entry).transpose()?;
            check_write(
                found.map(|entry| (entry.version, entry.fence)),
                fence,
                write,
            )?;
        }
        let mut txn = Txn::new(self.leader_epoch);
        let mut versions = Vec::with_capacity(writes.len());
        for (write, stored) in writes.iter().zip(stored) {
            let (key, entry) = apply(fence, write.clone());
            let key = stored_under(&key);
            txn = txn.expect(key.clone(), stored.map(|stored| stored.revision));
            versions.push(entry.as_ref().map_or(0, |entry| entry.version));
            txn = match entry {
                Some(entry) => txn.put(key, row(&entry)),
                None => txn.delete(key),
            };
        }
        match self.store.commit(txn).await.map_err(unavailable)? {
            Outcome::Committed { .. } => Ok(Some(versions)),
            Outcome::Conflict { .. } => Ok(None),
            Outcome::StaleLeader { .. } => Err(StoreError::Unavailable(
                "another nimbus leads the cluster now".to_owned(),
            )),
        }
    }
}

impl CheckpointStore for ClusterCheckpoints {
    fn load<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
        Box::pin(async move {
            let found = self.store.get(&stored_under(key)).await;
            found.map_err(unavailable)?.as_ref().map(entry).transpose()
        })
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
    ) -> BoxFuture<'a, Result<Vec<(String, Entry)>, StoreError>> {
        Box::pin(async move {
            let prefix = stored_under(prefix);
            let listed = list_all(&*self.store, &prefix, MAX_LISTED).await;
            let (rows, _) = listed.map_err(unavailable)?;
            let rows = rows.into_iter().map(|(key, stored)| {
                let key = key.strip_prefix(PREFIX).unwrap_or(&key).to_owned();
                Ok((key, entry(&stored)?))
            });
            rows.collect()
        })
    }

    fn commit(
        &self,
        fence: Fence,
        writes: Vec<Write>,
    ) -> BoxFuture<'_, Result<Vec<u64>, StoreError>> {
        Box::pin(async move {
            check_bounds(&writes)?;
            for _ in 0..MAX_TRIES {
                if let Some(versions) = self.commit_once(fence, &writes).await? {
                    return Ok(versions);
                }
            }
            Err(StoreError::Unavailable(format!(
                "others have written between reading and writing, {MAX_TRIES} times in a row"
            )))
        })
    }

    fn location(&self) -> String {
        self.store.location()
    }
}

fn stored_under(key: &str) -> String {
    format!("{PREFIX}{key}")
}

/// Version, placement epoch and incarnation as eight bytes each, least first; then the value.
fn row(entry: &Entry) -> Bytes {
    let mut row = BytesMut::with_capacity(24 + entry.value.len());
    row.put_u64_le(entry.version);
    row.put_u64_le(entry.fence.placement_epoch);
    row.put_u64_le(entry.fence.incarnation);
    row.put_slice(&entry.value);
    row.freeze()
}

fn entry(stored: &Stored) -> Result<Entry, StoreError> {
    let mut row = stored.value.clone();
    let mut number = || {
        let number = row.try_get_u64_le();
        number.map_err(|_| StoreError::Unavailable("a checkpoint is cut short".to_owned()))
    };
    let (version, placement_epoch, incarnation) = (number()?, number()?, number()?);
    Ok(Entry {
        value: row.to_vec(),
        version,
        fence: Fence {
            placement_epoch,
            incarnation,
        },
    })
}

fn unavailable(error: ClusterError) -> StoreError {
    match error {
        ClusterError::Invalid(reason) => StoreError::Invalid(reason),
        other => StoreError::Unavailable(other.to_string()),
    }
}
