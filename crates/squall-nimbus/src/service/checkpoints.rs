//! Where sources remember how far they came: the service Checkpoints.
//!
//! **Invariant:** only the copy of a worker that nimbus has placed last may read or write.

mod desk;

use std::sync::Arc;

use squall_core::{CheckpointStore, Fence, StoreError};
use squall_proto::limits::CHECKPOINT_DEADLINE;
use squall_proto::wire::checkpoints_server::Checkpoints;
use squall_proto::{
    CheckpointClient, CheckpointOutcome, CheckpointPage, ClusterId, CommitCheckpoints,
    ListCheckpoints, LoadCheckpoint, Refusal, RefusalCode, wire,
};
use squall_store::cluster::ClusterCheckpoints;
use tokio::time::timeout;
use tonic::{Request, Response, Status};

use crate::beats::Beats;
use crate::leader::LeaderHandle;

use super::Refusals;

pub(crate) use desk::CheckpointDesk;

use desk::DeskHandle;

/// Serves checkpoints.
pub(crate) struct CheckpointService {
    pub(crate) leader: LeaderHandle,
    pub(crate) beats: Arc<Beats>,
    pub(crate) store: ClusterCheckpoints,
    pub(crate) desk: DeskHandle,
    pub(crate) cluster: ClusterId,
    pub(crate) refusals: Refusals,
}

impl CheckpointService {
    /// Refuses whoever isn't the latest copy of a worker that there is.
    fn admit(&self, client: &CheckpointClient) -> Result<(), Refusal> {
        if client.cluster != self.cluster {
            let message = format!("this is cluster {}, not {}", self.cluster, client.cluster);
            let action = "check the address of nimbus";
            return Err(Refusal::new(RefusalCode::WrongCluster, message, action));
        }
        let desired = self.leader.desired();
        let record = desired.topology(&client.topology).ok_or_else(|| {
            Refusal::unknown_worker(format_args!("no topology {} lives", client.topology))
        })?;
        let idx = usize::try_from(client.worker.0).unwrap_or(usize::MAX);
        let worker = record.workers.get(idx).ok_or_else(|| {
            let n = record.workers.len();
            let (id, idx) = (&client.topology, client.worker.0);
            Refusal::unknown_worker(format_args!(
                "{id} has {n} workers, and none of index {idx}"
            ))
        })?;
        let heard = self.beats.fence(&client.topology, client.worker);
        let placed = Fence {
            placement_epoch: worker.epoch,
            incarnation: 0,
        };
        let newest = heard.unwrap_or(placed).max(placed);
        if client.fence < newest {
            return Err(Refusal::stale_fence(client.fence, newest));
        }
        if client.fence.placement_epoch > worker.epoch {
            let epoch = client.fence.placement_epoch;
            let why = format!("epoch {epoch} of {} was never given", client.topology);
            return Err(Refusal::unknown_worker(why));
        }
        Ok(())
    }

    async fn load(
        &self,
        request: wire::LoadCheckpointRequest,
    ) -> Result<wire::LoadCheckpointResponse, Refusal> {
        let LoadCheckpoint { client, key } = request.try_into()?;
        self.admit(&client)?;
        let entry = within(self.store.load(&key)).await?;
        Ok(wire::LoadCheckpointResponse {
            entry: entry.map(|entry| (key, entry).into()),
        })
    }

    async fn list(&self, request: wire::ListCheckpointsRequest) -> Result<CheckpointPage, Refusal> {
        let ListCheckpoints {
            client,
            prefix,
            after,
        } = request.try_into()?;
        self.admit(&client)?;
        let (entries, more) = within(self.store.page(&prefix, after.as_deref())).await?;
        Ok(CheckpointPage { entries, more })
    }

    async fn commit(
        &self,
        request: wire::CommitCheckpointsRequest,
    ) -> Result<Vec<CheckpointOutcome>, Refusal> {
        let CommitCheckpoints { client, commits } = request.try_into()?;
        self.admit(&client)?;
        self.desk.commit(client.fence, commits).await
    }
}

#[tonic::async_trait]
impl Checkpoints for CheckpointService {
    async fn load_checkpoint(
        &self,
        request: Request<wire::LoadCheckpointRequest>,
    ) -> Result<Response<wire::LoadCheckpointResponse>, Status> {
        let loaded = self.load(request.into_inner()).await;
        loaded
            .map(Response::new)
            .map_err(|refusal| self.refusals.status(refusal))
    }

    async fn list_checkpoints(
        &self,
        request: Request<wire::ListCheckpointsRequest>,
    ) -> Result<Response<wire::ListCheckpointsResponse>, Status> {
        let page = self.list(request.into_inner()).await;
        let page = page.map_err(|refusal| self.refusals.status(refusal))?;
        Ok(Response::new(page.into()))
    }

    async fn commit_checkpoints(
        &self,
        request: Request<wire::CommitCheckpointsRequest>,
    ) -> Result<Response<wire::CommitCheckpointsResponse>, Status> {
        let outcomes = self.commit(request.into_inner()).await;
        let outcomes = outcomes.map_err(|refusal| self.refusals.status(refusal))?;
        Ok(Response::new(outcomes.into()))
    }
}

/// Waits for the store, but not for ever.
async fn within<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, Refusal> {
    let answer = timeout(CHECKPOINT_DEADLINE, asked).await;
    Ok(answer.map_err(|_| Refusal::unavailable("the store doesn't answer"))??)
}
