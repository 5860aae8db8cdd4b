//! One step: an event to a decision.

use std::collections::BTreeSet;

use squall_core::{Moment, SupervisorId};

use super::attendance::{attended, reported};
use super::command;
use super::desired::Desired;
use super::draft::Draft;
use super::event::{Decision, Event, Reply};
use super::limits::Limits;
use super::observed::Observed;
use super::progress::progress;
use super::schedule::{keep, reschedule};
use super::submit;

/// Takes notice of an event and decides what follows from it.
///
/// What was seen is noted in `observed` whatever comes of the decision. A refused command changes nothing.
/// The decision is to be taken again should its storing fail: the next tick does so for all that happens by
/// itself.
pub fn step(
    desired: &Desired,
    observed: &mut Observed,
    event: Event,
    now: Moment,
    limits: &Limits,
) -> Decision {
    if now.since(observed.last_tick) > limits.standstill.0 {
        // Nimbus itself stood still: nobody can have been heard meanwhile, and nobody is lost for that.
        observed.begin_grace(now);
        observed.last_tick = now;
    }
    let mut draft = Draft::new(desired, now, limits);
    let mut checked = BTreeSet::new();
    let reply = match event {
        Event::Submit(submission) => submit::submit(&mut draft, observed, *submission),
        Event::Kill { name, wait } => command::kill(&mut draft, observed, &name, wait),
        Event::SetActive { name, active } => command::set_active(&mut draft, &name, active),
        Event::Rebalance(rebalance) => command::rebalance(&mut draft, observed, &rebalance),
        Event::Drain { supervisor, undo } => {
            command::drain(&mut draft, observed, &supervisor, undo)
        }
        Event::Attended(hello) => attended(&mut draft, observed, *hello),
        Event::Reported {
            supervisor,
            slots,
            draining,
        } => {
            checked = reported(&mut draft, observed, &supervisor, (slots, draining));
            Ok(Reply::Done)
        }
        Event::Tick => {
            tick(&mut draft, observed);
            checked.extend(desired.topologies.keys());
            Ok(Reply::Done)
        }
    };
    Decision {
        next: draft.finish().filter(|_| reply.is_ok()),
        reply,
        checked,
    }
}

/// Notices what time has brought.
fn tick(draft: &mut Draft<'_>, observed: &mut Observed) {
    let (now, limits) = (draft.now, draft.limits);
    observed.last_tick = now;
    let mut known = draft.get().supervisors.keys();
    observed.cut_off = known.len() > 0 && known.all(|id| observed.is_lost(id, now, limits));
    observed.shunned.retain(|_, shunned| {
        shunned.retain(|_, since| now.since(*since) <= limits.shun_for.0);
        !shunned.is_empty()
    });
    for number in draft.get().topologies.keys().copied().collect::<Vec<_>>() {
        progress(draft, observed, number);
    }
    forget_supervisors(draft, observed);
    let reasons = reschedule(draft, observed, None);
    keep(observed, reasons);
}

/// Forgets supervisors that have been lost for long and that nothing is placed on.
fn forget_supervisors(draft: &mut Draft<'_>, observed: &mut Observed) {
    let (now, limits) = (draft.now, draft.limits);
    let known = draft.get().supervisors.keys();
    let old = known.filter(|id| {
        let heard = observed.supervisors.get(*id).map(|seen| seen.last_heard);
        now.since(heard.unwrap_or_default().max(observed.grace_from)) > limits.forget_after.0
    });
    let mut old: BTreeSet<SupervisorId> = old.cloned().collect();
    for record in draft.get().topologies.values() {
        for slot in record
            .workers
            .iter()
            .filter_map(|worker| worker.slot.as_ref())
        {
            old.remove(&slot.supervisor);
        }
    }
    for id in old {
        draft.edit().supervisors.remove(&id);
    }
    // Those that called while nothing could be stored aren't known, and nobody would forget them.
    let known = &draft.get().supervisors;
    observed.supervisors.retain(|id, _| known.contains_key(id));
}
