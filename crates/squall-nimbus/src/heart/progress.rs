//! What happens to a topology by itself: it is launched when all are ready, moves or ends when it has drained,
//! and is forgotten when its workers have gone.

use std::sync::Arc;

use super::desired::{Lifecycle, Record};
use super::draft::Draft;
use super::drain;
use super::observed::Observed;
use super::rebalance;
use super::schedule::{keep, reschedule};

/// Takes a topology as far as it gets.
pub(super) fn progress(draft: &mut Draft<'_>, observed: &mut Observed, number: u64) {
    let Some(record) = draft.record(number).map(Arc::clone) else {
        return;
    };
    let time = (draft.now, draft.limits);
    match &record.lifecycle {
        Lifecycle::Active | Lifecycle::Inactive => {
            observed.drains_since.remove(&number);
            if !record.launched && observed.is_all_ready(&record, draft.now, draft.limits) {
                edit(draft, number, |record| record.launched = true);
            }
        }
        Lifecycle::Rebalancing { wait, .. } => {
            if drain::is_over(observed, &record, *wait, time) {
                rebalance::deal_anew(draft, number);
                let reasons = reschedule(draft, observed, Some(number));
                keep(observed, reasons);
                observed.drains_since.remove(&number);
            }
        }
        Lifecycle::Killed { ending: true, .. } => forget(draft, observed, &record),
        Lifecycle::Killed { wait, .. } => {
            if drain::is_over(observed, &record, *wait, time) {
                let ended = Lifecycle::Killed {
                    wait: *wait,
                    ending: true,
                };
                edit(draft, number, |record| record.lifecycle = ended);
                forget(draft, observed, &record);
            }
        }
    }
}

fn forget(draft: &mut Draft<'_>, observed: &mut Observed, record: &Record) {
    if drain::is_gone(draft.get(), observed, record, (draft.now, draft.limits)) {
        draft.edit().topologies.remove(&record.number);
        observed.forget(record.number);
    }
}

fn edit(draft: &mut Draft<'_>, number: u64, change: impl FnOnce(&mut Record)) {
    if let Some(record) = draft.edit_record(number) {
        change(record);
    }
}
