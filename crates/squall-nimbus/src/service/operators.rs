//! What operators ask: the service Nimbus.

use std::sync::Arc;

use squall_daemon::elf::{Elf, ElfError};
use squall_daemon::fail_point;
use squall_daemon::identity::Identity;
use squall_plan::schedule::Liveness;
use squall_proto::handshake::agree;
use squall_proto::wire::nimbus_server::Nimbus;
use squall_proto::{
    BinaryNeeds, ClusterId, Describe, Description, Drain, Handshake, Hello, Kill, Planned,
    Rebalance, Refusal, SetActive, Sha256, SlotStatus, Submit, SupervisorInfo, TailLog,
    TopologySummary, wire,
};
use squall_store::blob::{BlobHash, BlobStore};
use tokio::task::spawn_blocking;
use tonic::{Request, Response, Status};

use crate::beats::{Beats, millis};
use crate::heart::{Event, Reply, Submission, describe, summarise};
use crate::leader::{LeaderHandle, View};

use super::Refusals;
use super::logs::{LogStream, Logs};

/// Serves operators.
pub(crate) struct NimbusService {
    pub(crate) leader: LeaderHandle,
    pub(crate) beats: Arc<Beats>,
    pub(crate) blobs: BlobStore,
    pub(crate) logs: Logs,
    pub(crate) identity: Identity,
    pub(crate) cluster: ClusterId,
    pub(crate) refusals: Refusals,
}

impl NimbusService {
    fn answer<T, W: From<T>>(&self, answer: Result<T, Refusal>) -> Result<Response<W>, Status> {
        let answer = answer.map_err(|refusal| self.refusals.status(refusal))?;
        Ok(Response::new(answer.into()))
    }

    fn greet(&self, request: wire::HelloRequest) -> Result<Hello, Refusal> {
        let theirs: Handshake = request.try_into()?;
        let ours = self.identity.handshake(Some(self.cluster));
        let agreed = agree(&ours, &theirs)?;
        Ok(Hello {
            handshake: ours,
            protocol: agreed.protocol,
        })
    }

    async fn accept(&self, request: wire::SubmitRequest) -> Result<Planned, Refusal> {
        let mut submit: Submit = request.try_into()?;
        // What the binary says of itself counts, not what is said of it. For a dry run it may be missing.
        match needs_of(&self.blobs, submit.binary_sha256).await? {
            Some(needs) => submit.needs = needs,
            None if submit.dry_run => {}
            None => return Err(Refusal::unknown_blob(&submit.binary_sha256)),
        }
        let spec_sha256 = Sha256::new(*BlobHash::of(&submit.spec_json).as_bytes());
        let submission = Submission {
            submit,
            spec_sha256,
            unix_ms: self.leader.unix_ms(),
        };
        let event = Event::Submit(Box::new(submission));
        match self.leader.command(event).await? {
            Reply::Submitted(topology, plan) => {
                if topology.is_some() {
                    fail_point::reach(format_args!("submit-stored"));
                }
                Ok(Planned { topology, plan })
            }
            other => Err(unexpected(&other)),
        }
    }

    async fn tell(&self, request: wire::DescribeRequest) -> Result<Description, Refusal> {
        let Describe { name } = request.try_into()?;
        let now = self.leader.now();
        let question = move |view: &View<'_>| {
            let record = view.desired.named(&name);
            let record = record.ok_or_else(|| Refusal::unknown_topology(&name))?;
            let plan = describe(view.desired, view.observed, record);
            let summary = summarise(view.observed, record, view.now, view.limits);
            Ok::<_, Refusal>((Arc::clone(record), plan, summary))
        };
        let (record, plan, summary) = self.leader.ask(question).await??;
        let (workers, counters) = self.beats.of(&record, now);
        Ok(Description {
            topology: record.told(),
            summary,
            plan,
            workers,
            counters,
        })
    }

    async fn spread(&self, request: wire::RebalanceRequest) -> Result<Planned, Refusal> {
        let rebalance: Rebalance = request.try_into()?;
        match self.leader.command(Event::Rebalance(rebalance)).await? {
            Reply::Rebalancing(topology, plan) => Ok(Planned {
                topology: Some(topology),
                plan,
            }),
            other => Err(unexpected(&other)),
        }
    }

    async fn change(&self, event: Event) -> Result<squall_core::TopologyId, Refusal> {
        match self.leader.command(event).await? {
            Reply::Changed(topology) => Ok(topology),
            other => Err(unexpected(&other)),
        }
    }

    async fn empty(&self, request: wire::DrainRequest) -> Result<u32, Refusal> {
        let Drain { supervisor, undo } = request.try_into()?;
        match self
            .leader
            .command(Event::Drain { supervisor, undo })
            .await?
        {
            Reply::Draining(n_workers) => Ok(n_workers),
            other => Err(unexpected(&other)),
        }
    }
}

#[tonic::async_trait]
impl Nimbus for NimbusService {
    type TailLogStream = LogStream;

    async fn hello(
        &self,
        request: Request<wire::HelloRequest>,
    ) -> Result<Response<wire::HelloResponse>, Status> {
        self.answer(self.greet(request.into_inner()))
    }

    async fn submit(
        &self,
        request: Request<wire::SubmitRequest>,
    ) -> Result<Response<wire::SubmitResponse>, Status> {
        self.answer(self.accept(request.into_inner()).await)
    }

    async fn list_topologies(
        &self,
        _: Request<wire::ListTopologiesRequest>,
    ) -> Result<Response<wire::ListTopologiesResponse>, Status> {
        self.answer(self.leader.ask(summaries).await)
    }

    async fn describe(
        &self,
        request: Request<wire::DescribeRequest>,
    ) -> Result<Response<wire::DescribeResponse>, Status> {
        self.answer(self.tell(request.into_inner()).await)
    }

    async fn kill(
        &self,
        request: Request<wire::KillRequest>,
    ) -> Result<Response<wire::KillResponse>, Status> {
        let killed = match Kill::try_from(request.into_inner()) {
            Ok(Kill { name, wait }) => self.change(Event::Kill { name, wait }).await,
            Err(error) => Err(error.into()),
        };
        self.answer(killed)
    }

    async fn set_active(
        &self,
        request: Request<wire::SetActiveRequest>,
    ) -> Result<Response<wire::SetActiveResponse>, Status> {
        let changed = match SetActive::try_from(request.into_inner()) {
            Ok(SetActive { name, active }) => self.change(Event::SetActive { name, active }).await,
            Err(error) => Err(error.into()),
        };
        self.answer(changed)
    }

    async fn rebalance(
        &self,
        request: Request<wire::RebalanceRequest>,
    ) -> Result<Response<wire::RebalanceResponse>, Status> {
        self.answer(self.spread(request.into_inner()).await)
    }

    async fn list_supervisors(
        &self,
        _: Request<wire::ListSupervisorsRequest>,
    ) -> Result<Response<wire::ListSupervisorsResponse>, Status> {
        self.answer(self.leader.ask(supervisors).await)
    }

    async fn drain(
        &self,
        request: Request<wire::DrainRequest>,
    ) -> Result<Response<wire::DrainResponse>, Status> {
        let n_workers = self.empty(request.into_inner()).await;
        let n_workers = n_workers.map_err(|refusal| self.refusals.status(refusal))?;
        Ok(Response::new(wire::DrainResponse { n_workers }))
    }

    async fn tail_log(
        &self,
        request: Request<wire::TailLogRequest>,
    ) -> Result<Response<LogStream>, Status> {
        let tail = TailLog::try_from(request.into_inner()).map_err(Refusal::from);
        let pieces = tail.and_then(|tail| self.logs.tail(&tail));
        pieces
            .map(Response::new)
            .map_err(|refusal| self.refusals.status(refusal))
    }
}

/// Reads what a stored binary needs; `None` if it isn't stored.
async fn needs_of(blobs: &BlobStore, sha256: Sha256) -> Result<Option<BinaryNeeds>, Refusal> {
    let hash = BlobHash::new(*sha256.as_bytes());
    let blobs = blobs.clone();
    let read = move || blobs.size(hash).map(|_| Elf::open(blobs.path(hash)));
    match spawn_blocking(read).await.map_err(Refusal::internal)? {
        None => Ok(None),
        Some(Ok(elf)) => Ok(Some(elf.needs())),
        Some(Err(ElfError::Io(error))) => Err(Refusal::unavailable(error)),
        Some(Err(error)) => Err(Refusal::not_a_program(error)),
    }
}

fn summaries(view: &View<'_>) -> Vec<TopologySummary> {
    let records = view.desired.topologies.values();
    let summaries = records.map(|record| summarise(view.observed, record, view.now, view.limits));
    let mut summaries: Vec<TopologySummary> = summaries.collect();
    summaries.sort_by(|a, b| a.topology.cmp(&b.topology));
    summaries
}

fn supervisors(view: &View<'_>) -> Vec<SupervisorInfo> {
    let infos = view.desired.supervisors.iter().map(|(id, known)| {
        let liveness = view.observed.liveness(id, known, view.now, view.limits);
        let status = view.statuses.get(id);
        let slots = match status {
            Some(status) => status.status.slots.clone(),
            None => known
                .slots
                .iter()
                .map(|port| SlotStatus {
                    port: *port,
                    worker: None,
                })
                .collect(),
        };
        let seen = view.observed.supervisors.get(id);
        SupervisorInfo {
            supervisor: id.clone(),
            address: known.address.clone(),
            handshake: known.handshake.clone(),
            resources: known.resources,
            slots,
            draining: known.draining || seen.is_some_and(|seen| seen.draining),
            alive: liveness != Liveness::Lost,
            age_ms: status.map_or(0, |status| millis(view.now.since(status.at)).max(1)),
            disk_free_bytes: status.map_or(0, |status| status.status.disk_free_bytes),
        }
    });
    infos.collect()
}

fn unexpected(reply: &Reply) -> Refusal {
    Refusal::internal(format_args!("the answer is of another kind: {reply:?}"))
}
