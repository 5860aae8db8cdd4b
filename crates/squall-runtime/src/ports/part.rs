//! Which worker runs which task.

use squall_core::TaskId;
use squall_core::engine::WorkerIdx;

/// A worker's part of a topology, and whose the others are.
#[derive(Clone, Debug)]
pub struct Part {
    /// This worker.
    pub me: WorkerIdx,
    /// The worker of each task, by task id. A task that isn't listed is nobody's: what goes to it waits.
    pub workers: Vec<WorkerIdx>,
}

impl Part {
    /// Tells whether a task runs in this worker.
    #[must_use]
    pub fn is_here(&self, task: TaskId) -> bool {
        self.workers.get(task.idx()) == Some(&self.me)
    }
}
