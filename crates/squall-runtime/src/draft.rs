//! A delivery under construction: what one task emits for one other.

use std::sync::Arc;

use squall_core::engine::{Anchor, Anchors, Batch, Delivery, Roots, Run};
use squall_core::{Moment, Schema, TaskId, Value};

/// A delivery under construction.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// By stream, in the order of their first rows.
    batches: Vec<(usize, Batch)>,
    runs: Vec<Run>,
    edges: Vec<u64>,
    n_rows: usize,
    bytes: usize,
    /// The stream that the one before began with, and how many rows of it there were: the next one is
    /// likely to have as many. Room for other streams' rows may be many times what is counted.
    last: (usize, usize),
}

/// Where a row comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    /// The emitting task.
    pub(crate) task: TaskId,
    /// The stream's index among those of the task.
    pub(crate) stream_idx: usize,
    /// The stream's schema.
    pub(crate) schema: &'a Arc<Schema>,
}

impl Draft {
    /// Returns the number of rows.
    pub(crate) const fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Returns the bytes that the delivery will take of its edge.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Tells whether there is no row.
    pub(crate) const fn is_empty(&self) -> bool {
        self.n_rows == 0
    }

    /// Adds a row of `bytes` that belongs to no tree. `lay` puts its values into the batch.
    #[inline]
    pub(crate) fn push_untracked(
        &mut self,
        origin: Origin<'_>,
        bytes: usize,
        lay: impl FnOnce(&mut Batch),
    ) {
        let batch_idx = self.lay(origin, bytes, lay);
        match self.runs.last_mut() {
            Some(run) if run.batch_idx == batch_idx && run.roots == Roots::None => run.n_rows += 1,
            _ => self.begin_run(batch_idx, Roots::None),
        }
    }

    /// Adds one that belongs to one tree.
    #[inline]
    pub(crate) fn push_anchored(
        &mut self,
        origin: Origin<'_>,
        anchor: Anchor,
        bytes: usize,
        lay: impl FnOnce(&mut Batch),
    ) {
        let batch_idx = self.lay(origin, bytes, lay);
        self.push_edge(anchor.edge);
        match self.runs.last_mut() {
            Some(Run {
                batch_idx: last,
                n_rows,
                roots: Roots::One(root),
            }) if *last == batch_idx && *root == anchor.root => *n_rows += 1,
            _ => self.begin_run(batch_idx, Roots::One(anchor.root)),
        }
    }

    /// Adds one that belongs to these trees, however many.
    pub(crate) fn push(
        &mut self,
        origin: Origin<'_>,
        anchors: &Anchors,
        bytes: usize,
        lay: impl FnOnce(&mut Batch),
    ) {
        let anchors = match anchors {
            Anchors::None => return self.push_untracked(origin, bytes, lay),
            Anchors::One(anchor) => return self.push_anchored(origin, *anchor, bytes, lay),
            Anchors::Many(anchors) => anchors,
        };
        let batch_idx = self.lay(origin, bytes, lay);
        anchors
            .iter()
            .for_each(|anchor| self.push_edge(anchor.edge));
        match self.runs.last_mut() {
            Some(run) if run.batch_idx == batch_idx && are_roots_of(&run.roots, anchors) => {
                run.n_rows += 1;
            }
            _ => {
                let roots = anchors.iter().map(|anchor| anchor.root).collect();
                self.begin_run(batch_idx, Roots::Many(roots));
            }
        }
    }

    /// Has the values of a row put into the batch of its stream; returns which that is.
    #[inline]
    fn lay(&mut self, origin: Origin<'_>, bytes: usize, lay: impl FnOnce(&mut Batch)) -> u32 {
        let last = self.runs.last().map_or(0, |run| run.batch_idx as usize);
        let batch_idx = match self.batches.get(last) {
            Some((stream_idx, _)) if *stream_idx == origin.stream_idx => last,
            _ => self.batch_of(origin),
        };
        lay(&mut self.batches[batch_idx].1);
        self.n_rows += 1;
        self.bytes += bytes;
        u32::try_from(batch_idx).unwrap_or(u32::MAX)
    }

    /// Takes the delivery out; `None` if it has no row.
    pub(crate) fn take(&mut self, sent: Moment) -> Option<Delivery> {
        if self.is_empty() {
            return None;
        }
        let taken = std::mem::take(self);
        let first = taken.batches.first();
        self.last = first.map_or((0, 0), |(stream_idx, batch)| (*stream_idx, batch.len()));
        self.edges.reserve(taken.edges.len());
        self.runs.reserve(taken.runs.len());
        Some(Delivery {
            batches: taken
                .batches
                .into_iter()
                .map(|(_, batch)| Arc::new(batch))
                .collect(),
            runs: taken.runs,
            edges: taken.edges,
            bytes: taken.bytes,
            sent,
        })
    }

    #[inline]
    fn push_edge(&mut self, edge: u64) {
        self.edges.push(edge);
        self.bytes += size_of::<u64>();
    }

    #[inline]
    fn begin_run(&mut self, batch_idx: u32, roots: Roots) {
        let run = Run {
            batch_idx,
            n_rows: 1,
            roots,
        };
        self.bytes += run.bytes();
        self.runs.push(run);
    }

    fn batch_of(&mut self, origin: Origin<'_>) -> usize {
        let known = self
            .batches
            .iter()
            .position(|(stream_idx, _)| *stream_idx == origin.stream_idx);
        known.unwrap_or_else(|| {
            let mut batch = Batch::new(origin.schema.clone(), origin.task);
            let (last_stream, n_rows) = self.last;
            if self.batches.is_empty() && last_stream == origin.stream_idx {
                batch.reserve(n_rows);
            }
            self.batches.push((origin.stream_idx, batch));
            self.batches.len() - 1
        })
    }
}

/// Tells whether `roots` are the trees of `anchors`, in the same order.
fn are_roots_of(roots: &Roots, anchors: &[Anchor]) -> bool {
    let known = anchors.iter().map(|anchor| &anchor.root);
    matches!(roots, Roots::Many(roots) if roots.iter().eq(known))
}

/// Lays the values of a row into a batch, moved or, for all readers but the last, cloned.
pub(crate) fn lay_row(batch: &mut Batch, row: &mut Vec<Value>, bytes: usize, last: bool) {
    if last {
        batch.push_measured(row, bytes);
    } else {
        batch.push_cloned(row, bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use squall_core::StreamId;
    use squall_core::engine::{Cursor, RootId};

    use super::*;

    /// A row as it was emitted: its stream, the slots of its roots.
    type Emitted = (usize, Vec<u32>);

    fn anchors(slots: &[u32], first_edge: u64) -> Anchors {
        let anchor = |(slot, edge): (&u32, u64)| Anchor {
            root: RootId {
                task: TaskId(0),
                slot: *slot,
                generation: 1,
            },
            edge,
        };
        let anchors: Vec<_> = slots.iter().zip(first_edge..).map(anchor).collect();
        match *anchors.as_slice() {
            [] => Anchors::None,
            [anchor] => Anchors::One(anchor),
            _ => Anchors::Many(anchors.into_boxed_slice()),
        }
    }

    fn delivery(rows: &[Emitted]) -> Option<Delivery> {
        let schemas: Vec<_> = ["a", "b", "c"]
            .map(|stream| Schema::new("in".into(), StreamId::from(stream), vec!["n".into()]))
            .into();
        let mut draft = Draft::default();
        for (n, (stream_idx, slots)) in rows.iter().enumerate() {
            let origin = Origin {
                task: TaskId(0),
                stream_idx: *stream_idx,
                schema: &schemas[*stream_idx],
            };
            let (mut row, edge) = (vec![Value::I64(n as i64)], 1 + 10 * n as u64);
            draft.push(origin, &anchors(slots, edge), 24, |batch| {
                lay_row(batch, &mut row, 24, n % 2 == 0);
            });
        }
        draft.take(Moment::ZERO)
    }

    proptest! {
        #[test]
        fn rows_are_read_as_they_were_emitted(
            rows in proptest::collection::vec(
                (0usize..3, proptest::collection::vec(0u32..3, 0..3)), 1..60),
        ) {
            let delivery = delivery(&rows).unwrap();
            prop_assert_eq!(delivery.n_rows(), rows.len());
            let mut cursor = Cursor::new(&delivery);
            for (n, (stream_idx, slots)) in rows.iter().enumerate() {
                prop_assert!(!cursor.is_at_end(&delivery));
                let place = cursor.advance(&delivery).unwrap();
                let batch = &delivery.batches[place.batch_idx];
                prop_assert_eq!(batch.row(place.row_idx), &[Value::I64(n as i64)]);
                prop_assert_eq!(batch.schema().stream.as_str(), ["a", "b", "c"][*stream_idx]);
                let read = place.roots.anchors(place.edges);
                prop_assert_eq!(read, anchors(slots, 1 + 10 * n as u64));
            }
            prop_assert!(cursor.is_at_end(&delivery));
            prop_assert!(cursor.advance(&delivery).is_none());
        }

        #[test]
        fn the_roots_from_a_row_on_are_all_those_and_none_of_earlier_rows_alone(
            rows in proptest::collection::vec(
                (0usize..3, proptest::collection::vec(0u32..9, 0..3)), 1..30),
            first in 0usize..30,
        ) {
            let delivery = delivery(&rows).unwrap();
            let mut found = BTreeSet::new();
            delivery.for_each_root(first, |root| { found.insert(root.slot); });
            let rest = rows.iter().skip(first);
            let expected: BTreeSet<u32> = rest.flat_map(|(_, slots)| slots.clone()).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn rows_of_one_tree_make_one_run() {
        let rows = vec![(0, vec![7]); 8];
        assert_eq!(delivery(&rows).unwrap().runs.len(), 1);
        assert!(delivery(&[]).is_none());
    }
}
