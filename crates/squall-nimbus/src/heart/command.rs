//! What operators ask of what is there.

use std::sync::Arc;
use std::time::Duration;

use squall_core::SupervisorId;
use squall_proto::{Rebalance, Refusal, TopologyName, TopologyState};

use super::desired::{Lifecycle, Record};
use super::draft::Draft;
use super::event::Reply;
use super::moves::{Command, next_state};
use super::observed::Observed;
use super::progress::progress;
use super::rebalance::{deal_anew, merge, shape};
use super::room::check_orders;
use super::schedule::{keep, reschedule};
use super::view::plan_of;

/// Has a topology drain and end. Of two kills the shorter wait counts.
pub(super) fn kill(
    draft: &mut Draft<'_>,
    observed: &mut Observed,
    name: &TopologyName,
    wait: Duration,
) -> Result<Reply, Refusal> {
    let record = find(draft, name, Command::Kill)?;
    let lifecycle = match record.lifecycle {
        Lifecycle::Killed {
            wait: before,
            ending,
        } => Lifecycle::Killed {
            wait: wait.min(before),
            ending,
        },
        _ => {
            observed.drains_since.remove(&record.number);
            Lifecycle::Killed {
                wait,
                ending: false,
            }
        }
    };
    change(draft, &record, lifecycle);
    progress(draft, observed, record.number);
    Ok(Reply::Changed(record.id().clone()))
}

/// Has a topology's spouts asked for tuples, or not.
pub(super) fn set_active(
    draft: &mut Draft<'_>,
    name: &TopologyName,
    active: bool,
) -> Result<Reply, Refusal> {
    let command = if active {
        Command::Activate
    } else {
        Command::Deactivate
    };
    let record = find(draft, name, command)?;
    change(
        draft,
        &record,
        if active {
            Lifecycle::Active
        } else {
            Lifecycle::Inactive
        },
    );
    Ok(Reply::Changed(record.id().clone()))
}

/// Has a topology drain and spread anew.
pub(super) fn rebalance(
    draft: &mut Draft<'_>,
    observed: &mut Observed,
    asked: &Rebalance,
) -> Result<Reply, Refusal> {
    let record = find(draft, &asked.name, Command::Rebalance)?;
    let parallelism = merge(&record, &asked.parallelism);
    shape(&record.topology.spec_json, &parallelism)?;
    let lifecycle = Lifecycle::Rebalancing {
        active: record.state() == TopologyState::Active,
        wait: asked.wait,
        n_workers: asked.n_workers.unwrap_or(record.topology.n_workers),
        parallelism,
    };
    change(draft, &record, lifecycle.clone());
    // Where it would go if it had drained already.
    deal_anew(draft, record.number);
    check_orders(draft)?;
    let reasons = reschedule(draft, observed, Some(record.number));
    let own = reasons.get(&record.number).cloned().unwrap_or_default();
    let plan = draft
        .record(record.number)
        .map(|moved| plan_of(draft.get(), moved, &own));
    let plan = plan.ok_or_else(|| Refusal::internal("the topology vanished meanwhile"))?;
    draft.discard();
    if !asked.dry_run {
        observed.drains_since.remove(&record.number);
        observed.forgive(record.number);
        change(draft, &record, lifecycle);
        progress(draft, observed, record.number);
    }
    Ok(Reply::Rebalancing(record.id().clone(), plan))
}

/// Has a supervisor emptied, or used again.
pub(super) fn drain(
    draft: &mut Draft<'_>,
    observed: &mut Observed,
    id: &SupervisorId,
    undo: bool,
) -> Result<Reply, Refusal> {
    let known = draft.get().supervisors.get(id);
    let known = known.ok_or_else(|| Refusal::unknown_supervisor(id))?;
    let n_workers = if undo { 0 } else { n_workers_on(draft, id) };
    if known.draining == undo {
        if let Some(known) = draft.edit().supervisors.get_mut(id) {
            Arc::make_mut(known).draining = !undo;
        }
        let reasons = reschedule(draft, observed, None);
        keep(observed, reasons);
    }
    Ok(Reply::Draining(n_workers))
}

/// Finds a topology that may be asked that.
fn find(draft: &Draft<'_>, name: &TopologyName, command: Command) -> Result<Arc<Record>, Refusal> {
    let record = draft.get().named(name);
    let record = record.ok_or_else(|| Refusal::unknown_topology(name))?;
    match next_state(record.state(), command) {
        Some(_) => Ok(Arc::clone(record)),
        None => Err(Refusal::illegal_move(name, record.state(), command.verb())),
    }
}

fn change(draft: &mut Draft<'_>, record: &Record, lifecycle: Lifecycle) {
    if record.lifecycle != lifecycle
        && let Some(record) = draft.edit_record(record.number)
    {
        record.lifecycle = lifecycle;
    }
}

fn n_workers_on(draft: &Draft<'_>, id: &SupervisorId) -> u32 {
    let workers = draft
        .get()
        .topologies
        .values()
        .flat_map(|record| &record.workers);
    let slots = workers.filter_map(|worker| worker.slot.as_ref());
    let n = slots.filter(|slot| slot.supervisor == *id).count();
    u32::try_from(n).unwrap_or(u32::MAX)
}
