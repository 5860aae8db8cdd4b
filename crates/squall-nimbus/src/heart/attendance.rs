//! What supervisors say: that they are there, and how they fare.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use squall_core::SupervisorId;
use squall_proto::{Refusal, RefusalCode, SupervisorHello};

use super::desired::{Known, Record};
use super::draft::Draft;
use super::event::Reply;
use super::observed::{Observed, Seen, SlotReport};
use super::progress::progress;
use super::schedule::{keep, reschedule};

/// A supervisor introduces itself: new, back again, or with another address or other slots.
pub(super) fn attended(
    draft: &mut Draft<'_>,
    observed: &mut Observed,
    hello: SupervisorHello,
) -> Result<Reply, Refusal> {
    let id = hello.supervisor;
    let old = draft.get().supervisors.get(&id).map(Arc::clone);
    if old.is_none() && draft.get().supervisors.len() >= draft.limits.max_supervisors {
        let limit = draft.limits.max_supervisors;
        let message = format!("the cluster knows {limit} supervisors, as many as there may be");
        let action = "lost ones are forgotten after a while; or raise `max_supervisors`";
        return Err(Refusal::new(RefusalCode::Busy, message, action).with("limit", &limit));
    }
    notice(draft, observed);
    let was_away = old.is_none() || observed.is_lost(&id, draft.now, draft.limits);
    let draining = old.as_ref().is_some_and(|known| known.draining);
    let known = Known {
        handshake: hello.handshake,
        resources: hello.resources,
        address: hello.address,
        slots: hello.slot_ports,
        draining,
    };
    // What the slots did before a short break is believed until the next report.
    let before = observed.supervisors.remove(&id).filter(|_| !was_away);
    let seen = Seen {
        last_heard: draft.now,
        draining: before.as_ref().is_some_and(|seen| seen.draining),
        slots: before.and_then(|seen| seen.slots),
    };
    observed.supervisors.insert(id.clone(), seen);
    let is_news = old.as_deref() != Some(&known);
    if is_news {
        let moved = old.is_some_and(|old| old.address.host() != known.address.host());
        draft.edit().supervisors.insert(id.clone(), Arc::new(known));
        if moved {
            readdress(draft, &id);
        }
    }
    if is_news || was_away {
        let reasons = reschedule(draft, observed, None);
        keep(observed, reasons);
    }
    Ok(Reply::Done)
}

/// Gives the topologies of a supervisor whose host has changed new versions, so that peers hear of it.
fn readdress(draft: &mut Draft<'_>, id: &SupervisorId) {
    let is_there = |record: &Record| {
        let mut slots = record
            .workers
            .iter()
            .filter_map(|worker| worker.slot.as_ref());
        slots.any(|slot| slot.supervisor == *id)
    };
    let topologies = draft.get().topologies.values();
    let numbers = topologies
        .filter(|record| is_there(record))
        .map(|record| record.number);
    for number in numbers.collect::<Vec<_>>() {
        let version = draft.next_version();
        if let Some(record) = draft.edit_record(number) {
            record.version = version;
        }
    }
}

/// Notes a report and takes the topologies that it is news about further; returns those.
pub(super) fn reported(
    draft: &mut Draft<'_>,
    observed: &mut Observed,
    id: &SupervisorId,
    (slots, draining): (BTreeMap<u16, SlotReport>, bool),
) -> BTreeSet<u64> {
    notice(draft, observed);
    let was_away = observed.is_lost(id, draft.now, draft.limits);
    let Some(seen) = observed.supervisors.get_mut(id) else {
        return BTreeSet::new();
    };
    seen.last_heard = draft.now;
    let begins_draining = draining && !seen.draining;
    seen.draining = draining;
    let old = seen.slots.replace(slots.clone());
    let crashes = note_crashes(draft, observed, id, &slots);
    let desired = draft.get();
    let number_of = |report: &SlotReport| desired.topology(&report.topology).map(|r| r.number);
    let news: BTreeSet<u64> = match &old {
        Some(old) => {
            let ports = old.keys().chain(slots.keys());
            let changed = ports.filter(|port| old.get(port) != slots.get(port));
            let reports = changed.flat_map(|port| [old.get(port), slots.get(port)]);
            reports.flatten().filter_map(number_of).collect()
        }
        // Whoever waits for slots to be empty learns it from a first report too.
        None => desired.topologies.keys().copied().collect(),
    };
    for number in &news {
        progress(draft, observed, *number);
    }
    if was_away || begins_draining || crashes {
        let reasons = reschedule(draft, observed, None);
        keep(observed, reasons);
    }
    news
}

/// Notes which workers crash-loop in a supervisor's slots; tells whether any is new.
fn note_crashes(
    draft: &Draft<'_>,
    observed: &mut Observed,
    id: &SupervisorId,
    slots: &BTreeMap<u16, SlotReport>,
) -> bool {
    let mut is_news = false;
    for (port, report) in slots {
        let Some(record) = draft.get().topology(&report.topology) else {
            continue;
        };
        let worker = record.workers.get(report.worker_idx);
        let is_it = worker.is_some_and(|worker| {
            let slot = worker.slot.as_ref();
            worker.is_copy(report.fence)
                && slot.is_some_and(|slot| slot.supervisor == *id && slot.port == *port)
        });
        let key = (record.number, report.worker_idx);
        if is_it && observed.is_crash_looping(key, report, (draft.now, draft.limits)) {
            let shunned = observed.shunned.entry(key).or_default();
            is_news |= shunned.insert(id.clone(), draft.now).is_none();
        }
    }
    is_news
}

/// Notices that somebody can be heard: if nobody could before, it was nimbus that was cut off, and the
/// others get time to come back before their workers go to whoever came first.
const fn notice(draft: &Draft<'_>, observed: &mut Observed) {
    if observed.cut_off {
        observed.begin_grace(draft.now);
    }
}
