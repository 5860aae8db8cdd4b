//! Where workers go, and why.

use comfy_table::Table;
use serde_json::{Value as Json, json};

use squall_proto::Plan;

use crate::cluster::{Format, show, table};
use crate::console;

/// Prints where the workers go.
pub fn show_plan(format: Format, plan: &Plan) {
    show(format, &plan_table(plan), &plan_json(plan));
    for unplaced in &plan.unplaced {
        console::say(format_args!(
            "worker {} has no place: {}",
            unplaced.worker, unplaced.reason
        ));
    }
}

fn plan_table(plan: &Plan) -> Table {
    let mut rows = table(["worker", "tasks", "supervisor", "address", "why there"]);
    for placed in &plan.assignment.workers {
        let reason = plan
            .reasons
            .iter()
            .find(|reason| reason.worker == placed.worker);
        rows.add_row([
            placed.worker.to_string(),
            placed.tasks.len().to_string(),
            placed.supervisor.to_string(),
            placed.address.to_string(),
            reason.map_or_else(String::new, |reason| reason.reason.to_string()),
        ]);
    }
    rows
}

/// Writes the same for programs.
#[must_use]
pub fn plan_json(plan: &Plan) -> Json {
    let workers = plan.assignment.workers.iter().map(|placed| {
        let reason = plan
            .reasons
            .iter()
            .find(|reason| reason.worker == placed.worker);
        json!({
            "worker": placed.worker.0,
            "supervisor": placed.supervisor.to_string(),
            "address": placed.address.to_string(),
            "tasks": placed.tasks.iter().map(|task| task.0).collect::<Vec<_>>(),
            "placement_epoch": placed.placement_epoch,
            "reason": reason.map(|reason| reason.reason.to_string()),
        })
    });
    let unplaced = plan.unplaced.iter().map(|unplaced| {
        json!({
            "worker": unplaced.worker.0,
            "tasks": unplaced.tasks.iter().map(|task| task.0).collect::<Vec<_>>(),
            "reason": unplaced.reason.to_string(),
        })
    });
    json!({
        "version": plan.assignment.version,
        "workers": workers.collect::<Vec<_>>(),
        "unplaced": unplaced.collect::<Vec<_>>(),
    })
}
