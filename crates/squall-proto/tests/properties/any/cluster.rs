//! What supervisors, workers and nimbus tell each other.

use std::collections::BTreeSet;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use squall_core::TaskId;
use squall_core::engine::WorkerIdx;
use squall_proto::{
    Assignment, Launch, Resources, RunningWorker, SlotState, SlotStatus, SlotWorker,
    SupervisorHello, SupervisorOrder, SupervisorReport, SupervisorStatus, TopologyOrder,
    WorkerHello, WorkerOrder, WorkerPlacement, WorkerReport, WorkerStatus,
};

use crate::any::*;

pub(crate) fn resources() -> impl Strategy<Value = Resources> {
    (pid(), number()).prop_map(|(n_cores, memory_bytes)| Resources {
        n_cores,
        memory_bytes,
    })
}

fn slot_state() -> impl Strategy<Value = SlotState> {
    let running = (
        (pid(), any::<bool>(), any::<bool>()),
        (number(), number(), counters()),
    )
        .prop_map(|((pid, ready, drained), (version, turn, counters))| {
            SlotState::Running(RunningWorker {
                pid,
                ready,
                drained,
                assignment_version: version,
                oldest_turn_ms: turn,
                counters,
            })
        });
    prop_oneof![
        Just(SlotState::Fetching),
        pid().prop_map(|pid| SlotState::Starting { pid }),
        running,
        pid().prop_map(|pid| SlotState::Stopping { pid }),
        any::<bool>().prop_map(|crash_looping| SlotState::Failed { crash_looping }),
    ]
}

fn slot_worker() -> impl Strategy<Value = SlotWorker> {
    let ids = (topology_id(), worker(), started_fence());
    (ids, slot_state(), any::<u32>(), given_note()).prop_map(
        |((topology, worker, fence), state, n_restarts, last_exit)| SlotWorker {
            topology,
            worker,
            fence,
            state,
            n_restarts,
            last_exit,
        },
    )
}

pub(crate) fn slot() -> impl Strategy<Value = SlotStatus> {
    let worker = proptest::option::of(slot_worker());
    (1..=u16::MAX, worker).prop_map(|(port, worker)| SlotStatus { port, worker })
}

pub(crate) fn slots() -> impl Strategy<Value = Vec<SlotStatus>> {
    vec(slot(), 0..4).prop_map(|mut slots| {
        let mut ports = BTreeSet::new();
        slots.retain(|slot| ports.insert(slot.port));
        slots
    })
}

fn supervisor_hello() -> impl Strategy<Value = SupervisorHello> {
    let ports = btree_set(1..=u16::MAX, 1..=64);
    let who = (handshake(), supervisor(), address());
    (who, ports, resources(), number()).prop_map(
        |((handshake, supervisor, address), ports, resources, leader_epoch)| SupervisorHello {
            handshake,
            supervisor,
            address,
            slot_ports: ports.into_iter().collect(),
            resources,
            leader_epoch,
        },
    )
}

pub(crate) fn supervisor_report() -> impl Strategy<Value = SupervisorReport> {
    let status =
        (slots(), any::<bool>(), number()).prop_map(|(slots, draining, disk_free_bytes)| {
            SupervisorStatus {
                slots,
                draining,
                disk_free_bytes,
            }
        });
    prop_oneof![
        supervisor_hello().prop_map(SupervisorReport::Hello),
        status.prop_map(SupervisorReport::Status),
    ]
}

fn topology_order() -> impl Strategy<Value = TopologyOrder> {
    let ordered = |topology: squall_proto::Topology| {
        let assignment = assignment_of(topology.id.clone());
        (Just(topology), assignment, phase(), any::<bool>())
    };
    topology()
        .prop_flat_map(ordered)
        .prop_map(|(topology, assignment, phase, all_ready)| TopologyOrder {
            topology,
            assignment,
            phase,
            all_ready,
        })
}

pub(crate) fn supervisor_order() -> impl Strategy<Value = SupervisorOrder> {
    (handshake(), from_one(), vec(topology_order(), 0..4)).prop_map(
        |(handshake, leader_epoch, mut topologies)| {
            let (mut ids, mut slots) = (BTreeSet::new(), BTreeSet::new());
            topologies.retain(|order| {
                let mut workers = order.assignment.workers.iter();
                ids.insert(order.topology.id.clone())
                    && workers.all(|worker| slots.insert(worker.address.clone()))
            });
            SupervisorOrder {
                handshake,
                leader_epoch,
                topologies,
            }
        },
    )
}

fn worker_hello() -> impl Strategy<Value = WorkerHello> {
    let who = (handshake(), cookie(), pid());
    (who, topology_id(), worker(), started_fence()).prop_map(
        |((handshake, cookie, pid), topology, worker, fence)| WorkerHello {
            handshake,
            cookie,
            pid,
            topology,
            worker,
            fence,
        },
    )
}

pub(crate) fn worker_report() -> impl Strategy<Value = WorkerReport> {
    let flags = (any::<bool>(), any::<bool>());
    let status = (flags, number(), from_one(), counters()).prop_map(
        |((ready, drained), oldest_turn_ms, assignment_version, counters)| WorkerStatus {
            ready,
            drained,
            oldest_turn_ms,
            assignment_version,
            counters,
        },
    );
    prop_oneof![
        worker_hello().prop_map(WorkerReport::Hello),
        status.prop_map(WorkerReport::Status),
    ]
}

pub(crate) fn worker_order() -> impl Strategy<Value = WorkerOrder> {
    (handshake(), assignment(), phase(), any::<bool>()).prop_map(
        |(handshake, assignment, phase, all_ready)| WorkerOrder {
            handshake,
            assignment,
            phase,
            all_ready,
        },
    )
}

pub(crate) fn launch() -> impl Strategy<Value = Launch> {
    let addresses = (address(), vec(address(), 1..=16), address());
    let secrets = (handshake(), cookie(), from_one());
    (topology(), from_one(), addresses, secrets).prop_map(
        |(topology, epoch, (own, nimbus_addresses, bind_address), secrets)| {
            let placement = WorkerPlacement {
                worker: WorkerIdx(3),
                supervisor: "s-1".into(),
                address: own.clone(),
                tasks: vec![TaskId(0), TaskId(9)],
                placement_epoch: epoch,
            };
            let (handshake, cookie, incarnation) = secrets;
            Launch {
                handshake,
                assignment: Assignment {
                    topology: topology.id.clone(),
                    version: epoch,
                    workers: vec![placement],
                },
                topology,
                worker: WorkerIdx(3),
                fence: squall_core::Fence {
                    placement_epoch: epoch,
                    incarnation,
                },
                cookie,
                supervisor_address: own,
                nimbus_addresses,
                bind_address,
            }
        },
    )
}
