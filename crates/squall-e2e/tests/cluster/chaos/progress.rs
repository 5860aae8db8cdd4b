//! The spout's checkpoints in nimbus, read and written as a worker does.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use squall_core::engine::WorkerIdx;
use squall_core::{Fence, TopologyId, Write};
use squall_proto::wire::checkpoints_client::CheckpointsClient;
use squall_proto::{
    CheckpointClient, CheckpointPage, ClusterId, CommitCheckpoints, ListCheckpoints, wire,
};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use squall_e2e::cluster::{Cluster, Worker};

use crate::numbers::NAME;

/// What the keys of the spout's tasks begin with.
const PREFIX: &str = "numbers/generate/in/";

/// What is saved of each task, and that it never goes back.
pub(crate) struct Progress {
    client: CheckpointsClient<Channel>,
    cluster: ClusterId,
    topology: TopologyId,
    tasks: BTreeMap<String, Saved>,
    /// How often it was read.
    pub(crate) n_reads: u64,
}

/// What is saved of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Saved {
    done_below: u64,
    version: u64,
    fence: Fence,
}

#[derive(Deserialize)]
struct Written {
    done_below: u64,
}

/// Where a supervisor notes which cluster it belongs to.
#[derive(Deserialize)]
struct Identity {
    cluster_id: String,
}

impl Progress {
    /// Makes a reader for the topology; `supervisor` is one of the cluster.
    pub(crate) async fn connect(cluster: &Cluster, supervisor: &str) -> Result<Self> {
        let identity = cluster.folder().join(supervisor).join("supervisor.json");
        let identity: Identity = serde_json::from_slice(&fs::read(identity)?)?;
        let endpoint = Endpoint::from_shared(format!("http://{}", cluster.address()))?;
        Ok(Self {
            client: CheckpointsClient::new(endpoint.connect().await?),
            cluster: identity.cluster_id.parse()?,
            topology: TopologyId::new(cluster.describe(NAME)?.summary.id),
            tasks: BTreeMap::new(),
            n_reads: 0,
        })
    }

    /// Reads what is saved of every task, as a copy of a worker that runs. A copy that is refused, for another
    /// has taken its place meanwhile, reads nothing.
    ///
    /// # Errors
    /// If a task's progress has gone back.
    pub(crate) async fn look(&mut self, reader: &Worker) -> Result<()> {
        let asked = ListCheckpoints {
            client: self.who(reader),
            prefix: PREFIX.to_owned(),
            after: None,
        };
        let asked = wire::ListCheckpointsRequest::from(asked);
        let page = match self.client.list_checkpoints(asked).await {
            Ok(page) => CheckpointPage::try_from(page.into_inner())?,
            Err(status) if is_stale(&status) => return Ok(()),
            Err(status) => return Err(status.into()),
        };
        self.n_reads += 1;
        for (key, entry) in page.entries {
            let written: Written = serde_json::from_slice(&entry.value)?;
            let now = Saved {
                done_below: written.done_below,
                version: entry.version,
                fence: entry.fence,
            };
            if let Some(before) = self.tasks.insert(key.clone(), now) {
                ensure!(
                    now.done_below >= before.done_below
                        && now.version >= before.version
                        && now.fence >= before.fence,
                    "{key} went from {before:?} back to {now:?}"
                );
            }
        }
        Ok(())
    }

    /// Returns the sum of all tasks' rows that are saved as done.
    pub(crate) fn sum(&self) -> u64 {
        self.tasks.values().map(|saved| saved.done_below).sum()
    }

    /// Tries to save a task's progress as an old copy of a worker would that still believes in itself, with the
    /// right version. Returns what nimbus says to that.
    ///
    /// # Errors
    /// If nimbus has taken it.
    pub(crate) async fn turn_back(&mut self, stale: &Worker) -> Result<String> {
        let (key, saved) = self.tasks.first_key_value().context("something is saved")?;
        let write = Write {
            key: key.clone(),
            expected: Some(saved.version),
            value: Some(br#"{"format":1,"done_below":0}"#.to_vec()),
        };
        let commit = CommitCheckpoints {
            client: self.who(stale),
            commits: vec![vec![write]],
        };
        let commit = wire::CommitCheckpointsRequest::from(commit);
        match self.client.commit_checkpoints(commit).await {
            Ok(answer) => anyhow::bail!("an old copy was answered: {answer:?}"),
            Err(status) if is_stale(&status) => Ok(status.message().to_owned()),
            Err(status) => Err(status.into()),
        }
    }

    fn who(&self, worker: &Worker) -> CheckpointClient {
        CheckpointClient {
            cluster: self.cluster,
            topology: self.topology.clone(),
            worker: WorkerIdx(worker.worker),
            fence: Fence {
                placement_epoch: worker.placement_epoch,
                incarnation: worker.incarnation,
            },
        }
    }
}

fn is_stale(status: &Status) -> bool {
    status.code() == Code::FailedPrecondition
}
