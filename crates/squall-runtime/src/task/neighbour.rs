//! The next task of a chain: called for each tuple instead of being written to.
//!
//! A task borrows its neighbours for the length of a slice. While one is borrowed, an emit to it *is* its
//! `execute`: no batch, no edge, no id for the tuple, for that never waits anywhere. Its ids that do come to
//! life below it go back to the caller, who contributes them with its own; see the invariants on acking.
//! What can't be called now, for it parks, restarts or still has tuples in its edge, is written to as ever.

use std::sync::Arc;
use std::time::Duration;

use squall_core::engine::Anchors;
use squall_core::{Moment, Tuple, Value};

use super::{BoltTask, TaskCell};
use crate::bell::Bell;
use crate::draft::Origin;
use crate::edge::Edge;

/// How many calls there are at most within each other: they share a thread's stack, see
/// [`crate::event_loop`]. What is further down a chain is written to.
const MAX_DEPTH: usize = 16;

/// A reader on the same loop, and an edge to it that is this task's alone.
pub(crate) struct Neighbour {
    cell: Arc<TaskCell>,
    bell: Arc<Bell>,
    /// The reader's task, while it is borrowed.
    borrowed: Option<Box<BoltTask>>,
    /// By stream, a tuple that is used for each row of it.
    tuples: Vec<(usize, Tuple)>,
}

impl Neighbour {
    pub(crate) const fn new(cell: Arc<TaskCell>, bell: Arc<Bell>) -> Self {
        Self {
            cell,
            bell,
            borrowed: None,
            tuples: Vec::new(),
        }
    }

    /// Borrows the reader, `depth` calls below a task that nobody calls, and those behind it, unless it is at work,
    /// has left the loop or has something left that came over `edge`: order would be lost.
    pub(crate) fn borrow(&mut self, edge: &Arc<Edge>, depth: usize, now: Moment) {
        if depth < MAX_DEPTH && self.borrowed.is_none() && !self.bell.has_moved_out() {
            self.borrowed = self.cell.lend(edge, now);
            if let Some(bolt) = &mut self.borrowed {
                bolt.begin_calls(depth, now);
            }
        }
    }

    /// Tells whether the reader can be called now.
    #[inline]
    pub(crate) fn is_callable(&self) -> bool {
        self.borrowed
            .as_ref()
            .is_some_and(|bolt| bolt.can_be_called())
    }

    /// Has the reader execute a row that belongs to `trees`, and adds to these what is to be contributed for it. The
    /// row is as it was.
    #[inline]
    pub(crate) fn call(&mut self, origin: Origin<'_>, row: &mut Vec<Value>, trees: &mut Anchors) {
        let tuple_idx = match self.tuples.first() {
            Some((known, _)) if *known == origin.stream_idx => 0,
            _ => self.tuple_of(origin),
        };
        if let (Some(bolt), Some((_, tuple))) = (&mut self.borrowed, self.tuples.get_mut(tuple_idx))
        {
            tuple.exchange(row);
            bolt.execute_directly(tuple, trees);
            tuple.exchange(row);
        }
    }

    /// Returns the index of the stream's tuple, which is made if it is the first one.
    #[cold]
    fn tuple_of(&mut self, origin: Origin<'_>) -> usize {
        let Origin {
            task,
            stream_idx,
            schema,
        } = origin;
        let known = self.tuples.iter().position(|(idx, _)| *idx == stream_idx);
        known.unwrap_or_else(|| {
            let blank = vec![Value::default(); schema.fields.len()];
            let tuple = Tuple::own(schema.clone(), task, blank);
            self.tuples.push((stream_idx, tuple));
            self.tuples.len() - 1
        })
    }

    /// Gives the reader back, and has its seat see to what it has to send. Returns how long it was called for,
    /// by estimate.
    pub(crate) fn give_back(&mut self) -> Duration {
        let Some(mut bolt) = self.borrowed.take() else {
            return Duration::ZERO;
        };
        let took = bolt.end_calls();
        self.cell.take_back(bolt);
        self.bell.ring_anew();
        took
    }
}
