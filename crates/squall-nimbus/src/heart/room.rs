//! What topologies may take together.

use squall_proto::bounds::MAX_SLOTS;
use squall_proto::limits::MAX_ORDER_BYTES;
use squall_proto::{Refusal, TopologyOrder};

use super::draft::Draft;

/// Refuses one topology too many, or too many bytes of specs.
pub(super) fn check_room(draft: &Draft<'_>, n_bytes: usize) -> Result<(), Refusal> {
    let topologies = &draft.get().topologies;
    let limit = draft.limits.max_topologies;
    if topologies.len() >= limit {
        return Err(Refusal::busy("topologies", limit));
    }
    let specs = topologies
        .values()
        .map(|record| record.topology.spec_json.len());
    let n_bytes = specs.sum::<usize>() + n_bytes;
    let limit = draft.limits.max_spec_bytes;
    if n_bytes > limit {
        let action = "kill a topology, or raise `max_spec_bytes`";
        let (limit, found) = (limit as u64, n_bytes as u64);
        return Err(Refusal::too_large(
            "all specs together",
            limit,
            found,
            action,
        ));
    }
    Ok(())
}

/// Refuses what could make a supervisor's order larger than one may be: it runs one topology in each slot at
/// most, and which these are is anybody's guess once machines fail.
pub(super) fn check_orders(draft: &Draft<'_>) -> Result<(), Refusal> {
    let records = draft.get().topologies.values();
    let orders = records.map(|record| {
        let (n_workers, n_tasks) = (record.workers.len(), record.layout.n_tasks());
        TopologyOrder::max_bytes(&record.topology, n_workers, n_tasks)
    });
    let mut orders: Vec<usize> = orders.collect();
    orders.sort_unstable_by(|a, b| b.cmp(a));
    let n_bytes: usize = orders.iter().take(MAX_SLOTS).sum();
    if n_bytes > MAX_ORDER_BYTES {
        let what = format!("what a supervisor of {MAX_SLOTS} topologies is told");
        let action = "give the topology fewer workers or arguments, or kill another one";
        let (limit, found) = (MAX_ORDER_BYTES as u64, n_bytes as u64);
        return Err(Refusal::too_large(&what, limit, found, action));
    }
    Ok(())
}
