//! Tuples and acks on their way: what edges and lanes carry, inside a worker and between workers.

use std::sync::Arc;

use crate::anchor::Anchors;
use crate::batch::Batch;
use crate::clock::Moment;
use crate::error::Failure;
use crate::ids::TaskId;

/// One tuple on its way to one task.
#[derive(Clone, Debug)]
pub struct Row {
    /// The index in the delivery's batches.
    pub batch_idx: u32,
    /// The row in that batch.
    pub row_idx: u32,
    /// The tuple's trees, with the edge ids drawn for this task.
    pub anchors: Anchors,
}

/// Tuples on their way to one task, in the order in which they were emitted.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The batches that the rows are in: one for each stream that was emitted to.
    pub batches: Arc<[Arc<Batch>]>,
    /// The rows; never empty.
    pub rows: Vec<Row>,
    /// The memory that the delivery keeps while it waits: its batches as a whole, and its rows.
    pub bytes: usize,
    /// When it was sent, by the clock of the worker that it is in.
    pub sent: Moment,
}

impl Delivery {
    /// Makes a delivery and measures it. Whole batches count: a few rows of one keep all of it.
    #[must_use]
    pub fn new(batches: Arc<[Arc<Batch>]>, rows: Vec<Row>, sent: Moment) -> Self {
        let batches_bytes: usize = batches.iter().map(|batch| batch.bytes()).sum();
        Self {
            bytes: batches_bytes + rows.len() * size_of::<Row>(),
            batches,
            rows,
            sent,
        }
    }
}

/// What travels along with the tuples and keeps its place among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The sending task has ended: nothing follows from it.
    End(TaskId),
}

/// What an edge carries.
#[derive(Debug)]
pub enum Item {
    /// Tuples.
    Rows(Delivery),
    /// A mark.
    Mark(Mark),
}

impl Item {
    /// Returns the memory that the item keeps while it waits.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        match self {
            Self::Rows(delivery) => delivery.bytes,
            Self::Mark(_) => 0,
        }
    }
}

/// What became of an item that an edge did not take.
#[derive(Debug)]
pub enum Refused {
    /// The edge is full: the sender keeps the item.
    Full(Item),
    /// The reader has ended: the item's roots are lost.
    Closed(Item),
}

/// What a tuple says about one of its roots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contribution {
    /// The slot in the ledger of the task that owns the root.
    pub slot: u32,
    /// The slot's generation.
    pub generation: u64,
    /// What is said.
    pub word: Word,
}

/// The words that reach a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Edge ids that came to life or ended, XORed.
    Xor(u64),
    /// A tuple of the tree still waits in a queue: its time in there doesn't count.
    Waiting,
    /// A token holds the tree.
    Hold,
    /// A token holds it no longer.
    Release,
    /// The tree has failed.
    Fail(Box<Failure>),
}
