//! What links report: trees that lost a tuple, trees that wait, and workers that are no more.

use std::sync::Arc;

use squall_core::engine::{Contribution, LinkEvents, RootId, Word, WorkerIdx};
use squall_core::{Failure, FailureReason, Fence, TaskId};
use squall_plan::Layout;

use super::Part;
use super::reach::Reach;
use crate::ack::Inbox;
use crate::control::{Control, Phase};

/// Takes the reports to the owners of the roots.
pub(crate) struct Events {
    inboxes: Arc<[Inbox]>,
    control: Arc<Control>,
    /// By worker: the tasks of this worker whose tuples may get there.
    exposed: Vec<Vec<TaskId>>,
}

impl Events {
    pub(crate) fn new(
        layout: &Layout,
        part: &Part,
        inboxes: Arc<[Inbox]>,
        control: Arc<Control>,
    ) -> Self {
        let n_workers = part
            .workers
            .iter()
            .map(|worker| worker.0 as usize + 1)
            .max();
        let mut exposed = vec![Vec::new(); n_workers.unwrap_or(0)];
        let reach = Reach::new(layout, part);
        for (component_idx, component) in layout.components.iter().enumerate() {
            let tasks = component.task_ids().enumerate();
            for (task_idx, task) in tasks.filter(|(_, task)| part.is_here(*task)) {
                for worker in reach.workers(component_idx, task_idx) {
                    exposed[worker.0 as usize].push(task);
                }
            }
        }
        Self {
            inboxes,
            control,
            exposed,
        }
    }

    fn say(&self, roots: &[RootId], word: impl Fn() -> Word) {
        for root in roots {
            if let Some(inbox) = self.inboxes.get(root.task.idx()) {
                inbox.push(Contribution {
                    slot: root.slot,
                    generation: root.generation,
                    word: word(),
                });
            }
        }
    }
}

impl LinkEvents for Events {
    fn roots_lost(&self, roots: &[RootId], why: &Failure) {
        self.say(roots, || Word::Fail(Box::new(why.clone())));
    }

    fn roots_wait(&self, roots: &[RootId]) {
        self.say(roots, || Word::Waiting);
    }

    fn peer_ended(&self, peer: WorkerIdx, fence: Fence) {
        let text = format!(
            "worker {peer} (epoch {}, incarnation {}) has ended",
            fence.placement_epoch, fence.incarnation
        );
        let failure = Failure::new(FailureReason::Lost, None, &text);
        let exposed = self.exposed.get(peer.0 as usize);
        for task in exposed.into_iter().flatten() {
            if let Some(inbox) = self.inboxes.get(task.idx()) {
                inbox.lose_all(failure.clone());
            }
        }
    }

    fn superseded(&self, by: Fence) {
        tracing::warn!(
            epoch = by.placement_epoch,
            incarnation = by.incarnation,
            "a newer copy of this worker runs: this one ends"
        );
        self.control.set_failure(format!(
            "a newer copy of this worker runs (epoch {}, incarnation {})",
            by.placement_epoch, by.incarnation
        ));
        self.control.set_phase(Phase::Forced);
    }
}
