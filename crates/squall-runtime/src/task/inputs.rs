//! What a bolt's task reads: its edges in turn, and the delivery it is at.

use std::collections::BTreeSet;
use std::sync::Arc;

use squall_core::engine::{Cursor, Delivery, Item, Mark, Place, RootId};
use squall_core::{TaskId, Tuple};

use super::hand::Hand;
use crate::edge::Edge;

/// One incoming edge.
pub(crate) struct Input {
    pub(crate) edge: Arc<Edge>,
    /// Sending tasks that have not ended. Not waited for on a feedback edge.
    pub(crate) senders: BTreeSet<TaskId>,
}

/// The incoming edges of one task.
pub(crate) struct Inputs {
    inputs: Vec<Input>,
    /// Which edge has its turn.
    turn: usize,
    at: Option<At>,
    /// Shows the watcher what `at` is.
    hand: Arc<Hand>,
}

/// A delivery that is being executed.
struct At {
    /// The edge that it came by.
    input_idx: usize,
    delivery: Arc<Delivery>,
    cursor: Cursor,
    /// The tuple that was read last,
    tuple: Tuple,
    /// and the batch that it is in.
    batch_idx: usize,
}

/// What was found in the edges.
pub(crate) enum Arrival<'d> {
    /// A delivery: its rows come from [`Inputs::next_tuple`].
    Delivery(&'d Delivery),
    /// Nothing waits.
    Nothing,
}

impl Inputs {
    pub(crate) fn new(inputs: Vec<Input>) -> Self {
        Self {
            inputs,
            turn: 0,
            at: None,
            hand: Arc::default(),
        }
    }

    /// Returns where others see what is being executed.
    pub(crate) const fn hand(&self) -> &Arc<Hand> {
        &self.hand
    }

    /// Takes the next delivery, edge by edge, unless one is begun. Marks are taken on the way.
    pub(crate) fn arrive(&mut self) -> Arrival<'_> {
        if self.at.is_none() {
            self.at = self.take_delivery();
            if let Some(at) = &self.at {
                self.hand.set(Some(at.delivery.clone()));
            }
        }
        match &self.at {
            Some(at) => Arrival::Delivery(&at.delivery),
            None => Arrival::Nothing,
        }
    }

    /// Tells whether the delivery that is begun came by this edge.
    pub(crate) fn is_at_delivery_of(&self, edge: &Arc<Edge>) -> bool {
        let input = self
            .at
            .as_ref()
            .and_then(|at| self.inputs.get(at.input_idx));
        input.is_some_and(|input| Arc::ptr_eq(&input.edge, edge))
    }

    /// Tells whether a delivery is begun.
    pub(crate) const fn is_at_delivery(&self) -> bool {
        self.at.is_some()
    }

    /// Moves on to the next tuple of the delivery that is begun; hands out its trees.
    #[inline]
    pub(crate) fn next_tuple(&mut self) -> Option<(&Tuple, Place<'_>)> {
        let at = self.at.as_mut()?;
        let place = at.cursor.advance(&at.delivery)?;
        self.hand.advance(at.cursor.n_read());
        if place.batch_idx == at.batch_idx {
            at.tuple.seek(place.row_idx);
        } else if let Some(batch) = at.delivery.batches.get(place.batch_idx) {
            at.batch_idx = place.batch_idx;
            at.tuple = Tuple::new(batch.clone(), place.row_idx);
        }
        Some((&at.tuple, place))
    }

    /// Lets go of the delivery once all its tuples have been executed.
    pub(crate) fn finish_delivery(&mut self) {
        if self
            .at
            .take_if(|at| at.cursor.is_at_end(&at.delivery))
            .is_some()
        {
            self.hand.set(None);
        }
    }

    /// Tells whether nothing waits to be executed.
    pub(crate) fn is_empty(&self) -> bool {
        self.at.is_none() && self.inputs.iter().all(|input| input.edge.is_empty())
    }

    /// Tells whether nothing can come any more: every sender but those of feedback edges has ended, and
    /// nothing waits.
    pub(crate) fn have_ended(&self) -> bool {
        self.inputs
            .iter()
            .all(|input| input.senders.is_empty() || input.edge.feedback)
            && self.is_empty()
    }

    /// Looks at the trees of each tuple that waits.
    pub(crate) fn for_each_waiting(&self, mut look: impl FnMut(RootId)) {
        self.hand.for_each_waiting(&mut look);
        for input in &self.inputs {
            input
                .edge
                .walk(|delivery| delivery.for_each_root(0, &mut look));
        }
    }

    /// Refuses everything from now on, and hands out the trees of all that still waits.
    pub(crate) fn close(&mut self) -> Vec<RootId> {
        let mut left = Vec::new();
        self.inputs.iter().for_each(|input| input.edge.close());
        while let Some(at) = self.at.take().or_else(|| self.take_delivery()) {
            at.delivery
                .for_each_root(at.cursor.n_read(), |root| left.push(root));
        }
        self.hand.set(None);
        left
    }

    fn take_delivery(&mut self) -> Option<At> {
        for _ in 0..self.inputs.len() {
            let input_idx = self.turn;
            self.turn = (self.turn + 1) % self.inputs.len();
            let input = &mut self.inputs[input_idx];
            while let Some(item) = input.edge.pop() {
                match item {
                    Item::Mark(Mark::End(task)) => {
                        input.senders.remove(&task);
                    }
                    Item::Rows(delivery) => {
                        let tuple = Tuple::new(delivery.batches.first()?.clone(), 0);
                        return Some(At {
                            input_idx,
                            cursor: Cursor::new(&delivery),
                            delivery: Arc::new(delivery),
                            tuple,
                            batch_idx: 0,
                        });
                    }
                }
            }
        }
        None
    }
}
