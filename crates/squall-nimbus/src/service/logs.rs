//! Workers' logs: asked of their supervisors, and passed on piece by piece.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::poll_fn;
use squall_core::TopologyId;
use squall_core::engine::WorkerIdx;
use squall_daemon::grpc::{ChannelLimits, endpoint};
use squall_daemon::shutdown::Scope;
use squall_proto::limits::{LOG_DEADLINE, LOG_FOLLOWERS, MAX_PIECE_BYTES};
use squall_proto::wire::supervisor_client::SupervisorClient;
use squall_proto::{Address, ClusterId, LogPiece, Note, Refusal, TailLog, TailWorkerLog, wire};
use squall_store::cluster::LeaderEpoch;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tonic::{Status, Streaming};

use crate::leader::LeaderHandle;

/// The most workers whose logs are read for one caller.
const MAX_WORKERS: usize = 256;
/// How many pieces may wait for the caller.
const PIECES: usize = 16;

pub(super) type LogStream =
    Pin<Box<dyn Stream<Item = Result<wire::TailLogResponse, Status>> + Send>>;

/// Reads logs for operators.
#[derive(Clone)]
pub(crate) struct Logs {
    leader: LeaderHandle,
    cluster: ClusterId,
    epoch: LeaderEpoch,
    scope: Scope,
    followers: Arc<Semaphore>,
}

impl Logs {
    pub(crate) fn new(
        leader: LeaderHandle,
        cluster: ClusterId,
        epoch: LeaderEpoch,
        scope: Scope,
    ) -> Self {
        Self {
            leader,
            cluster,
            epoch,
            scope,
            followers: Arc::new(Semaphore::new(LOG_FOLLOWERS)),
        }
    }

    /// Begins to read the logs of a topology's workers, side by side.
    pub(super) fn tail(&self, tail: &TailLog) -> Result<LogStream, Refusal> {
        let permit = Arc::clone(&self.followers).try_acquire_owned();
        let permit = permit.map_err(|_| Refusal::busy("followers of logs", LOG_FOLLOWERS))?;
        let permit = Arc::new(permit);
        let desired = self.leader.desired();
        let record = desired.named(&tail.name);
        let record = record.ok_or_else(|| Refusal::unknown_topology(&tail.name))?;
        let (sender, mut pieces) = mpsc::channel(PIECES);
        for (n_read, (idx, worker)) in (0u32..).zip(&record.workers).enumerate() {
            let known = worker
                .slot
                .as_ref()
                .and_then(|slot| desired.supervisors.get(&slot.supervisor));
            let address = match known {
                Some(known) if n_read < MAX_WORKERS => Ok(known.address.clone()),
                Some(_) => Err(format!(
                    "logs of {MAX_WORKERS} workers at most are read at once"
                )),
                None => Err("the worker has no slot".to_owned()),
            };
            let worker_tail = TailWorkerLog {
                cluster: self.cluster,
                leader_epoch: self.epoch.0,
                topology: record.id().clone(),
                worker: WorkerIdx(idx),
                component: tail.component.clone(),
                n_lines: tail.n_lines,
                follow: tail.follow,
            };
            let relay = relay(address, worker_tail, sender.clone(), Arc::clone(&permit));
            let scope = self.scope.clone();
            self.scope.spawn("log", async move {
                tokio::select! {
                    () = scope.draining() => {}
                    () = relay => {}
                }
            });
        }
        Ok(Box::pin(poll_fn(move |cx| pieces.poll_recv(cx))))
    }
}

type Pieces = mpsc::Sender<Result<wire::TailLogResponse, Status>>;

/// Passes one worker's log on. What stands in the way is said in its place, and the other logs go on.
async fn relay(
    address: Result<Address, String>,
    tail: TailWorkerLog,
    sender: Pieces,
    _permit: Arc<OwnedSemaphorePermit>,
) {
    let (topology, worker) = (tail.topology.clone(), tail.worker);
    let passed = match address {
        Ok(address) => tokio::select! {
            passed = pass(&address, tail, &sender) => passed,
            () = sender.closed() => return,
        },
        Err(why) => Err(why),
    };
    if let Err(why) = passed {
        // Who has gone needs no reason.
        sender
            .send(Ok(trouble(topology, worker, &why).into()))
            .await
            .ok();
    }
}

async fn pass(address: &Address, tail: TailWorkerLog, sender: &Pieces) -> Result<(), String> {
    let words = |refusal: Refusal| format!("supervisor at {address}: {}", refusal.message);
    let said = |status: Status| words(Refusal::from(status));
    let failed = |error: tonic::transport::Error| said(Status::from_error(error.into()));
    let endpoint = endpoint(address, &ChannelLimits::control()).map_err(failed)?;
    let channel = endpoint.connect().await.map_err(failed)?;
    let mut client = SupervisorClient::new(channel).max_decoding_message_size(MAX_PIECE_BYTES);
    let (topology, worker, follow) = (tail.topology.clone(), tail.worker, tail.follow);
    let slow = |_| format!("supervisor at {address} doesn't answer");
    let begun = timeout(
        LOG_DEADLINE,
        client.tail_log(wire::TailWorkerLogRequest::from(tail)),
    );
    let mut pieces: Streaming<wire::TailLogResponse> =
        begun.await.map_err(slow)?.map_err(said)?.into_inner();
    loop {
        // One that follows may be silent for as long as nothing is logged.
        let piece = match follow {
            true => pieces.message().await,
            false => timeout(LOG_DEADLINE, pieces.message())
                .await
                .map_err(slow)?,
        };
        let Some(piece) = piece.map_err(said)? else {
            return Ok(());
        };
        let piece = LogPiece::try_from(piece).map_err(|error| words(error.into()))?;
        if (&piece.topology, piece.worker) != (&topology, worker) {
            return Err(format!(
                "supervisor at {address} sent the log of another worker"
            ));
        }
        if sender.send(Ok(piece.into())).await.is_err() {
            return Ok(());
        }
    }
}

fn trouble(topology: TopologyId, worker: WorkerIdx, why: &str) -> LogPiece {
    LogPiece {
        topology,
        worker,
        text: bytes::Bytes::new(),
        trouble: Some(Note::new(why)),
    }
}
