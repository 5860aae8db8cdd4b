//! What supervisors are ordered: the whole of what they are to run, made from what is stored and seen.

use std::collections::BTreeSet;
use std::sync::Arc;

use squall_core::{Moment, SupervisorId};
use squall_proto::TopologyOrder;

use super::desired::{Desired, Record};
use super::limits::Limits;
use super::observed::Observed;

/// Returns the topologies that a supervisor is to run, in the order of their submission.
///
/// Its slots are those of each assignment that name it; every other slot of it is to be empty.
#[must_use]
pub fn order_for(
    desired: &Desired,
    observed: &Observed,
    supervisor: &SupervisorId,
) -> Vec<TopologyOrder> {
    let records = desired.topologies.values();
    let running = records.filter(|record| !record.is_ending() && has_worker(record, supervisor));
    let orders = running.map(|record| TopologyOrder {
        topology: record.told(),
        assignment: desired.assignment(record),
        phase: record.phase(),
        all_ready: observed.all_ready.contains(&record.number),
    });
    orders.collect()
}

/// Returns the supervisors whose orders have changed from one state to the next, after noting which of the
/// `checked` and the changed topologies have all their workers ready.
pub fn affected(
    (old, new): (&Desired, &Desired),
    observed: &mut Observed,
    mut checked: BTreeSet<u64>,
    (now, limits): (Moment, &Limits),
) -> BTreeSet<SupervisorId> {
    let mut affected = BTreeSet::new();
    let numbers = old.topologies.keys().chain(new.topologies.keys());
    for number in numbers.collect::<BTreeSet<_>>() {
        let (before, after) = (old.topologies.get(number), new.topologies.get(number));
        let same = match (before, after) {
            (Some(before), Some(after)) => Arc::ptr_eq(before, after),
            _ => false,
        };
        if !same {
            affected.extend(before.into_iter().chain(after).flat_map(supervisors_of));
            checked.insert(*number);
        }
    }
    for number in checked {
        let Some(record) = new.topologies.get(&number) else {
            observed.all_ready.remove(&number);
            continue;
        };
        let flipped = if observed.is_all_ready(record, now, limits) {
            observed.all_ready.insert(number)
        } else {
            observed.all_ready.remove(&number)
        };
        if flipped {
            affected.extend(supervisors_of(record));
        }
    }
    affected
}

fn supervisors_of(record: &Arc<Record>) -> impl Iterator<Item = SupervisorId> {
    let slots = record
        .workers
        .iter()
        .filter_map(|worker| worker.slot.as_ref());
    slots.map(|slot| slot.supervisor.clone())
}

fn has_worker(record: &Record, supervisor: &SupervisorId) -> bool {
    let mut slots = record
        .workers
        .iter()
        .filter_map(|worker| worker.slot.as_ref());
    slots.any(|slot| slot.supervisor == *supervisor)
}
