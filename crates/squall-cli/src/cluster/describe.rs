//! `describe`: all about one topology.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value as Json, json};
use squall::{Program, Result, console};
use squall_proto::{
    ComponentCounters, Description, ReportedSlot, SlotState, SlotWorker, TopologyName,
};

use super::list::summary_json;
use super::{Format, NimbusArgs, ago, block_on, explain, plan_json, table, topology_name};

/// Tell all about a topology: where it runs and why, how its workers fare, what they did
#[derive(Args, Debug)]
pub(crate) struct DescribeArgs {
    /// The topology's name
    #[arg(value_name = "NAME", value_parser = topology_name)]
    name: TopologyName,
    #[command(flatten)]
    nimbus: NimbusArgs,
    /// How to print
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

/// Prints a topology.
pub(crate) fn describe(args: &DescribeArgs, program: &Program) -> Result<ExitCode> {
    block_on(program, async {
        let mut nimbus = args.nimbus.connect().await?;
        let description = nimbus.describe(args.name.clone()).await.map_err(explain)?;
        match args.output {
            Format::Table => print(&description),
            Format::Json => console::data(to_json(&description)),
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn print(description: &Description) {
    let summary = &description.summary;
    console::data(format_args!(
        "{}: {}, {} of {} workers ready, {} tasks\n",
        summary.topology,
        super::list::state_name(summary.state),
        summary.n_workers_ready,
        summary.n_workers,
        summary.n_tasks
    ));
    let mut workers = table([
        "worker",
        "supervisor",
        "address",
        "state",
        "pid",
        "starts again",
        "heard",
        "why there",
    ]);
    let reasons = &description.plan.reasons;
    for placed in &description.plan.assignment.workers {
        let reported = description
            .workers
            .iter()
            .find(|slot| worker_in(slot).is_some_and(|worker| worker.worker == placed.worker));
        let worker = reported.and_then(worker_in);
        let reason = reasons.iter().find(|reason| reason.worker == placed.worker);
        workers.add_row([
            placed.worker.to_string(),
            placed.supervisor.to_string(),
            placed.address.to_string(),
            worker.map_or_else(|| "not heard of".to_owned(), state_of),
            worker
                .and_then(pid_of)
                .map_or_else(String::new, |pid| pid.to_string()),
            worker.map_or_else(String::new, |worker| worker.n_restarts.to_string()),
            reported.map_or_else(String::new, |slot| {
                format!("{} ago", ago(Duration::from_millis(slot.age_ms)))
            }),
            reason.map_or_else(String::new, |reason| reason.reason.to_string()),
        ]);
    }
    console::data(format_args!("{workers}\n"));
    for unplaced in &description.plan.unplaced {
        console::data(format_args!(
            "worker {} has no place: {}\n",
            unplaced.worker, unplaced.reason
        ));
    }
    for slot in &description.workers {
        if let Some((worker, exit)) =
            worker_in(slot).and_then(|worker| Some((worker, worker.last_exit.as_ref()?)))
        {
            console::data(format_args!(
                "worker {} ended before: {exit}",
                worker.worker
            ));
        }
    }
    let mut components = table([
        "component",
        "tasks",
        "emitted",
        "executed",
        "acked",
        "failed",
        "pending",
        "p50 µs",
        "p99 µs",
    ]);
    for each in &description.counters.components {
        let latency = if each.spout {
            each.complete
        } else {
            each.execute
        };
        components.add_row([
            each.component.to_string(),
            each.n_tasks.to_string(),
            each.emitted.to_string(),
            each.executed.to_string(),
            each.acked.to_string(),
            each.failed.total().to_string(),
            each.pending.to_string(),
            latency.p50_us.to_string(),
            latency.p99_us.to_string(),
        ]);
    }
    console::data(components);
}

const fn worker_in(slot: &ReportedSlot) -> Option<&SlotWorker> {
    slot.slot.worker.as_ref()
}

fn state_of(worker: &SlotWorker) -> String {
    match &worker.state {
        SlotState::Fetching => "fetching".to_owned(),
        SlotState::Starting { .. } => "starting".to_owned(),
        SlotState::Running(running) if running.drained => "drained".to_owned(),
        SlotState::Running(running) if running.ready => "ready".to_owned(),
        SlotState::Running(_) => "running, not ready".to_owned(),
        SlotState::Stopping { .. } => "stopping".to_owned(),
        SlotState::Failed {
            crash_looping: true,
        } => "crash-looping".to_owned(),
        SlotState::Failed { .. } => "down".to_owned(),
    }
}

fn pid_of(worker: &SlotWorker) -> Option<u32> {
    match &worker.state {
        SlotState::Starting { pid } | SlotState::Stopping { pid } => Some(pid.get()),
        SlotState::Running(running) => Some(running.pid.get()),
        SlotState::Fetching | SlotState::Failed { .. } => None,
    }
}

fn to_json(description: &Description) -> Json {
    let worker = |slot: &ReportedSlot| {
        let worker = worker_in(slot)?;
        Some(json!({
            "worker": worker.worker.0,
            "supervisor": slot.supervisor.to_string(),
            "state": state_of(worker),
            "pid": pid_of(worker),
            "placement_epoch": worker.fence.placement_epoch,
            "incarnation": worker.fence.incarnation,
            "restarts": worker.n_restarts,
            "last_exit": worker.last_exit.as_ref().map(ToString::to_string),
            "age_ms": slot.age_ms,
        }))
    };
    let workers: Vec<Json> = description.workers.iter().filter_map(worker).collect();
    let components = description.counters.components.iter();
    json!({
        "summary": summary_json(&description.summary),
        "plan": plan_json(&description.plan),
        "workers": workers,
        "components": components.map(component_json).collect::<Vec<_>>(),
    })
}

fn component_json(each: &ComponentCounters) -> Json {
    let latency = |latency: &squall_proto::Latency| {
        json!({
            "n": latency.n,
            "p50_us": latency.p50_us,
            "p95_us": latency.p95_us,
            "p99_us": latency.p99_us,
            "max_us": latency.max_us,
        })
    };
    json!({
        "component": each.component.to_string(),
        "kind": if each.spout { "spout" } else { "bolt" },
        "tasks": each.n_tasks,
        "emitted": each.emitted,
        "transferred": each.transferred,
        "executed": each.executed,
        "acked": each.acked,
        "failed": {
            "rejected": each.failed.rejected,
            "timed_out": each.failed.timed_out,
            "lost": each.failed.lost,
            "drained": each.failed.drained,
        },
        "pending": each.pending,
        "restarts": each.restarts,
        "last_error": each.last_error.as_ref().map(ToString::to_string),
        "execute": latency(&each.execute),
        "complete": latency(&each.complete),
    })
}
