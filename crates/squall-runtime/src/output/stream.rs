//! One output stream of one task: who reads it, and how often it was written.

use std::sync::Arc;

use squall_core::{Schema, TaskId, Value};

use crate::group::{Picks, Router};

/// A stream's readers and its counters.
#[repr(align(128))]
pub(crate) struct StreamOut {
    pub(crate) schema: Arc<Schema>,
    subscriptions: Vec<Subscription>,
    /// The target of every row, where there is just one: nothing is to be picked then.
    only: Option<usize>,
    pub(crate) n_emitted: u64,
    pub(crate) n_transferred: u64,
}

/// One input of one reading component: a grouping over its tasks.
pub(crate) struct Subscription {
    /// The grouping, from this task's side.
    router: Router,
    /// The reading tasks, and for each its index in the output's targets.
    readers: Vec<(TaskId, usize)>,
    /// A row may have several targets, or none.
    is_for_several: bool,
}

impl Subscription {
    pub(crate) fn new(router: Router, readers: Vec<(TaskId, usize)>) -> Self {
        Self {
            is_for_several: !router.picks_one(),
            router,
            readers,
        }
    }

    /// Returns the target of every row, if that is always the same.
    fn only_target(&self) -> Option<usize> {
        let reader_idx = self.router.fixed()?;
        self.readers.get(reader_idx).map(|(_, target)| *target)
    }

    #[inline]
    fn pick_one(&mut self, row: &[Value]) -> Option<usize> {
        if self.is_for_several {
            return None;
        }
        match self.router.pick(row) {
            Picks::One(reader_idx) => self.readers.get(reader_idx).map(|(_, target)| *target),
            Picks::All | Picks::Nobody => None,
        }
    }

    /// Calls `send` with the target of each task that gets the row.
    fn pick(&mut self, row: &[Value], direct: Option<TaskId>, mut send: impl FnMut(usize)) {
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
    pub(crate) const fn new(schema: Arc<Schema>) -> Self {
        Self {
            schema,
            subscriptions: Vec::new(),
            only: None,
            n_emitted: 0,
            n_transferred: 0,
        }
    }

    /// Adds a reading component.
    pub(crate) fn subscribe(&mut self, subscription: Subscription) {
        self.only = match self.subscriptions.is_empty() {
            true => subscription.only_target(),
            false => None,
        };
        self.subscriptions.push(subscription);
    }

    /// Returns the one target of every row, where there is just one.
    #[inline]
    pub(crate) const fn only_target(&self) -> Option<usize> {
        self.only
    }

    /// Counts a row that went to so many targets.
    #[inline]
    pub(crate) const fn count(&mut self, n_targets: usize) {
        self.n_emitted += 1;
        self.n_transferred += n_targets as u64;
    }

    /// Returns the target of a row that only one component reads, and only one task of it gets; `None` says nothing.
    #[inline]
    pub(crate) fn pick_one(&mut self, row: &[Value], direct: Option<TaskId>) -> Option<usize> {
        match (self.subscriptions.as_mut_slice(), direct) {
            ([subscription], None) => subscription.pick_one(row),
            _ => None,
        }
    }

    /// Fills `picked` with the target of each task that gets the row.
    pub(crate) fn pick(&mut self, row: &[Value], direct: Option<TaskId>, picked: &mut Vec<usize>) {
        picked.clear();
        for subscription in &mut self.subscriptions {
            subscription.pick(row, direct, |target_idx| picked.push(target_idx));
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
