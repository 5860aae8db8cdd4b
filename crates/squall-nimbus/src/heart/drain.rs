//! Whether a topology has drained, and whether its workers have gone.

use std::time::Duration;

use squall_core::Moment;

use super::desired::{Desired, Record};
use super::limits::Limits;
use super::observed::{Observed, SlotReportState};

/// Tells whether a draining topology needs no more time: nothing of it is pending, it never had anything, or
/// it has waited long enough.
pub(super) fn is_over(
    observed: &mut Observed,
    record: &Record,
    wait: Duration,
    (now, limits): (Moment, &Limits),
) -> bool {
    let since = *observed.drains_since.entry(record.number).or_insert(now);
    !record.launched || now.since(since) >= wait || is_drained(observed, record, (now, limits))
}

/// Tells whether no worker has anything pending. One that doesn't run has nothing.
fn is_drained(observed: &Observed, record: &Record, (now, limits): (Moment, &Limits)) -> bool {
    (0..record.workers.len()).all(|worker_idx| {
        let state = observed
            .report(record, worker_idx, now, limits)
            .map(|report| &report.state);
        match state {
            Some(SlotReportState::Running { drained, .. }) => *drained,
            Some(SlotReportState::Failed { .. }) => true,
            Some(SlotReportState::Changing) => false,
            None => is_out_of_reach(observed, record, worker_idx, (now, limits)),
        }
    })
}

/// Tells whether a worker runs nowhere, or where nobody can ask it.
fn is_out_of_reach(
    observed: &Observed,
    record: &Record,
    worker_idx: usize,
    (now, limits): (Moment, &Limits),
) -> bool {
    let slot = record
        .workers
        .get(worker_idx)
        .and_then(|worker| worker.slot.as_ref());
    slot.is_none_or(|slot| observed.is_lost(&slot.supervisor, now, limits))
}

/// Tells whether no worker of a topology is left in its slot. What a lost supervisor has can't be waited for:
/// it ends when that comes back.
pub(super) fn is_gone(
    desired: &Desired,
    observed: &Observed,
    record: &Record,
    (now, limits): (Moment, &Limits),
) -> bool {
    record
        .workers
        .iter()
        .filter_map(|worker| worker.slot.as_ref())
        .all(|slot| {
            let is_known = desired.supervisors.contains_key(&slot.supervisor);
            if !is_known || observed.is_lost(&slot.supervisor, now, limits) {
                return true;
            }
            let seen = observed.supervisors.get(&slot.supervisor);
            let slots = seen.and_then(|seen| seen.slots.as_ref());
            slots.is_some_and(|slots| {
                let report = slots.get(&slot.port);
                report.is_none_or(|report| report.topology != *record.id())
            })
        })
}
