//! Which tasks have ended, for links that are made anew: each copy of a reader's worker has to hear of it, whichever
//! link took the mark off its edge.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use foldhash::fast::RandomState;
use squall_core::TaskId;
use squall_core::engine::{EdgeId, Item, Mark};

/// The tasks whose end was taken off an outlet, by edge. Bounded by the edges and their senders.
#[derive(Debug, Default)]
pub(crate) struct Ends(Mutex<HashMap<EdgeId, BTreeSet<TaskId>, RandomState>>);

impl Ends {
    /// Takes note of an item that was taken off an edge's outlet, if it is a mark.
    pub(crate) fn note(&self, edge: EdgeId, item: &Item) {
        if let Item::Mark(Mark::End(task)) = item {
            let mut ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            ends.entry(edge).or_default().insert(*task);
        }
    }

    /// Returns the tasks that have ended on an edge.
    pub(crate) fn of(&self, edge: EdgeId) -> BTreeSet<TaskId> {
        let ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ends.get(&edge).cloned().unwrap_or_default()
    }
}
