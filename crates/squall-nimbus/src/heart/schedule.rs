//! Gives workers slots, where they have none or need another, and the epochs that follow from moving.

use std::collections::BTreeMap;

use squall_core::{Str, SupervisorId};
use squall_plan::schedule::{Demand, Liveness, Reason, Supervisor, Verdict, Wanted, place};

use super::desired::{Lifecycle, Record};
use super::draft::Draft;
use super::observed::Observed;

/// Why workers are where they are, by topology.
pub(super) type Reasons = BTreeMap<u64, Vec<Reason>>;

/// Places all workers that need it; `respread` spreads the workers of one topology anew.
///
/// A topology whose placement changes gets a new version, and each worker that moved has that as its epoch.
pub(super) fn reschedule(
    draft: &mut Draft<'_>,
    observed: &Observed,
    respread: Option<u64>,
) -> Reasons {
    let supervisors = supervisors(draft, observed);
    let live = supervisors.iter().filter(|s| s.liveness == Liveness::Live);
    let live: Vec<&SupervisorId> = live.map(|supervisor| &supervisor.id).collect();
    let topologies = draft.get().topologies.iter();
    let (numbers, demands): (Vec<u64>, Vec<Demand>) = topologies
        .map(|(number, record)| {
            let respread = respread == Some(*number);
            (*number, demand(record, observed, &live, respread))
        })
        .unzip();
    let mut reasons = Reasons::new();
    for (number, verdicts) in numbers.into_iter().zip(place(&supervisors, &demands)) {
        let is_killed = |record: &Record| matches!(record.lifecycle, Lifecycle::Killed { .. });
        if draft.record(number).is_none_or(|record| is_killed(record)) {
            continue;
        }
        apply(draft, number, &verdicts);
        let verdicts = verdicts.into_iter().map(|verdict| verdict.reason);
        reasons.insert(number, verdicts.collect());
    }
    reasons
}

/// Keeps new reasons. That a worker stays is no news: why it came there is kept.
pub(super) fn keep(observed: &mut Observed, reasons: Reasons) {
    for (number, reasons) in reasons {
        let kept = observed.reasons.entry(number).or_default();
        kept.truncate(reasons.len());
        for (idx, reason) in reasons.into_iter().enumerate() {
            match kept.get_mut(idx) {
                None => kept.push(reason),
                Some(Reason::Placed { .. }) if reason == Reason::Stays => {}
                Some(old) => *old = reason,
            }
        }
    }
}

/// Shows the supervisors to the scheduler.
fn supervisors(draft: &Draft<'_>, observed: &Observed) -> Vec<Supervisor> {
    let known = draft.get().supervisors.iter();
    let shown = known.map(|(id, known)| Supervisor {
        id: id.clone(),
        machine: Str::new(known.address.host()),
        slots: known.slots.clone(),
        liveness: observed.liveness(id, known, draft.now, draft.limits),
    });
    shown.collect()
}

/// Says what a topology wants. One that is killed wants nothing more, but what runs keeps its slot.
fn demand(record: &Record, observed: &Observed, live: &[&SupervisorId], respread: bool) -> Demand {
    let is_killed = matches!(record.lifecycle, Lifecycle::Killed { .. });
    let workers = record.workers.iter().enumerate();
    let wanted = workers.map(|(worker_idx, worker)| Wanted {
        current: worker.slot.clone(),
        shun: if is_killed {
            Vec::new()
        } else {
            observed.shunned_by(record.number, worker_idx)
        },
    });
    let keeps = |wanted: &Wanted| {
        let slot = wanted.current.as_ref();
        slot.is_some_and(|slot| live.binary_search(&&slot.supervisor).is_ok())
    };
    Demand {
        topology: record.id().clone(),
        workers: wanted
            .filter(|wanted| !is_killed || keeps(wanted))
            .collect(),
        respread,
    }
}

/// Moves workers to where they were placed. Those without an epoch count as moved wherever they are.
fn apply(draft: &mut Draft<'_>, number: u64, verdicts: &[Verdict]) {
    let Some(record) = draft.record(number) else {
        return;
    };
    let moved = |(worker, verdict): (&super::Worker, &Verdict)| {
        worker.slot != verdict.slot || (worker.slot.is_some() && worker.epoch == 0)
    };
    if !record.workers.iter().zip(verdicts).any(moved) {
        return;
    }
    let version = draft.next_version();
    let Some(record) = draft.edit_record(number) else {
        return;
    };
    record.version = version;
    for (worker, verdict) in record.workers.iter_mut().zip(verdicts) {
        if moved((worker, verdict)) {
            worker.slot.clone_from(&verdict.slot);
            worker.epoch = version;
        }
    }
}
