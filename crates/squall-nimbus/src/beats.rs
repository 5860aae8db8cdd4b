//! The latest heartbeat of each worker, counters included, and their sums.

use std::time::Duration;

use dashmap::DashMap;
use squall_core::engine::WorkerIdx;
use squall_core::{Fence, Moment, SupervisorId, TopologyId};
use squall_proto::{Counters, ReportedSlot, SlotState, SlotStatus};

use crate::heart::{Desired, Record};

/// The latest heartbeats by worker. Bounded by the workers that there are: only those of a placement's own
/// supervisor and epoch are taken.
#[derive(Debug, Default)]
pub(crate) struct Beats {
    by_worker: DashMap<(TopologyId, WorkerIdx), Beat>,
}

/// What a supervisor last said of a worker.
#[derive(Clone, Debug)]
struct Beat {
    supervisor: SupervisorId,
    /// Without counters.
    slot: SlotStatus,
    counters: Counters,
    at: Moment,
}

impl Beats {
    /// Takes what a supervisor says of a slot, if the worker in it is where it belongs, and leaves the slot
    /// without its counters.
    pub(crate) fn take(
        &self,
        desired: &Desired,
        supervisor: &SupervisorId,
        slot: &mut SlotStatus,
        now: Moment,
    ) {
        let counters = take_counters(slot).unwrap_or_default();
        let Some(worker) = &slot.worker else { return };
        let Some(record) = desired.topology(&worker.topology) else {
            return;
        };
        let placed = usize::try_from(worker.worker.0)
            .ok()
            .and_then(|idx| record.workers.get(idx));
        let is_its = placed.is_some_and(|placed| {
            placed.epoch == worker.fence.placement_epoch
                && placed
                    .slot
                    .as_ref()
                    .is_some_and(|at| at.supervisor == *supervisor)
        });
        if is_its {
            let key = (worker.topology.clone(), worker.worker);
            let beat = Beat {
                supervisor: supervisor.clone(),
                slot: slot.clone(),
                counters,
                at: now,
            };
            self.by_worker.insert(key, beat);
        }
    }

    /// Returns the fence of the latest copy of a worker that was heard of.
    pub(crate) fn fence(&self, topology: &TopologyId, worker: WorkerIdx) -> Option<Fence> {
        let beat = self.by_worker.get(&(topology.clone(), worker))?;
        beat.slot.worker.as_ref().map(|worker| worker.fence)
    }

    /// Forgets the workers of topologies that are gone.
    pub(crate) fn retain(&self, desired: &Desired) {
        self.by_worker
            .retain(|(topology, _), _| desired.topology(topology).is_some());
    }

    /// Returns how a topology's workers fare, without their counters, and these added up.
    pub(crate) fn of(&self, record: &Record, now: Moment) -> (Vec<ReportedSlot>, Counters) {
        let (mut slots, mut all) = (Vec::new(), Counters::default());
        for (idx, placed) in (0u32..).zip(&record.workers) {
            let key = (record.id().clone(), WorkerIdx(idx));
            let Some(beat) = self.by_worker.get(&key) else {
                continue;
            };
            let fence = beat.slot.worker.as_ref().map(|worker| worker.fence);
            if fence.is_none_or(|fence| fence.placement_epoch != placed.epoch) {
                continue;
            }
            all.add(&beat.counters);
            slots.push(ReportedSlot {
                supervisor: beat.supervisor.clone(),
                slot: beat.slot.clone(),
                age_ms: millis(now.since(beat.at)),
            });
        }
        (slots, all)
    }
}

/// Takes the counters out of a slot's status, which goes on without them.
fn take_counters(slot: &mut SlotStatus) -> Option<Counters> {
    match &mut slot.worker.as_mut()?.state {
        SlotState::Running(running) => Some(std::mem::take(&mut running.counters)),
        _ => None,
    }
}

/// Returns a time in whole milliseconds.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
