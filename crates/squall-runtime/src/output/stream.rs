//! One output stream of one task: the open batch and who reads it.

use std::sync::Arc;

use squall_core::engine::Batch;
use squall_core::{Schema, TaskId, Value};

use crate::group::{Picks, Router};

/// A stream's open batch, its readers and its counters.
pub(crate) struct StreamOut {
    pub(crate) schema: Arc<Schema>,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) n_emitted: u64,
    pub(crate) n_transferred: u64,
    batch: Batch,
    /// The open batch's place in the delivery under construction; `None` while it is empty.
    pub(crate) batch_idx: Option<u32>,
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
    pub(crate) fn new(
        schema: Arc<Schema>,
        source: TaskId,
        subscriptions: Vec<Subscription>,
    ) -> Self {
        Self {
            batch: Batch::new(schema.clone(), source),
            schema,
            subscriptions,
            n_emitted: 0,
            n_transferred: 0,
            batch_idx: None,
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

    /// Gives the open batch its place in the delivery under construction.
    pub(crate) fn open_as(&mut self, n_open: usize) -> u32 {
        let batch_idx = u32::try_from(n_open).unwrap_or(u32::MAX);
        self.batch_idx = Some(batch_idx);
        batch_idx
    }

    /// Returns the index that the next row gets; a batch is sent long before 32 bits are full.
    pub(crate) fn next_row_idx(&self) -> u32 {
        u32::try_from(self.batch.len()).unwrap_or(u32::MAX)
    }

    /// Moves a row into the open batch.
    pub(crate) fn push(&mut self, row: &mut Vec<Value>, bytes: usize) {
        self.batch.push_measured(row, bytes);
    }

    pub(crate) const fn is_full(&self, n_rows: usize, bytes: usize) -> bool {
        self.batch.len() >= n_rows || self.batch.bytes() >= bytes
    }

    /// Takes the open batch, to be shared by all that read it.
    pub(crate) fn freeze(&mut self) -> Arc<Batch> {
        self.batch_idx = None;
        let mut next = Batch::new(self.schema.clone(), self.batch.source());
        next.reserve(self.batch.len());
        Arc::new(std::mem::replace(&mut self.batch, next))
    }
}
