//! Supervisors' standing streams: the service Coordination.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::poll_fn;
use squall_core::SupervisorId;
use squall_daemon::identity::Identity;
use squall_daemon::shutdown::Scope;
use squall_proto::handshake::agree;
use squall_proto::limits::{HELLO_DEADLINE, SILENCE_DEADLINE};
use squall_proto::wire::coordination_server::Coordination;
use squall_proto::{
    ClusterId, Refusal, RefusalCode, SupervisorOrder, SupervisorReport, SupervisorStatus, wire,
};
use squall_store::cluster::LeaderEpoch;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tonic::{Request, Response, Status, Streaming};
use tracing::{info, warn};

use crate::beats::Beats;
use crate::heart::SlotReport;
use crate::leader::{Attendance, LeaderHandle};
use crate::metrics::NimbusMetrics;

use super::Refusals;

type Orders = Pin<Box<dyn Stream<Item = Result<wire::SupervisorOrder, Status>> + Send>>;

/// Serves supervisors.
#[derive(Clone)]
pub(crate) struct CoordinationService {
    pub(crate) leader: LeaderHandle,
    pub(crate) beats: Arc<Beats>,
    pub(crate) identity: Identity,
    pub(crate) cluster: ClusterId,
    pub(crate) epoch: LeaderEpoch,
    pub(crate) scope: Scope,
    pub(crate) metrics: NimbusMetrics,
    pub(crate) refusals: Refusals,
}

#[tonic::async_trait]
impl Coordination for CoordinationService {
    type AttendStream = Orders;

    async fn attend(
        &self,
        request: Request<Streaming<wire::SupervisorReport>>,
    ) -> Result<Response<Orders>, Status> {
        let mut reports = request.into_inner();
        let begun = self.begin(&mut reports).await;
        let (id, attendance) = begun.map_err(|refusal| self.refusals.status(refusal))?;
        // One order may wait: a supervisor that doesn't read gets the latest when it does.
        let (sender, mut orders) = mpsc::channel(1);
        let stream = Stand {
            service: self.clone(),
            id,
            attendance,
            reports,
        };
        self.scope.spawn("supervisor", stream.run(sender));
        Ok(Response::new(Box::pin(poll_fn(move |cx| {
            orders.poll_recv(cx)
        }))))
    }
}

impl CoordinationService {
    /// Takes the hello.
    async fn begin(
        &self,
        reports: &mut Streaming<wire::SupervisorReport>,
    ) -> Result<(SupervisorId, Attendance), Refusal> {
        let first = timeout(HELLO_DEADLINE, reports.message()).await;
        let first = first.map_err(|_| Refusal::unavailable("no hello came in time"))??;
        let first = first.map(SupervisorReport::try_from).transpose()?;
        let Some(SupervisorReport::Hello(hello)) = first else {
            return Err(no_hello());
        };
        agree(
            &self.identity.handshake(Some(self.cluster)),
            &hello.handshake,
        )?;
        if hello.leader_epoch > self.epoch.0 {
            return Err(Refusal::stale_epoch(self.epoch.0, hello.leader_epoch));
        }
        let id = hello.supervisor.clone();
        let attendance = self.leader.attend(hello).await?;
        Ok((id, attendance))
    }

    fn order(&self, topologies: &[squall_proto::TopologyOrder]) -> wire::SupervisorOrder {
        let order = SupervisorOrder {
            handshake: self.identity.handshake(Some(self.cluster)),
            leader_epoch: self.epoch.0,
            topologies: topologies.to_vec(),
        };
        order.into()
    }
}

/// One standing stream.
struct Stand {
    service: CoordinationService,
    id: SupervisorId,
    attendance: Attendance,
    reports: Streaming<wire::SupervisorReport>,
}

impl Stand {
    /// Passes reports in and orders out until either side ends it.
    async fn run(mut self, sender: mpsc::Sender<Result<wire::SupervisorOrder, Status>>) {
        let ended = self.pass(&sender).await;
        match ended {
            Ok(()) => info!(supervisor_id = %self.id, "supervisor has left"),
            Err(refusal) => {
                if self.service.scope.is_draining() {
                    info!(supervisor_id = %self.id, "nimbus leaves its supervisor");
                } else {
                    warn!(supervisor_id = %self.id, error = %refusal.message, "supervisor's stream ended");
                }
                let status = self.service.refusals.status(refusal);
                // Who doesn't read will not hear why.
                sender.try_send(Err(status)).ok();
            }
        }
        self.service
            .leader
            .leave(self.id, self.attendance.number)
            .await;
    }

    async fn pass(
        &mut self,
        sender: &mpsc::Sender<Result<wire::SupervisorOrder, Status>>,
    ) -> Result<(), Refusal> {
        let scope = self.service.scope.clone();
        let mut silent_at = Instant::now() + SILENCE_DEADLINE;
        let mut owes_order = true;
        loop {
            tokio::select! {
                biased;
                () = scope.draining() => return Err(Refusal::unavailable("nimbus is stopping")),
                changed = self.attendance.orders.changed(), if !owes_order => {
                    changed.map_err(|_| replaced(&self.id))?;
                    owes_order = true;
                }
                permit = sender.reserve(), if owes_order => {
                    let Ok(permit) = permit else { return Ok(()) };
                    let topologies = Arc::clone(&self.attendance.orders.borrow_and_update());
                    permit.send(Ok(self.service.order(&topologies)));
                    owes_order = false;
                }
                report = self.reports.message() => {
                    let Some(report) = report? else { return Ok(()) };
                    silent_at = Instant::now() + SILENCE_DEADLINE;
                    self.take(report.try_into()?).await?;
                }
                () = sleep_until(silent_at) => {
                    let why = format!("nothing was reported for {SILENCE_DEADLINE:?}");
                    return Err(Refusal::unavailable(why));
                }
            }
        }
    }

    async fn take(&self, report: SupervisorReport) -> Result<(), Refusal> {
        let SupervisorReport::Status(status) = report else {
            let message = "a supervisor says hello once, first";
            return Err(Refusal::new(RefusalCode::BadField, message, ""));
        };
        self.service.metrics.reports.inc();
        let (desired, now) = (self.service.leader.desired(), self.service.leader.now());
        let mut slots = BTreeMap::new();
        let mut plain = SupervisorStatus {
            slots: Vec::with_capacity(status.slots.len()),
            ..status
        };
        for mut slot in status.slots {
            // The latest counters stay with the beats; anywhere else they would only take room.
            self.service.beats.take(&desired, &self.id, &mut slot, now);
            if let Some(worker) = &slot.worker {
                slots.insert(slot.port, SlotReport::from(worker));
            }
            plain.slots.push(slot);
        }
        let who = (self.id.clone(), self.attendance.number);
        self.service
            .leader
            .report(who, slots, Arc::new(plain))
            .await
    }
}

fn no_hello() -> Refusal {
    let message = "a supervisor's stream begins with a hello";
    Refusal::new(RefusalCode::BadField, message, "")
}

fn replaced(id: &SupervisorId) -> Refusal {
    let why = format!("another stream of supervisor {id} has replaced this one");
    let action = "if two supervisors share an id, give one of them a data directory of its own";
    Refusal::new(RefusalCode::Busy, why, action)
}
