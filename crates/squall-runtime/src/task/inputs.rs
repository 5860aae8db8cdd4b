//! What a bolt's task reads: its edges in turn, and the delivery it is at.

use std::sync::Arc;

use squall_core::Tuple;
use squall_core::engine::Anchors;

use super::hand::Hand;
use crate::edge::{Delivery, Edge, Item, Mark};

/// One incoming edge.
pub(crate) struct Input {
    pub(crate) edge: Arc<Edge>,
    /// Sending tasks that have not ended. Not waited for on a feedback edge.
    pub(crate) n_senders: usize,
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
    delivery: Arc<Delivery>,
    next_row: usize,
    tuple: Tuple,
    batch_idx: u32,
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

    /// Tells whether a delivery is begun.
    pub(crate) const fn is_at_delivery(&self) -> bool {
        self.at.is_some()
    }

    /// Moves on to the next tuple of the delivery that is begun; hands out its trees.
    pub(crate) fn next_tuple(&mut self) -> Option<(&Tuple, Anchors)> {
        let at = self.at.as_mut()?;
        let row = at.delivery.rows.get(at.next_row)?;
        at.next_row += 1;
        self.hand.advance(at.next_row);
        if row.batch_idx == at.batch_idx {
            at.tuple.seek(row.row_idx as usize);
        } else if let Some(batch) = at.delivery.batches.get(row.batch_idx as usize) {
            at.batch_idx = row.batch_idx;
            at.tuple = Tuple::new(batch.clone(), row.row_idx as usize);
        }
        Some((&at.tuple, row.anchors.clone()))
    }

    /// Lets go of the delivery once all its tuples have been executed.
    pub(crate) fn finish_delivery(&mut self) {
        if self
            .at
            .take_if(|at| at.next_row >= at.delivery.rows.len())
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
            .all(|input| input.n_senders == 0 || input.edge.feedback)
            && self.is_empty()
    }

    /// Looks at the trees of each tuple that waits.
    pub(crate) fn for_each_waiting(&self, mut look: impl FnMut(&Anchors)) {
        self.hand.for_each_waiting(&mut look);
        for input in &self.inputs {
            input
                .edge
                .walk(|delivery| delivery.rows.iter().for_each(|row| look(&row.anchors)));
        }
    }

    /// Refuses everything from now on, and hands out the trees of all that still waits.
    pub(crate) fn close(&mut self) -> Vec<Anchors> {
        let mut left = Vec::new();
        self.inputs.iter().for_each(|input| input.edge.close());
        while let Some((_, anchors)) = {
            self.finish_delivery();
            self.arrive();
            self.next_tuple()
        } {
            left.push(anchors);
        }
        left
    }

    fn take_delivery(&mut self) -> Option<At> {
        for _ in 0..self.inputs.len() {
            let input_idx = self.turn;
            self.turn = (self.turn + 1) % self.inputs.len();
            let input = &mut self.inputs[input_idx];
            while let Some(item) = input.edge.pop() {
                match item {
                    Item::Mark(Mark::End(_)) => input.n_senders = input.n_senders.saturating_sub(1),
                    Item::Rows(delivery) => {
                        let (first, batch) = (delivery.rows.first()?, delivery.batches.first()?);
                        let tuple = Tuple::new(batch.clone(), first.row_idx as usize);
                        return Some(At {
                            delivery: Arc::new(delivery),
                            next_row: 0,
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
