//! Keeps the desired state in the store, under the epoch with which this nimbus leads.

use std::sync::Arc;

use bytes::Bytes;
use squall_proto::{ClusterId, Refusal, RefusalCode};
use squall_store::cluster::{ClusterError, ClusterStore, LeaderEpoch, Outcome, Txn, list_all};
use thiserror::Error;

use crate::heart::Desired;
use crate::records::{self, Batch, Broken, changes, desired_from};

/// The cluster's id: 32 lower-case hex digits.
const CLUSTER: &str = "cluster/id";
/// The most entries of nimbus's own: for each topology three, for each supervisor one, and the counters.
const MAX_ENTRIES: usize = 20_000;
/// What is written, and removed again, to find out whether the store takes something new.
const PROBE: &str = "cluster/probe";
/// How much of it: more than a few pages, which the store may have left over.
const PROBE_BYTES: usize = 64 << 10;

/// The store, as nimbus uses it.
pub(crate) struct Keeper {
    store: Arc<dyn ClusterStore>,
    epoch: LeaderEpoch,
    cluster: ClusterId,
}

/// Why nimbus can't lead from a store.
#[derive(Debug, Error)]
pub enum KeepError {
    /// The store can't be read or written.
    #[error("the store at {location}: {error}")]
    Store {
        /// Where it is.
        location: String,
        /// What it says.
        error: ClusterError,
    },
    /// What stands in it can't be read.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// Another nimbus has taken over.
    #[error("another nimbus leads the cluster now, with epoch {}; this one had {}", current.0, ours.0)]
    NotLeading {
        /// The epoch that leads.
        current: LeaderEpoch,
        /// The one of this nimbus.
        ours: LeaderEpoch,
    },
}

/// What became of a commit.
pub(crate) enum Kept {
    /// It is stored.
    Yes,
    /// Nothing of it is, for this reason.
    No(Refusal),
    /// Some of it may be: what is stored has to be read.
    Perhaps(Refusal),
}

impl Keeper {
    /// Takes the lead: raises the epoch, gives the cluster an id if it has none, and reads what is desired.
    pub(crate) async fn lead(store: Arc<dyn ClusterStore>) -> Result<(Self, Desired), KeepError> {
        let failed = |error| KeepError::Store {
            location: store.location(),
            error,
        };
        let epoch = store.raise_leader_epoch().await.map_err(failed)?;
        let found = store.get(CLUSTER).await.map_err(failed)?;
        let cluster = match found {
            Some(found) => cluster_id(&found.value)?,
            None => {
                let cluster = ClusterId::new(fastrand::u128(..).to_be_bytes());
                let txn = Txn::new(epoch)
                    .absent(CLUSTER)
                    .put(CLUSTER, cluster.to_string());
                match store.commit(txn).await.map_err(failed)? {
                    Outcome::Committed { .. } => cluster,
                    Outcome::StaleLeader { current } => {
                        return Err(KeepError::NotLeading {
                            current,
                            ours: epoch,
                        });
                    }
                    Outcome::Conflict { .. } => {
                        let error = "somebody else has made the cluster meanwhile".to_owned();
                        return Err(failed(ClusterError::Unavailable(error)));
                    }
                }
            }
        };
        let keeper = Self {
            store,
            epoch,
            cluster,
        };
        let desired = keeper.read().await?;
        Ok((keeper, desired))
    }

    pub(crate) const fn cluster(&self) -> ClusterId {
        self.cluster
    }

    pub(crate) const fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    /// Reads what is desired.
    pub(crate) async fn read(&self) -> Result<Desired, KeepError> {
        let listed = list_all(&*self.store, records::PREFIX, MAX_ENTRIES).await;
        let (entries, _) = listed.map_err(|error| KeepError::Store {
            location: self.store.location(),
            error,
        })?;
        let entries = entries.into_iter().map(|(key, stored)| (key, stored.value));
        Ok(desired_from(entries)?)
    }

    /// Stores what has changed.
    ///
    /// # Errors
    /// [`KeepError::NotLeading`]: nothing may be stored ever again.
    pub(crate) async fn keep(&self, old: &Desired, new: &Desired) -> Result<Kept, KeepError> {
        self.write(changes(old, new)).await
    }

    /// Finds out whether the store takes something new, by writing a little and removing it.
    ///
    /// # Errors
    /// [`KeepError::NotLeading`]: nothing may be stored ever again.
    pub(crate) async fn probe(&self) -> Result<Kept, KeepError> {
        let values = [Some(vec![0; PROBE_BYTES].into()), None];
        let batches = values.map(|value| vec![(PROBE.to_owned(), value)]);
        self.write(batches.into()).await
    }

    /// Writes one batch after the other.
    async fn write(&self, batches: Vec<Batch>) -> Result<Kept, KeepError> {
        let mut n_stored = 0;
        for batch in batches {
            let refusal = match self.store.commit(self.txn(batch)).await {
                Ok(Outcome::Committed { .. }) => {
                    n_stored += 1;
                    continue;
                }
                Ok(Outcome::StaleLeader { current }) => {
                    let ours = self.epoch;
                    return Err(KeepError::NotLeading { current, ours });
                }
                Ok(Outcome::Conflict { key, .. }) => {
                    Refusal::internal(format_args!("`{key}` changed without a reason"))
                }
                Err(ClusterError::Unknown(why)) => {
                    return Ok(Kept::Perhaps(Refusal::unavailable(why)));
                }
                Err(ClusterError::Full(why)) => Refusal::storage_full(why),
                Err(ClusterError::Invalid(why)) => {
                    Refusal::new(RefusalCode::TooLarge, why, "make the topology smaller")
                }
                Err(ClusterError::Unavailable(why)) => Refusal::storage_full(why),
            };
            return Ok(if n_stored == 0 {
                Kept::No(refusal)
            } else {
                Kept::Perhaps(refusal)
            });
        }
        Ok(Kept::Yes)
    }

    fn txn(&self, batch: Batch) -> Txn {
        let begun = Txn::new(self.epoch);
        batch
            .into_iter()
            .fold(begun, |txn, (key, value)| match value {
                Some(value) => txn.put(key, value),
                None => txn.delete(key),
            })
    }
}

fn cluster_id(value: &Bytes) -> Result<ClusterId, Broken> {
    let broken = |why: String| Broken {
        key: CLUSTER.to_owned(),
        why,
    };
    let text = std::str::from_utf8(value).map_err(|error| broken(error.to_string()))?;
    text.parse().map_err(|error| broken(format!("{error}")))
}
