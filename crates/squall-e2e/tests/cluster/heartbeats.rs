//! What the heartbeats of 1,000 tasks cost nimbus: a real one, over real gRPC, with supervisors that only say that
//! all runs, as often as real ones do.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use squall_core::{ComponentId, Fence};
use squall_proto::wire::coordination_client::CoordinationClient;
use squall_proto::{
    ComponentCounters, Counters, Handshake, Latency, Phase, Resources, RunningWorker, SlotState,
    SlotStatus, SlotWorker, SupervisorHello, SupervisorOrder, SupervisorReport, SupervisorStatus,
    TopologyOrder, WorkerPlacement, wire,
};
use tokio::select;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at, sleep_until};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;

use squall_e2e::cluster::Cluster;
use squall_e2e::until_asked;

/// Supervisors, each with four slots.
const N_SUPERVISORS: u16 = 50;
/// Topologies, each of 100 tasks in 20 workers: together they fill all slots.
const N_TOPOLOGIES: u32 = 10;
/// How often a supervisor says how it fares.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// How long nimbus is watched.
const WATCHED: Duration = Duration::from_secs(20);
/// What nimbus may take.
const MAX_RESIDENT_MIB: u64 = 100;
/// The share of a core that nimbus may take, in percent.
const MAX_CPU_PERCENT: f64 = 1.0;
/// Code that isn't optimized may take this many times as long: 6 times was measured, 4.1 % where the release build took
/// 0.65 %.
const DEBUG_FACTOR: f64 = 12.0;

const COMPONENTS: [&str; 5] = ["lines", "parse", "count", "top", "show"];

const TOPOLOGY: &str = "
name: beats
spouts:
  lines: { type: generate, parallelism: 20, config: { fields: { line: access-log } } }
bolts:
  parse: { type: access-log, parallelism: 20, inputs: [lines] }
  count: { type: count, parallelism: 20, inputs: [ { from: parse, grouping: { fields: [referrer] } } ] }
  top:   { type: top, parallelism: 20, inputs: [ { from: count, grouping: { fields: [key] } } ] }
  show:  { type: log, parallelism: 20, inputs: [count] }
";

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_tasks_cost_nimbus_a_hundredth_of_a_core_and_little_memory() -> Result<()> {
    let mut cluster = Cluster::start(&[]).await?;
    let mut supervisors = JoinSet::new();
    for n in 0..N_SUPERVISORS {
        supervisors.spawn(attend(cluster.address().to_owned(), n));
    }
    until_asked("all supervisors have called", || {
        Ok(cluster.supervisors()?.len() == usize::from(N_SUPERVISORS))
    })
    .await?;
    for n in 0..N_TOPOLOGIES {
        let name = format!("name=beats-{n}");
        cluster.submit(TOPOLOGY, &["--workers", "20", "--set", &name])?;
    }
    let n_tasks: u32 = cluster.list()?.iter().map(|summary| summary.tasks).sum();
    ensure!(n_tasks == 1000, "{n_tasks} tasks run");

    let nimbus = cluster.nimbus()?;
    let (begin, cpu) = (Instant::now(), nimbus.cpu_time()?);
    sleep_until(begin + WATCHED).await;
    let cpu = nimbus.cpu_time()?.saturating_sub(cpu);
    let percent = 100.0 * cpu.as_secs_f64() / begin.elapsed().as_secs_f64();
    let resident_mib = nimbus.resident_mib()?;
    println!("1000 tasks: {percent:.2} % of a core, {resident_mib} MiB");
    // All were there to the end, and were heard.
    ensure!(
        supervisors.try_join_next().is_none(),
        "a supervisor has ended"
    );
    let described = cluster.describe("beats-7")?;
    let executed = described
        .components
        .iter()
        .map(|component| component.executed);
    ensure!(executed.sum::<u64>() >= 100 * 10, "{described:#?}");

    ensure!(resident_mib <= MAX_RESIDENT_MIB, "{resident_mib} MiB");
    let factor = if cfg!(debug_assertions) {
        DEBUG_FACTOR
    } else {
        1.0
    };
    ensure!(
        percent <= MAX_CPU_PERCENT * factor,
        "{percent:.2} % of a core"
    );
    supervisors.shutdown().await;
    cluster.end().await
}

/// Attends as a supervisor; returns only when that fails.
async fn attend(nimbus: String, n: u16) -> Result<()> {
    let hello = hello(n)?;
    let id = hello.supervisor.clone();
    let endpoint = Endpoint::from_shared(format!("http://{nimbus}"))?;
    let mut client = CoordinationClient::new(endpoint.connect().await?);
    let (sender, reports) = mpsc::channel(4);
    sender
        .send(wire(SupervisorReport::Hello(hello.clone())))
        .await?;
    let orders = client.attend(ReceiverStream::new(reports)).await;
    let mut orders = orders?.into_inner();
    let mut order: Option<SupervisorOrder> = None;
    // Not all at the same moment.
    let first = Instant::now() + REPORT_EVERY * u32::from(n) / u32::from(N_SUPERVISORS);
    let mut ticks = interval_at(first, REPORT_EVERY);
    let mut n_beats = 0;
    loop {
        select! {
            message = orders.message() => {
                let message = message?.with_context(|| format!("{id} hears no more"))?;
                order = Some(SupervisorOrder::try_from(message)?);
                // As real ones do when something changes.
                ticks.reset_immediately();
            }
            _ = ticks.tick() => {
                n_beats += 1;
                let status = status(&hello, order.as_ref(), n_beats);
                sender.send(wire(SupervisorReport::Status(status))).await?;
            }
        }
    }
}

fn wire(report: SupervisorReport) -> wire::SupervisorReport {
    report.into()
}

fn hello(n: u16) -> Result<SupervisorHello> {
    // As new as any.
    let glibc = Some("2.99".parse()?);
    Ok(SupervisorHello {
        handshake: Handshake::ours("x86_64-unknown-linux-gnu", glibc, None),
        supervisor: format!("s{n}").as_str().into(),
        address: format!("host-{n}:6700").parse()?,
        slot_ports: vec![6701, 6702, 6703, 6704],
        resources: Resources {
            n_cores: NonZeroU32::MIN,
            memory_bytes: 1 << 30,
        },
        leader_epoch: 0,
    })
}

/// Says that all runs as it was ordered.
fn status(
    hello: &SupervisorHello,
    order: Option<&SupervisorOrder>,
    n_beats: u64,
) -> SupervisorStatus {
    let placed = order
        .iter()
        .flat_map(|order| order.slots_of(&hello.supervisor));
    let mut workers: BTreeMap<u16, SlotWorker> = placed
        .map(|(topology, placement)| (placement.port(), worker(topology, placement, n_beats)))
        .collect();
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

fn worker(topology: &TopologyOrder, placement: &WorkerPlacement, n_beats: u64) -> SlotWorker {
    let running = RunningWorker {
        pid: NonZeroU32::MIN,
        ready: true,
        drained: topology.phase == Phase::Draining,
        assignment_version: topology.assignment.version,
        oldest_turn_ms: 0,
        counters: Counters {
            components: COMPONENTS.map(|name| counters(name, n_beats)).into(),
            n_omitted: 0,
        },
    };
    SlotWorker {
        topology: topology.topology.id.clone(),
        worker: placement.worker,
        fence: Fence {
            placement_epoch: placement.placement_epoch,
            incarnation: 1,
        },
        state: SlotState::Running(running),
        n_restarts: 0,
        last_exit: None,
    }
}

/// What the task of a component may have done: large numbers, all of them other than in the last heartbeat.
fn counters(component: &str, n_beats: u64) -> ComponentCounters {
    let n = n_beats * 100_003;
    let latency = Latency {
        n,
        p50_us: 120 + n_beats % 7,
        p95_us: 900 + n_beats % 11,
        p99_us: 2_100 + n_beats % 13,
        max_us: 48_000,
    };
    ComponentCounters {
        n_tasks: 1,
        emitted: n,
        transferred: n,
        executed: n,
        acked: n,
        pending: n % 10_000,
        pending_bytes: 100 * (n % 10_000),
        queued_bytes: n % 65_536,
        queue: latency,
        execute: latency,
        complete: latency,
        ..ComponentCounters::new(ComponentId::new(component), component == "lines")
    }
}
