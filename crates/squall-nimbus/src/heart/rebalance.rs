//! Deals a topology's tasks out anew.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use squall_core::{ComponentId, TopologySpec};
use squall_plan::schedule::assign_workers;
use squall_plan::{Layout, Severity, Signatures, check_shape};
use squall_proto::bounds::MAX_COMPONENTS;
use squall_proto::{Parallelism, Refusal};

use super::desired::{Lifecycle, Record, Worker};
use super::draft::Draft;

/// Reads a spec and sets numbers of tasks in it.
///
/// # Errors
/// It is no topology, or has no such component.
pub(crate) fn read(spec_json: &[u8], parallelism: &Parallelism) -> Result<TopologySpec, Refusal> {
    let mut spec: TopologySpec = serde_json::from_slice(spec_json)
        .map_err(|error| Refusal::bad_spec(format_args!("the spec can't be read: {error}")))?;
    let n_components = spec.spouts.len() + spec.bolts.len();
    if n_components > MAX_COMPONENTS {
        let why = format!("the spec has {n_components} components, at most {MAX_COMPONENTS}");
        return Err(Refusal::bad_spec(why));
    }
    for (id, n_tasks) in parallelism {
        *tasks_of(&mut spec, id).ok_or_else(|| unknown(id))? = *n_tasks;
    }
    Ok(spec)
}

/// Reads a spec, sets numbers of tasks in it and checks what comes out.
///
/// # Errors
/// As [`read`], or the topology can't be.
pub(super) fn shape(spec_json: &[u8], parallelism: &Parallelism) -> Result<TopologySpec, Refusal> {
    let spec = read(spec_json, parallelism)?;
    check_shape(&spec).map_err(|problems| {
        let mut errors = problems.iter().filter(|p| p.severity == Severity::Error);
        let first = errors
            .next()
            .map(|p| format!("{} (at `{}`)", p.message, p.path));
        let more = match errors.count() {
            0 => String::new(),
            n => format!(", and {n} more"),
        };
        Refusal::bad_spec(format_args!("{}{more}", first.unwrap_or_default()))
    })?;
    Ok(spec)
}

/// Lays a spec out; the components' configs, which may be large, are left behind.
pub(crate) fn lay_out(spec: &TopologySpec) -> Arc<Layout> {
    let mut layout = Layout::new(spec, &Signatures::default(), true);
    for component in &mut layout.components {
        component.config = serde_json::Value::Null;
    }
    Arc::new(layout)
}

/// Deals a layout's tasks out to workers that have no slots yet.
pub(super) fn deal(layout: &Layout, n_workers: NonZeroU32) -> Vec<Worker> {
    let hands = assign_workers(layout, n_workers.get()).into_iter();
    let workers = hands.map(|tasks| Worker {
        tasks,
        slot: None,
        epoch: 0,
    });
    workers.collect()
}

/// Ends a rebalance: the topology is what it was before, with its tasks dealt out anew.
///
/// No worker has an epoch until it is placed, not even one that stays where it is: tasks that have drained
/// have ended, and a new copy of each begins.
pub(super) fn deal_anew(draft: &mut Draft<'_>, number: u64) {
    let Some(record) = draft.edit_record(number) else {
        return;
    };
    let Lifecycle::Rebalancing {
        active,
        n_workers,
        parallelism,
        ..
    } = record.lifecycle.clone()
    else {
        return;
    };
    record.lifecycle = if active {
        Lifecycle::Active
    } else {
        Lifecycle::Inactive
    };
    record.launched = false;
    record.topology.n_workers = n_workers;
    if record.topology.parallelism != parallelism {
        record.topology.parallelism = parallelism;
        // It was checked when the rebalance was asked for.
        if let Ok(spec) = read(&record.topology.spec_json, &record.topology.parallelism) {
            record.layout = lay_out(&spec);
        }
    }
    let mut workers = deal(&record.layout, n_workers);
    for (worker, old) in workers.iter_mut().zip(&record.workers) {
        worker.slot.clone_from(&old.slot);
    }
    record.workers = workers;
}

/// Returns the numbers of tasks that differ from the spec's when some more are set.
pub(super) fn merge(record: &Record, wanted: &Parallelism) -> Parallelism {
    let mut merged: BTreeMap<ComponentId, NonZeroU32> = record.topology.parallelism.clone();
    merged.extend(wanted.iter().map(|(id, n_tasks)| (id.clone(), *n_tasks)));
    merged
}

fn tasks_of<'s>(spec: &'s mut TopologySpec, id: &ComponentId) -> Option<&'s mut NonZeroU32> {
    match spec.spouts.get_mut(id) {
        Some(spout) => Some(&mut spout.parallelism),
        None => spec.bolts.get_mut(id).map(|bolt| &mut bolt.parallelism),
    }
}

fn unknown(id: &ComponentId) -> Refusal {
    Refusal::bad_spec(format_args!("the topology has no component `{id}`"))
}
