//! What operators ask, and what they are answered.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use squall_proto::{
    Describe, Description, Drain, Hello, Kill, LogPiece, Planned, Rebalance, ReportedSlot,
    SetActive, Submit, SupervisorInfo, TailLog, TailWorkerLog, TopologySummary,
};

use crate::any::*;

pub(crate) fn hello() -> impl Strategy<Value = Hello> {
    (handshake(), 1..=u32::MAX).prop_map(|(handshake, protocol)| Hello {
        handshake,
        protocol,
    })
}

pub(crate) fn submit() -> impl Strategy<Value = Submit> {
    let binary = (sha256(), needs());
    let wants = (of(n_workers()), of(program()), any::<bool>());
    (topology_name(), bytes(1..50), binary, wants).prop_map(
        |(name, spec_json, (binary_sha256, needs), (n_workers, program, dry_run))| Submit {
            name,
            spec_json,
            binary_sha256,
            needs,
            n_workers,
            program,
            dry_run,
        },
    )
}

pub(crate) fn planned() -> impl Strategy<Value = Planned> {
    (topology_id(), plan()).prop_map(|(id, plan)| Planned {
        topology: Some(id),
        plan,
    })
}

pub(crate) fn dry_planned() -> impl Strategy<Value = Planned> {
    plan().prop_map(|plan| Planned {
        topology: None,
        plan,
    })
}

pub(crate) fn describe() -> impl Strategy<Value = Describe> {
    topology_name().prop_map(|name| Describe { name })
}

fn wait() -> impl Strategy<Value = Duration> {
    (0..=3_600_000u64).prop_map(Duration::from_millis)
}

pub(crate) fn kill() -> impl Strategy<Value = Kill> {
    (topology_name(), wait()).prop_map(|(name, wait)| Kill { name, wait })
}

pub(crate) fn set_active() -> impl Strategy<Value = SetActive> {
    (topology_name(), any::<bool>()).prop_map(|(name, active)| SetActive { name, active })
}

pub(crate) fn rebalance() -> impl Strategy<Value = Rebalance> {
    let spread = (of(n_workers()), parallelism());
    (topology_name(), spread, wait(), any::<bool>()).prop_map(
        |(name, (n_workers, parallelism), wait, dry_run)| Rebalance {
            name,
            n_workers,
            parallelism,
            wait,
            dry_run,
        },
    )
}

fn summary() -> impl Strategy<Value = TopologySummary> {
    let numbers = [(); 5].map(|()| any::<u32>());
    (topology_id(), state(), phase(), numbers, number()).prop_map(
        |(topology, state, phase, numbers, submitted_unix_ms)| TopologySummary {
            topology,
            state,
            phase,
            n_tasks: numbers[0],
            n_workers: numbers[1],
            n_workers_ready: numbers[2],
            n_tasks_unplaced: numbers[3],
            n_workers_crash_looping: numbers[4],
            submitted_unix_ms,
        },
    )
}

pub(crate) fn summaries() -> impl Strategy<Value = Vec<TopologySummary>> {
    vec(summary(), 0..9)
}

pub(crate) fn description() -> impl Strategy<Value = Description> {
    let reported =
        (supervisor(), slot(), number()).prop_map(|(supervisor, slot, age_ms)| ReportedSlot {
            supervisor,
            slot,
            age_ms,
        });
    let rest = (vec(reported, 0..4), counters());
    (topology(), summary(), plan(), rest).prop_map(
        |(topology, summary, plan, (workers, counters))| Description {
            topology,
            summary,
            plan,
            workers,
            counters,
        },
    )
}

fn supervisor_info() -> impl Strategy<Value = SupervisorInfo> {
    let who = (supervisor(), address(), handshake(), resources());
    let how = (any::<bool>(), any::<bool>(), number(), number());
    (who, slots(), how).prop_map(|(who, slots, how)| SupervisorInfo {
        supervisor: who.0,
        address: who.1,
        handshake: who.2,
        resources: who.3,
        slots,
        draining: how.0,
        alive: how.1,
        age_ms: how.2,
        disk_free_bytes: how.3,
    })
}

pub(crate) fn supervisor_infos() -> impl Strategy<Value = Vec<SupervisorInfo>> {
    vec(supervisor_info(), 0..4)
}

pub(crate) fn drain() -> impl Strategy<Value = Drain> {
    (supervisor(), any::<bool>()).prop_map(|(supervisor, undo)| Drain { supervisor, undo })
}

pub(crate) fn tail_log() -> impl Strategy<Value = TailLog> {
    let how = (of(component()), 0..=10_000u32, any::<bool>());
    (topology_name(), how).prop_map(|(name, (component, n_lines, follow))| TailLog {
        name,
        component,
        n_lines,
        follow,
    })
}

pub(crate) fn tail_worker_log() -> impl Strategy<Value = TailWorkerLog> {
    let whose = (cluster_id(), from_one(), topology_id(), worker());
    let how = (of(component()), 0..=10_000u32, any::<bool>());
    (whose, how).prop_map(
        |((cluster, leader_epoch, topology, worker), (component, n_lines, follow))| TailWorkerLog {
            cluster,
            leader_epoch,
            topology,
            worker,
            component,
            n_lines,
            follow,
        },
    )
}

pub(crate) fn log_piece() -> impl Strategy<Value = LogPiece> {
    (topology_id(), worker(), bytes(0..200), given_note()).prop_map(
        |(topology, worker, text, trouble)| LogPiece {
            topology,
            worker,
            text,
            trouble,
        },
    )
}
