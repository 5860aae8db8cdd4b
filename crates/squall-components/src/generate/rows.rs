//! The numbers of a task's rows, and which of those that were emitted are not done.

use std::collections::BTreeSet;

use crate::mutation;

/// A task's share of the rows: every n-th, from its own number on. Memory: O(pending) where they are followed,
/// nothing otherwise.
#[derive(Debug)]
pub(super) struct Rows {
    next_idx: u64,
    n_tasks: u64,
    /// Those that were taken and are not done; `None` where nobody asks.
    pending: Option<BTreeSet<u64>>,
}

impl Rows {
    /// Begins at the first row of the task `task_idx`; `followed` where [`Rows::done_below`] is asked for.
    pub(super) fn new(task_idx: u64, n_tasks: u64, followed: bool) -> Self {
        Self {
            next_idx: task_idx,
            n_tasks: n_tasks.max(1),
            pending: followed.then(BTreeSet::new),
        }
    }

    /// Returns the number of the row that comes next.
    pub(super) const fn next_idx(&self) -> u64 {
        self.next_idx
    }

    /// Takes the next row, which is pending from here on.
    pub(super) fn take(&mut self) -> u64 {
        let idx = self.next_idx;
        self.next_idx = idx.saturating_add(self.n_tasks);
        if let Some(pending) = &mut self.pending {
            pending.insert(idx);
        }
        idx
    }

    /// Books that a row is done: acked, or given up.
    pub(super) fn done(&mut self, idx: u64) {
        if let Some(pending) = &mut self.pending {
            pending.remove(&idx);
        }
    }

    /// Returns the number below which every row of the task is done. It never becomes smaller.
    pub(super) fn done_below(&self) -> u64 {
        if mutation::saves_highest() {
            return self.behind_highest_done();
        }
        let first = self.pending.as_ref().and_then(BTreeSet::first);
        first.copied().unwrap_or(self.next_idx)
    }

    /// Returns what is saved by a deliberate defect: the number behind the highest row that is done.
    fn behind_highest_done(&self) -> u64 {
        let mut below = self.next_idx;
        while let Some(pending) = &self.pending
            && let Some(before) = below.checked_sub(self.n_tasks)
            && pending.contains(&before)
        {
            below = before;
        }
        below
    }

    /// Goes on at a row of this task; false, and nothing changes, where it is another task's.
    pub(super) const fn go_to(&mut self, idx: u64) -> bool {
        let ours = idx % self.n_tasks == self.next_idx % self.n_tasks;
        if ours {
            self.next_idx = idx;
        }
        ours
    }

    /// Returns how many rows were taken from `below` on.
    pub(super) const fn n_taken_from(&self, below: u64) -> u64 {
        self.next_idx.saturating_sub(below) / self.n_tasks
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against the definition, over a plain list.
        #[test]
        fn all_rows_below_are_done_and_the_number_never_falls(
            steps in proptest::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..200)
        ) {
            let mut rows = Rows::new(1, 3, true);
            let mut plain: Vec<(u64, bool)> = Vec::new();
            let mut highest = 0;
            for (take, which) in steps {
                if take || plain.is_empty() {
                    plain.push((rows.take(), false));
                } else {
                    let which = which.index(plain.len());
                    rows.done(plain[which].0);
                    plain[which].1 = true;
                }
                let pending = plain.iter().find(|(_, done)| !done);
                let expected = pending.map_or(rows.next_idx(), |(idx, _)| *idx);
                prop_assert_eq!(rows.done_below(), expected);
                prop_assert!(expected % 3 == 1 && highest <= expected);
                highest = expected;
                prop_assert_eq!(rows.n_taken_from(1), plain.len() as u64);
            }
        }
    }

    #[test]
    fn goes_on_at_rows_of_its_own_only() {
        let mut rows = Rows::new(2, 4, true);
        assert!(!rows.go_to(7));
        assert_eq!(rows.take(), 2);
        assert!(rows.go_to(42));
        assert_eq!((rows.take(), rows.take()), (42, 46));
    }
}
