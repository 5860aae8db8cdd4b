//! One output stream of one task: who reads it, and how often it was written.

use std::sync::Arc;

use squall_core::{Schema, TaskId, Value};

use crate::group::{Picks, Router};

/// A stream's readers and its counters.
pub(crate) struct StreamOut {
    pub(crate) schema: Arc<Schema>,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) n_emitted: u64,
    pub(crate) n_transferred: u64,
}

/// One input of one reading component: a grouping over its tasks.
pub(crate) struct Subscription {
    /// The grouping, from this task's side.
    pub(crate) router: Router,
    /// The reading tasks, and for each its index in the output's targets.
    pub(crate) readers: Vec<(TaskId, usize)>,
}

impl Subscription {
    /// Calls `send` with the target of each task that gets the row.
    pub(crate) fn pick(
        &mut self,
        row: &[Value],
        direct: Option<TaskId>,
        mut send: impl FnMut(usize),
    ) {
        if self.router.is_direct() != direct.is_some() {
            return;
        }
        if let Some(task) = direct {
            self.readers
                .iter()
                .filter(|(reader, _)| *reader == task)
                .for_each(|(_, target)| send(*target));
            return;
        }
        match self.router.pick(row) {
            Picks::One(reader_idx) => send(self.readers[reader_idx].1),
            Picks::All => self.readers.iter().for_each(|(_, target)| send(*target)),
            Picks::Nobody => {}
        }
    }
}

impl StreamOut {
    pub(crate) const fn new(schema: Arc<Schema>, subscriptions: Vec<Subscription>) -> Self {
        Self {
            schema,
            subscriptions,
            n_emitted: 0,
            n_transferred: 0,
        }
    }

    /// Tells whether a direct emit may name this task.
    pub(crate) fn reaches_directly(&self, task: TaskId) -> bool {
        let direct = self
            .subscriptions
            .iter()
            .filter(|subscription| subscription.router.is_direct());
        direct
            .flat_map(|subscription| &subscription.readers)
            .any(|(reader, _)| *reader == task)
    }
}
