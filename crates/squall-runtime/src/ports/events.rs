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
    exposed: Vec<Vec<Exposed>>,
}

/// A task whose tuples may get to a worker.
struct Exposed {
    task: TaskId,
    /// They may get there from another worker than this one.
    by_others: bool,
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
        let mut exposed = Vec::new();
        exposed.resize_with(n_workers.unwrap_or(0), Vec::new);
        let reach = Reach::new(layout, part);
        for (component_idx, component) in layout.components.iter().enumerate() {
            let tasks = component.task_ids().enumerate();
            for (task_idx, task) in tasks.filter(|(_, task)| part.is_here(*task)) {
                let reached = reach.workers(component_idx, task_idx);
                for worker in &reached {
                    let mut others = reached.iter();
                    let by_others = others.any(|other| other != worker && *other != part.me);
                    exposed[worker.0 as usize].push(Exposed { task, by_others });
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

    /// Fails all that may have reached a worker that is no more; with `lingers`, it may take some more from those
    /// who have not heard of it.
    fn lose_all(&self, peer: WorkerIdx, fence: Fence, lingers: bool) {
        let text = format!(
            "worker {peer} (epoch {}, incarnation {}) has ended",
            fence.placement_epoch, fence.incarnation
        );
        let failure = Failure::new(FailureReason::Lost, None, &text);
        let exposed = self.exposed.get(peer.0 as usize);
        for Exposed { task, by_others } in exposed.into_iter().flatten() {
            if let Some(inbox) = self.inboxes.get(task.idx()) {
                inbox.lose_all(failure.clone(), lingers && *by_others);
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
        self.lose_all(peer, fence, false);
    }

    fn peer_moved(&self, peer: WorkerIdx, fence: Fence) {
        self.lose_all(peer, fence, true);
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
