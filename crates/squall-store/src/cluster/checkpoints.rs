//! Checkpoints of a whole cluster: the contract of [`squall_core::CheckpointStore`] on a cluster store.

mod many;

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use squall_core::{BoxFuture, CheckpointStore, Entry, Fence, StoreError, Write};

use crate::cluster::{ClusterError, ClusterStore, LeaderEpoch, Stored, list_all};

/// Where checkpoints stand among the keys of the cluster.
const PREFIX: &str = "checkpoint/";
/// The most checkpoints of one listing.
const MAX_LISTED: usize = 100_000;

/// Keeps the checkpoints of all topologies in a cluster store, under the epoch of the nimbus that leads.
///
/// A commit reads the entries that it names, compares fences and versions, and writes on condition that
/// none of them has changed since. Those of many workers share transactions
/// ([`ClusterCheckpoints::commit_many`]). What a commit holds is bounded as a `Txn` is: with
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

    /// Reads a page of the entries whose keys start with `prefix`, beginning behind the key `after`; tells
    /// whether there are more.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn page(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<(Vec<(String, Entry)>, bool), StoreError> {
        let (prefix, after) = (stored_under(prefix), after.map(stored_under));
        let page = self.store.list(&prefix, after.as_deref()).await;
        let page = page.map_err(unavailable)?;
        let entries = page.entries.iter().map(|(key, stored)| named(key, stored));
        Ok((entries.collect::<Result<_, _>>()?, page.next.is_some()))
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
            let rows = rows.iter().map(|(key, stored)| named(key, stored));
            rows.collect()
        })
    }

    fn commit(
        &self,
        fence: Fence,
        writes: Vec<Write>,
    ) -> BoxFuture<'_, Result<Vec<u64>, StoreError>> {
        Box::pin(async move {
            let mut answers = self.commit_many(vec![(fence, writes)]).await;
            answers.pop().unwrap_or_else(|| Ok(Vec::new()))
        })
    }

    fn location(&self) -> String {
        self.store.location()
    }
}

fn stored_under(key: &str) -> String {
    format!("{PREFIX}{key}")
}

fn named(key: &str, stored: &Stored) -> Result<(String, Entry), StoreError> {
    let key = key.strip_prefix(PREFIX).unwrap_or(key);
    Ok((key.to_owned(), entry(stored)?))
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
