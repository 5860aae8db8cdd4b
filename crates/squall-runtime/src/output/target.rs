//! One task's way to one other: the rows under construction, and what the edge couldn't take.

use std::collections::VecDeque;
use std::sync::Arc;

use squall_core::engine::{Anchors, Batch};
use squall_core::{Moment, TaskId};

use crate::edge::{Delivery, Edge, Item, Mark, Refused, Row};

/// The sending side of one edge. The backlog is bounded by what one call of the author's code emits:
/// the executor parks before the next one.
pub(crate) struct Target {
    pub(crate) edge: Arc<Edge>,
    rows: Vec<Row>,
    backlog: VecDeque<Item>,
    /// Rows whose reader has ended; their roots are to be failed.
    pub(crate) refused: Vec<Row>,
}

impl Target {
    pub(crate) const fn new(edge: Arc<Edge>) -> Self {
        Self {
            edge,
            rows: Vec::new(),
            backlog: VecDeque::new(),
            refused: Vec::new(),
        }
    }

    /// Adds a row to the delivery under construction.
    pub(crate) fn push(&mut self, batch_idx: u32, row_idx: u32, anchors: Anchors) {
        self.rows.push(Row {
            batch_idx,
            row_idx,
            anchors,
        });
    }

    /// Puts the delivery under construction behind the backlog.
    pub(crate) fn close(&mut self, batches: &Arc<[Arc<Batch>]>, sent: Moment) {
        if self.rows.is_empty() {
            return;
        }
        let next = Vec::with_capacity(self.rows.len());
        let rows = std::mem::replace(&mut self.rows, next);
        // Whole batches: a few rows of one keep all of it in memory.
        let batches_bytes: usize = batches.iter().map(|batch| batch.bytes()).sum();
        let bytes = batches_bytes + rows.len() * size_of::<Row>();
        self.backlog.push_back(Item::Rows(Delivery {
            batches: batches.clone(),
            rows,
            bytes,
            sent,
        }));
    }

    /// Puts the end of this task behind the backlog.
    pub(crate) fn push_end(&mut self, task: TaskId) {
        self.backlog.push_back(Item::Mark(Mark::End(task)));
    }

    /// Sends as much of the backlog as the edge takes; returns whether nothing is left.
    pub(crate) fn send_backlog(&mut self) -> bool {
        while let Some(item) = self.backlog.pop_front() {
            match self.edge.try_send(item) {
                Ok(()) | Err(Refused::Closed(Item::Mark(_))) => {}
                Err(Refused::Closed(Item::Rows(delivery))) => self.refused.extend(delivery.rows),
                Err(Refused::Full(item)) => {
                    self.backlog.push_front(item);
                    return false;
                }
            }
        }
        true
    }

    /// Tells whether something waits for room.
    pub(crate) fn is_blocked(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Tells whether this closes a cycle in which both sides wait for room.
    pub(crate) fn is_jammed(&self) -> bool {
        self.edge.feedback && self.is_blocked() && self.edge.reader_is_parked()
    }

    /// Looks at each row that waits here.
    pub(crate) fn for_each_waiting(&self, look: impl FnMut(&Row)) {
        let rows = self.backlog.iter().flat_map(|item| match item {
            Item::Rows(delivery) => delivery.rows.as_slice(),
            Item::Mark(_) => &[],
        });
        rows.for_each(look);
    }
}
