//! What nimbus is told of a slot.

use std::num::NonZeroU32;

use squall_core::Fence;
use squall_proto::{
    Counters, Note, RunningWorker, SlotState, SlotStatus, SlotWorker, WorkerStatus,
};

use crate::slots::{Phase, View};

/// Puts together what the slot says of itself and what its worker said last.
pub(super) fn of_slot(port: u16, view: View, status: Option<&WorkerStatus>) -> SlotStatus {
    let state = state(&view, status);
    let worker = view.work.zip(state).map(|(work, state)| SlotWorker {
        topology: work.topology_id,
        worker: work.worker_idx,
        fence: Fence {
            placement_epoch: work.placement_epoch,
            incarnation: view.incarnation,
        },
        state,
        n_restarts: view.n_restarts,
        last_exit: view.reason.map(Note::new),
    });
    SlotStatus { port, worker }
}

/// `None` for an empty slot.
fn state(view: &View, status: Option<&WorkerStatus>) -> Option<SlotState> {
    let pid = view.pid.and_then(NonZeroU32::new);
    match (view.phase, pid) {
        (Phase::Empty, _) => None,
        (Phase::Failed, _) => Some(SlotState::Failed {
            crash_looping: view.crash_looping,
        }),
        // A process of which nothing is known isn't there yet.
        (Phase::Fetching, _) | (_, None) => Some(SlotState::Fetching),
        (Phase::Starting, Some(pid)) => Some(SlotState::Starting { pid }),
        (Phase::Stopping, Some(pid)) => Some(SlotState::Stopping { pid }),
        (Phase::Running, Some(pid)) => Some(SlotState::Running(RunningWorker {
            pid,
            ready: status.is_some_and(|status| status.ready),
            drained: status.is_some_and(|status| status.drained),
            assignment_version: status.map_or(0, |status| status.assignment_version),
            oldest_turn_ms: status.map_or(0, |status| status.oldest_turn_ms),
            counters: status.map_or_else(Counters::default, |status| status.counters.clone()),
        })),
    }
}
