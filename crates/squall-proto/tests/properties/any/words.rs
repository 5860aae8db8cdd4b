//! Names, hashes, handshakes, counters, topologies, assignments. Texts are short, for drawing one takes time:
//! the longest ones stand in `bounds.rs`.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use prost::bytes::Bytes;
use squall_core::engine::WorkerIdx;
use squall_core::{ComponentId, Fence, MetricReading, SupervisorId, TaskId, TopologyId};
use squall_proto::{
    Address, Assignment, BinaryNeeds, ClusterId, ComponentCounters, Cookie, Counters, Failed,
    GlibcVersion, Handshake, Latency, Note, Parallelism, Phase, PlacementReason, Plan, Program,
    Sha256, Topology, TopologyName, TopologyState, Unplaced, WorkerPlacement, supervisor_id,
};

pub(crate) fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..5u64, any::<u64>(), Just(u64::MAX)]
}

pub(crate) fn from_one() -> impl Strategy<Value = u64> {
    prop_oneof![1..5u64, 1..=u64::MAX]
}

pub(crate) fn topology_name() -> impl Strategy<Value = TopologyName> {
    "[a-zA-Z0-9_-][a-zA-Z0-9._-]{0,11}".prop_map(|name| name.parse().unwrap())
}

pub(crate) fn topology_id() -> impl Strategy<Value = TopologyId> {
    (topology_name(), number()).prop_map(|(name, number)| name.id(number))
}

pub(crate) fn supervisor() -> impl Strategy<Value = SupervisorId> {
    "[a-zA-Z0-9._-]{1,12}".prop_map(|id| supervisor_id(&id).unwrap())
}

pub(crate) fn component() -> impl Strategy<Value = ComponentId> {
    "[a-zA-Z0-9_-]{1,12}".prop_map(ComponentId::new)
}

pub(crate) fn worker() -> impl Strategy<Value = WorkerIdx> {
    (0..4096u32).prop_map(WorkerIdx)
}

pub(crate) fn note() -> impl Strategy<Value = Note> {
    any::<String>().prop_map(Note::new)
}

pub(crate) fn given_note() -> impl Strategy<Value = Option<Note>> {
    of(note().prop_filter("given", |note| !note.as_str().is_empty()))
}

pub(crate) fn address() -> impl Strategy<Value = Address> {
    let host = prop_oneof![
        "[a-z0-9][a-z0-9._-]{0,20}",
        "[0-9]{1,3}(\\.[0-9]{1,3}){3}",
        Just("::1".to_owned())
    ];
    (host, 1..=u16::MAX).prop_map(|(host, port)| Address::new(&host, port).unwrap())
}

pub(crate) fn sha256() -> impl Strategy<Value = Sha256> {
    any::<[u8; 32]>().prop_map(Sha256::new)
}

pub(crate) fn cluster_id() -> impl Strategy<Value = ClusterId> {
    any::<[u8; 16]>().prop_map(ClusterId::new)
}

pub(crate) fn cookie() -> impl Strategy<Value = Cookie> {
    any::<[u8; 16]>().prop_map(Cookie::new)
}

pub(crate) fn bytes(n_bytes: std::ops::Range<usize>) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), n_bytes).prop_map(Bytes::from)
}

pub(crate) fn pid() -> impl Strategy<Value = NonZeroU32> {
    (1..=u32::MAX).prop_map(|pid| NonZeroU32::new(pid).unwrap())
}

pub(crate) fn n_workers() -> impl Strategy<Value = NonZeroU32> {
    (1..=4096u32).prop_map(|n| NonZeroU32::new(n).unwrap())
}

/// A fence of a worker that may not have been started yet.
pub(crate) fn fence() -> impl Strategy<Value = Fence> {
    (from_one(), number()).prop_map(|(placement_epoch, incarnation)| Fence {
        placement_epoch,
        incarnation,
    })
}

pub(crate) fn started_fence() -> impl Strategy<Value = Fence> {
    (from_one(), from_one()).prop_map(|(placement_epoch, incarnation)| Fence {
        placement_epoch,
        incarnation,
    })
}

fn glibc() -> impl Strategy<Value = Option<GlibcVersion>> {
    of((any::<u16>(), any::<u16>()).prop_map(|(major, minor)| GlibcVersion { major, minor }))
}

pub(crate) fn handshake() -> impl Strategy<Value = Handshake> {
    let protocols = (1..=u32::MAX, 0..9u32).prop_map(|(min, more)| min..=min.saturating_add(more));
    let version = "[!-~]{1,12}";
    (protocols, version, version, glibc(), of(cluster_id())).prop_map(
        |(protocols, engine_version, target, glibc, cluster)| Handshake {
            protocols,
            engine_version,
            target,
            glibc,
            cluster,
        },
    )
}

pub(crate) fn needs() -> impl Strategy<Value = BinaryNeeds> {
    ("[!-~]{1,12}", glibc()).prop_map(|(target, glibc)| BinaryNeeds { target, glibc })
}

fn latency() -> impl Strategy<Value = Latency> {
    [number(), number(), number(), number(), number()].prop_map(
        |[n, p50_us, p95_us, p99_us, max_us]| Latency {
            n,
            p50_us,
            p95_us,
            p99_us,
            max_us,
        },
    )
}

fn metrics() -> impl Strategy<Value = Vec<MetricReading>> {
    let key = ("[a-z_]{1,9}", "[ -~]{0,9}");
    btree_map(key, any::<i64>(), 0..4).prop_map(|metrics| {
        let reading = |((name, label), value): ((String, String), i64)| MetricReading {
            name: name.into(),
            label: label.into(),
            value,
        };
        metrics.into_iter().map(reading).collect()
    })
}

fn component_counters() -> impl Strategy<Value = ComponentCounters> {
    let sums = [(); 12].map(|()| number());
    let failed = [number(), number(), number(), number()];
    let small = [any::<u32>(), any::<u32>(), any::<u32>()];
    let latencies = [latency(), latency(), latency()];
    let words = (component(), any::<bool>(), given_note(), metrics());
    (sums, failed, small, latencies, words).prop_map(|(sums, failed, small, latencies, words)| {
        let [rejected, timed_out, lost, drained] = failed;
        ComponentCounters {
            component: words.0,
            spout: words.1,
            last_error: words.2,
            metrics: words.3,
            n_tasks: small[0],
            n_down: small[1],
            n_crash_looping: small[2],
            emitted: sums[0],
            transferred: sums[1],
            executed: sums[2],
            acked: sums[3],
            failed: Failed {
                rejected,
                timed_out,
                lost,
                drained,
            },
            pending: sums[4],
            pending_bytes: sums[5],
            held: sums[6],
            deferred: sums[7],
            unacked: sums[8],
            queued_bytes: sums[9],
            restarts: sums[10],
            failed_starts: sums[11],
            queue: latencies[0],
            execute: latencies[1],
            complete: latencies[2],
        }
    })
}

pub(crate) fn counters() -> impl Strategy<Value = Counters> {
    (vec(component_counters(), 0..3), any::<u32>()).prop_map(|(mut components, n_omitted)| {
        components.sort_by(|a, b| a.component.cmp(&b.component));
        components.dedup_by(|a, b| a.component == b.component);
        Counters {
            components,
            n_omitted,
        }
    })
}

pub(crate) fn parallelism() -> impl Strategy<Value = Parallelism> {
    let n_tasks = (1..=65_536u32).prop_map(|n| NonZeroU32::new(n).unwrap());
    btree_map(component(), n_tasks, 0..4)
}

pub(crate) fn program() -> impl Strategy<Value = Program> {
    ("\\PC{1,9}", vec(any::<String>(), 0..4)).prop_map(|(name, args)| Program { name, args })
}

pub(crate) fn phase() -> impl Strategy<Value = Phase> {
    select(vec![
        Phase::Starting,
        Phase::Active,
        Phase::Inactive,
        Phase::Draining,
    ])
}

pub(crate) fn state() -> impl Strategy<Value = TopologyState> {
    select(vec![
        TopologyState::Active,
        TopologyState::Inactive,
        TopologyState::Rebalancing,
        TopologyState::Killed,
    ])
}

pub(crate) fn topology() -> impl Strategy<Value = Topology> {
    let hashes = (sha256(), sha256());
    let parts = (n_workers(), of(program()), parallelism());
    (topology_id(), bytes(1..50), hashes, parts).prop_map(
        |(id, spec_json, (spec_sha256, binary_sha256), (n_workers, program, parallelism))| {
            Topology {
                id,
                spec_json,
                spec_sha256,
                binary_sha256,
                n_workers,
                program,
                parallelism,
            }
        },
    )
}

/// An assignment of this topology to machines of its own: no slot is anybody else's.
pub(crate) fn assignment_of(topology: TopologyId) -> impl Strategy<Value = Assignment> {
    // Which worker gets which task: some workers get none, and are left out.
    let deal = vec((0..5u32, 0..65_536u32), 0..12);
    (from_one(), deal, "[a-z]{12}", from_one()).prop_map(move |(version, deal, machines, epoch)| {
        let mut taken = BTreeSet::new();
        let placed = |idx: u32| {
            let mut tasks: Vec<TaskId> = deal
                .iter()
                .filter(|(worker, task)| *worker == idx && taken.insert(*task))
                .map(|(_, task)| TaskId(*task))
                .collect();
            tasks.sort_unstable();
            let address = format!("{machines}-{idx}:6700");
            (!tasks.is_empty()).then(|| WorkerPlacement {
                worker: WorkerIdx(idx * 7),
                supervisor: SupervisorId::new(format!("{machines}-{idx}")),
                address: address.parse().unwrap(),
                tasks,
                placement_epoch: epoch.min(version),
            })
        };
        Assignment {
            topology: topology.clone(),
            version,
            workers: (0..5).filter_map(placed).collect(),
        }
    })
}

pub(crate) fn assignment() -> impl Strategy<Value = Assignment> {
    topology_id().prop_flat_map(assignment_of)
}

pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    let tasks = vec(0..65_536u32, 0..5).prop_map(|ids| {
        let ids: BTreeSet<u32> = ids.into_iter().collect();
        ids.into_iter().map(TaskId).collect::<Vec<_>>()
    });
    // The indexes of placed workers are multiples of seven.
    let waiting = (0..500u32, tasks, note()).prop_map(|(idx, tasks, reason)| Unplaced {
        worker: WorkerIdx(idx * 7 + 1),
        tasks,
        reason,
    });
    let reason = (worker(), note()).prop_map(|(worker, reason)| PlacementReason { worker, reason });
    (assignment(), vec(reason, 0..4), vec(waiting, 0..4)).prop_map(
        |(assignment, reasons, unplaced)| Plan {
            assignment,
            reasons,
            unplaced,
        },
    )
}
