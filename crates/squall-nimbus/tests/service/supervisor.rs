//! A supervisor that attends and says at once that all it is ordered to run runs.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::poll_fn;
use squall_core::Fence;
use squall_proto::wire::coordination_client::CoordinationClient;
use squall_proto::{
    ComponentCounters, Counters, Phase, Refusal, Resources, RunningWorker, SlotState, SlotStatus,
    SlotWorker, SupervisorHello, SupervisorOrder, SupervisorReport, SupervisorStatus, wire,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, sleep};
use tonic::transport::Channel;

use crate::harness::{PATIENCE, handshake};

/// A supervisor.
pub(crate) struct Supervisor {
    pub(crate) orders: Arc<Mutex<Vec<SupervisorOrder>>>,
    task: JoinHandle<Refusal>,
}

pub(crate) fn hello(id: &str) -> SupervisorHello {
    SupervisorHello {
        handshake: handshake(),
        supervisor: id.into(),
        address: format!("host-{id}:6700").parse().unwrap(),
        slot_ports: vec![6701, 6702, 6703, 6704],
        resources: Resources {
            n_cores: NonZeroU32::MIN,
            memory_bytes: 1 << 30,
        },
        leader_epoch: 0,
    }
}

/// A stream by hand: what is sent into it goes to nimbus.
pub(crate) type Sender = mpsc::Sender<SupervisorReport>;

/// Begins a stream, with a first message, and returns both its ends.
pub(crate) async fn attend(
    client: &mut CoordinationClient<Channel>,
    first: SupervisorReport,
) -> Result<(Sender, tonic::Streaming<wire::SupervisorOrder>), Refusal> {
    let (sender, mut reports) = mpsc::channel::<SupervisorReport>(16);
    sender.send(first).await.unwrap();
    let outbound = poll_fn(move |cx| {
        let report = reports.poll_recv(cx);
        report.map(|report| report.map(wire::SupervisorReport::from))
    });
    let orders = client.attend(outbound).await?.into_inner();
    Ok((sender, orders))
}

impl Supervisor {
    /// Attends, and says five times a second what it runs.
    pub(crate) async fn start(
        mut client: CoordinationClient<Channel>,
        hello: SupervisorHello,
    ) -> Self {
        let (sender, mut inbound) = attend(&mut client, SupervisorReport::Hello(hello.clone()))
            .await
            .unwrap();
        let orders = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&orders);
        let task = tokio::spawn(async move {
            let mut reports = interval(Duration::from_millis(200));
            loop {
                tokio::select! {
                    order = inbound.message() => match order {
                        Ok(Some(order)) => kept.lock().unwrap().push(order.try_into().unwrap()),
                        Ok(None) => return Refusal::unavailable("ended without a reason"),
                        Err(status) => return Refusal::from(status),
                    },
                    _ = reports.tick() => {
                        let last = kept.lock().unwrap().last().cloned();
                        let report = SupervisorReport::Status(status(&hello, last.as_ref()));
                        // When it is closed the reason comes by the other way.
                        sender.send(report).await.ok();
                    }
                }
            }
        });
        Self { orders, task }
    }

    pub(crate) fn last_order(&self) -> Option<SupervisorOrder> {
        self.orders.lock().unwrap().last().cloned()
    }

    /// Waits until an order says something.
    pub(crate) async fn until(
        &self,
        what: &str,
        holds: impl Fn(&SupervisorOrder) -> bool,
    ) -> SupervisorOrder {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let last = self.last_order();
            if let Some(order) = last.filter(|order| holds(order)) {
                return order;
            }
            assert!(
                Instant::now() < deadline,
                "never came: {what}; {:?}",
                self.last_order()
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until it runs something in a phase.
    pub(crate) async fn phase(&self, phase: Phase) -> SupervisorOrder {
        let what = phase.to_string();
        let is_in = |order: &SupervisorOrder| order.topologies.iter().any(|t| t.phase == phase);
        self.until(&what, is_in).await
    }

    /// Waits until nimbus has ended the stream; returns why.
    pub(crate) async fn refused(self) -> Refusal {
        tokio::time::timeout(PATIENCE, self.task)
            .await
            .unwrap()
            .unwrap()
    }

    /// Dies without a word.
    pub(crate) fn kill(self) {
        self.task.abort();
    }
}

/// Says that all runs as it was ordered; each worker has executed a hundred tuples.
pub(crate) fn status(hello: &SupervisorHello, order: Option<&SupervisorOrder>) -> SupervisorStatus {
    let mut workers = BTreeMap::new();
    for (topology, placement) in order
        .iter()
        .flat_map(|order| order.slots_of(&hello.supervisor))
    {
        let counters = ComponentCounters {
            n_tasks: 1,
            executed: 100,
            ..ComponentCounters::new("count".into(), false)
        };
        let worker = SlotWorker {
            topology: topology.topology.id.clone(),
            worker: placement.worker,
            fence: Fence {
                placement_epoch: placement.placement_epoch,
                incarnation: 7,
            },
            state: SlotState::Running(RunningWorker {
                pid: NonZeroU32::MIN,
                ready: true,
                drained: topology.phase == Phase::Draining,
                assignment_version: topology.assignment.version,
                oldest_turn_ms: 0,
                counters: Counters {
                    components: vec![counters],
                    n_omitted: 0,
                },
            }),
            n_restarts: 0,
            last_exit: None,
        };
        workers.insert(placement.port(), worker);
    }
    let slots = hello.slot_ports.iter().map(|port| SlotStatus {
        port: *port,
        worker: workers.remove(port),
    });
    SupervisorStatus {
        slots: slots.collect(),
        draining: false,
        disk_free_bytes: 1 << 30,
    }
}
