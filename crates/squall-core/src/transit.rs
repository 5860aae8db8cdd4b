//! Tuples and acks on their way: what edges and lanes carry, inside a worker and between workers.

use std::sync::Arc;

use crate::anchor::{Anchor, Anchors, RootId};
use crate::batch::Batch;
use crate::clock::Moment;
use crate::error::Failure;
use crate::ids::TaskId;

/// Tuples on their way to one task, in the order in which they were emitted. Never empty.
///
/// It is laid out for the one task that reads it: its values lie next to each other in the order in which
/// they are read, and what is the same for many rows, their trees, is said once for all of them.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The rows, one batch for each stream.
    pub batches: Vec<Arc<Batch>>,
    /// Which batch the next rows are in, and their trees.
    pub runs: Vec<Run>,
    /// The edge ids, in the order of the rows: for each row as many as its run has roots.
    pub edges: Vec<u64>,
    /// The memory that the delivery keeps while it waits.
    pub bytes: usize,
    /// When it was sent, by the clock of the worker that it is in.
    pub sent: Moment,
}

/// Rows of one stream that follow each other and belong to the same trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The index in the delivery's batches.
    pub batch_idx: u32,
    /// How many rows; never 0.
    pub n_rows: u32,
    /// Their trees.
    pub roots: Roots,
}

/// The trees that a row belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// Untracked.
    #[default]
    None,
    /// One tree.
    One(RootId),
    /// Several trees, each named once.
    Many(Box<[RootId]>),
}

impl Roots {
    /// Returns the trees as a slice.
    #[must_use]
    #[inline]
    pub fn as_slice(&self) -> &[RootId] {
        match self {
            Self::None => &[],
            Self::One(root) => std::slice::from_ref(root),
            Self::Many(roots) => roots,
        }
    }

    /// Ties these trees to the edge ids of one row, one for each tree.
    #[must_use]
    pub fn anchors(&self, edges: &[u64]) -> Anchors {
        match (self, edges) {
            (Self::One(root), [edge]) => Anchors::One(Anchor {
                root: *root,
                edge: *edge,
            }),
            (Self::Many(roots), edges) => {
                let anchor = |(root, edge): (&RootId, &u64)| Anchor {
                    root: *root,
                    edge: *edge,
                };
                Anchors::Many(roots.iter().zip(edges).map(anchor).collect())
            }
            _ => Anchors::None,
        }
    }
}

impl Delivery {
    /// Puts a delivery together and measures it.
    #[must_use]
    pub fn new(batches: Vec<Arc<Batch>>, runs: Vec<Run>, edges: Vec<u64>, sent: Moment) -> Self {
        let batches_bytes: usize = batches.iter().map(|batch| batch.bytes()).sum();
        let runs_bytes: usize = runs.iter().map(Run::bytes).sum();
        Self {
            bytes: batches_bytes + runs_bytes + edges.len() * size_of::<u64>(),
            batches,
            runs,
            edges,
            sent,
        }
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.batches.iter().map(|batch| batch.len()).sum()
    }

    /// Calls `look` with the trees of all rows from the `first` one on; once for rows that share them.
    pub fn for_each_root(&self, first: usize, mut look: impl FnMut(RootId)) {
        let mut end = 0;
        for run in &self.runs {
            end += run.n_rows as usize;
            if end > first {
                run.roots.as_slice().iter().copied().for_each(&mut look);
            }
        }
    }
}

impl Run {
    /// Returns the memory that the run keeps.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        size_of::<Self>()
            + match &self.roots {
                Roots::None | Roots::One(_) => 0,
                Roots::Many(roots) => size_of_val::<[RootId]>(roots),
            }
    }
}

/// Reads a delivery row by row.
#[derive(Clone, Debug, Default)]
pub struct Cursor {
    run_idx: usize,
    /// Rows of the run that have been read.
    in_run: u32,
    edge_idx: usize,
    n_read: usize,
    /// Rows that have been read, by batch.
    in_batch: Vec<usize>,
}

/// Where a row lies.
#[derive(Clone, Copy, Debug)]
pub struct Place<'d> {
    /// The index in the delivery's batches.
    pub batch_idx: usize,
    /// The row in that batch.
    pub row_idx: usize,
    /// Its trees,
    pub roots: &'d Roots,
    /// and an edge id for each.
    pub edges: &'d [u64],
}

impl Cursor {
    /// Begins at the first row.
    #[must_use]
    pub fn new(delivery: &Delivery) -> Self {
        Self {
            in_batch: vec![0; delivery.batches.len()],
            ..Self::default()
        }
    }

    /// Returns where the next row lies; `None` if there is none.
    #[must_use]
    #[inline]
    pub fn peek<'d>(&self, delivery: &'d Delivery) -> Option<Place<'d>> {
        let run = delivery.runs.get(self.run_idx)?;
        let batch_idx = run.batch_idx as usize;
        let edges_end = self.edge_idx + run.roots.as_slice().len();
        Some(Place {
            batch_idx,
            row_idx: *self.in_batch.get(batch_idx)?,
            roots: &run.roots,
            edges: delivery.edges.get(self.edge_idx..edges_end)?,
        })
    }

    /// Moves on behind the next row; returns where it lies.
    #[inline]
    pub fn advance<'d>(&mut self, delivery: &'d Delivery) -> Option<Place<'d>> {
        let place = self.peek(delivery)?;
        self.n_read += 1;
        self.in_run += 1;
        self.edge_idx += place.edges.len();
        if let Some(next_row) = self.in_batch.get_mut(place.batch_idx) {
            *next_row += 1;
        }
        if delivery
            .runs
            .get(self.run_idx)
            .is_some_and(|run| self.in_run >= run.n_rows)
        {
            self.run_idx += 1;
            self.in_run = 0;
        }
        Some(place)
    }

    /// Returns how many rows have been read.
    #[must_use]
    pub const fn n_read(&self) -> usize {
        self.n_read
    }

    /// Tells whether no row is left.
    #[must_use]
    #[inline]
    pub const fn is_at_end(&self, delivery: &Delivery) -> bool {
        self.run_idx >= delivery.runs.len()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::Schema;
    use crate::ids::StreamId;
    use crate::value::Value;

    fn root(slot: u32) -> RootId {
        RootId {
            task: TaskId(0),
            slot,
            generation: 1,
        }
    }

    fn batch(stream: &str, numbers: &[i64]) -> Arc<Batch> {
        let schema = Schema::new("in".into(), StreamId::new(stream), vec!["n".into()]);
        let mut batch = Batch::new(schema, TaskId(0));
        numbers
            .iter()
            .for_each(|number| batch.push(&mut vec![Value::I64(*number)]));
        Arc::new(batch)
    }

    fn delivery() -> Delivery {
        let run = |batch_idx, n_rows, roots| Run {
            batch_idx,
            n_rows,
            roots,
        };
        let many = Roots::Many([root(1), root(2)].into());
        let runs = vec![
            run(0, 2, Roots::One(root(7))),
            run(1, 1, Roots::None),
            run(0, 1, many),
        ];
        let batches = vec![batch("a", &[10, 11, 13]), batch("b", &[12])];
        Delivery::new(batches, runs, vec![1, 2, 3, 4], Moment::ZERO)
    }

    #[test]
    fn a_cursor_finds_each_row_with_its_trees() {
        let delivery = delivery();
        let mut cursor = Cursor::new(&delivery);
        let mut read = Vec::new();
        while let Some(place) = cursor.peek(&delivery) {
            assert!(!cursor.is_at_end(&delivery));
            let row = delivery.batches[place.batch_idx].row(place.row_idx);
            let edges = place.roots.anchors(place.edges);
            let edges: Vec<u64> = edges.as_slice().iter().map(|anchor| anchor.edge).collect();
            read.push((row[0].as_i64(), edges));
            cursor.advance(&delivery);
        }
        let expected = [
            (Some(10), vec![1]),
            (Some(11), vec![2]),
            (Some(12), vec![]),
            (Some(13), vec![3, 4]),
        ];
        assert_eq!(read, expected);
        assert_eq!((cursor.n_read(), delivery.n_rows()), (4, 4));
        assert!(cursor.is_at_end(&delivery));
        assert!(cursor.advance(&delivery).is_none());
    }

    #[test]
    fn a_delivery_counts_rows_runs_and_edges() {
        let values = 4 * size_of::<Value>();
        let expected = values + 3 * size_of::<Run>() + 2 * size_of::<RootId>() + 4 * 8;
        assert_eq!(delivery().bytes, expected);
        let mut slots = Vec::new();
        delivery().for_each_root(2, |root| slots.push(root.slot));
        assert_eq!(slots, [1, 2]);
    }
}
