//! `list`: the topologies of a cluster.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use serde_json::json;
use squall::{Program, Result, console};
use squall_proto::{Phase, TopologyName, TopologyState, TopologySummary};

use super::{Format, NimbusArgs, ago, block_on, explain, show, table};

/// List the topologies of a cluster
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    nimbus: NimbusArgs,
    /// How to print
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

/// Prints one line for each topology.
pub(crate) fn list(args: &ListArgs, program: &Program) -> Result<ExitCode> {
    block_on(program, async {
        let mut nimbus = args.nimbus.connect().await?;
        let topologies = nimbus.list().await.map_err(explain)?;
        if topologies.is_empty() && args.output == Format::Table {
            console::say("no topology runs; `squall submit FILE` has one run");
            return Ok(ExitCode::SUCCESS);
        }
        let mut rows = table([
            "name",
            "id",
            "state",
            "does",
            "tasks",
            "workers ready",
            "submitted",
        ]);
        for topology in &topologies {
            rows.add_row([
                name_of(topology),
                topology.topology.to_string(),
                state_name(topology.state).to_owned(),
                doing(topology),
                topology.n_tasks.to_string(),
                format!("{} of {}", topology.n_workers_ready, topology.n_workers),
                format!("{} ago", ago(age(topology.submitted_unix_ms))),
            ]);
        }
        let all: Vec<_> = topologies.iter().map(summary_json).collect();
        show(args.output, &rows, &json!(all));
        Ok(ExitCode::SUCCESS)
    })
}

/// Returns the name that a topology was submitted under.
fn name_of(summary: &TopologySummary) -> String {
    TopologyName::of_id(&summary.topology).map_or_else(
        |_| summary.topology.to_string(),
        |(name, _)| name.as_str().to_owned(),
    )
}

pub(super) const fn state_name(state: TopologyState) -> &'static str {
    match state {
        TopologyState::Active => "active",
        TopologyState::Inactive => "inactive",
        TopologyState::Rebalancing => "rebalancing",
        TopologyState::Killed => "killed",
    }
}

const fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Starting => "starting",
        Phase::Active => "active",
        Phase::Inactive => "inactive",
        Phase::Draining => "draining",
    }
}

/// Says what its workers do, and what is missing.
fn doing(summary: &TopologySummary) -> String {
    let mut doing = phase_name(summary.phase).to_owned();
    for (n, what, how) in [
        (summary.n_tasks_unplaced, "task", "without a place"),
        (summary.n_workers_crash_looping, "worker", "crash-looping"),
    ] {
        if n > 0 {
            doing.push_str(&format!(", {} {how}", console::counted(n.into(), what)));
        }
    }
    doing
}

pub(super) fn summary_json(summary: &TopologySummary) -> serde_json::Value {
    json!({
        "name": name_of(summary),
        "id": summary.topology.to_string(),
        "state": state_name(summary.state),
        "phase": phase_name(summary.phase),
        "tasks": summary.n_tasks,
        "workers": summary.n_workers,
        "workers_ready": summary.n_workers_ready,
        "workers_crash_looping": summary.n_workers_crash_looping,
        "tasks_unplaced": summary.n_tasks_unplaced,
        "submitted_unix_ms": summary.submitted_unix_ms,
    })
}

#[expect(clippy::disallowed_methods, reason = "nimbus tells times of the day")]
fn age(unix_ms: u64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default()
        .saturating_sub(Duration::from_millis(unix_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_beside_what_is_done() {
        let doing = |n_tasks_unplaced, n_workers_crash_looping| {
            super::doing(&TopologySummary {
                topology: "clicks-1".into(),
                state: TopologyState::Active,
                phase: Phase::Active,
                n_tasks: 6,
                n_workers: 3,
                n_workers_ready: 0,
                n_workers_crash_looping,
                n_tasks_unplaced,
                submitted_unix_ms: 0,
            })
        };
        assert_eq!(doing(0, 0), "active");
        assert_eq!(doing(2, 0), "active, 2 tasks without a place");
        assert_eq!(doing(0, 1), "active, 1 worker crash-looping");
        assert_eq!(
            doing(1, 2),
            "active, 1 task without a place, 2 workers crash-looping"
        );
    }
}
