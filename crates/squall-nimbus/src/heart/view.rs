//! What is shown of a topology: where its workers are and why, in one line and in full.

use squall_core::Moment;
use squall_core::engine::WorkerIdx;
use squall_plan::schedule::{Reason, name_tasks};
use squall_proto::{Note, PlacementReason, Plan, TopologySummary, Unplaced};

use super::desired::{Desired, Record};
use super::limits::Limits;
use super::observed::Observed;

/// Explains a topology's assignment. Where no reason is known, the worker was there before nimbus started.
pub(super) fn plan_of(desired: &Desired, record: &Record, reasons: &[Reason]) -> Plan {
    let mut plan = Plan {
        assignment: desired.assignment(record),
        reasons: Vec::new(),
        unplaced: Vec::new(),
    };
    for (idx, worker) in (0u32..).zip(&record.workers) {
        let reason = reasons.get(idx as usize).unwrap_or(&Reason::Stays);
        let idx = WorkerIdx(idx);
        if worker.slot.is_some() {
            let reason = Note::new(reason.to_string());
            plan.reasons.push(PlacementReason {
                worker: idx,
                reason,
            });
        } else {
            let tasks = name_tasks(&record.layout, &worker.tasks);
            plan.unplaced.push(Unplaced {
                worker: idx,
                tasks: worker.tasks.clone(),
                reason: Note::new(format!("{reason}; without a place: {tasks}")),
            });
        }
    }
    plan
}

/// Explains a topology's assignment by what is known now.
#[must_use]
pub fn describe(desired: &Desired, observed: &Observed, record: &Record) -> Plan {
    let reasons = observed.reasons.get(&record.number);
    plan_of(desired, record, reasons.map_or(&[], Vec::as_slice))
}

/// Sums a topology up in a line.
#[must_use]
pub fn summarise(
    observed: &Observed,
    record: &Record,
    now: Moment,
    limits: &Limits,
) -> TopologySummary {
    let indexes = 0..record.workers.len();
    let (ready, others): (Vec<usize>, Vec<usize>) =
        indexes.partition(|idx| observed.is_ready(record, *idx, now, limits));
    let loops = |idx: &&usize| observed.crash_loops(record, **idx);
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    TopologySummary {
        topology: record.id().clone(),
        state: record.state(),
        phase: record.phase(),
        n_tasks: number(record.layout.n_tasks()),
        n_workers: number(record.workers.len()),
        n_workers_ready: number(ready.len()),
        n_workers_crash_looping: number(others.iter().filter(loops).count()),
        n_tasks_unplaced: number(record.n_tasks_unplaced()),
        submitted_unix_ms: record.submitted_unix_ms,
    }
}
