//! One task's way to one other: the rows under construction, and what the edge couldn't take.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use squall_core::engine::{Delivery, Item, Mark, Refused, RootId};
use squall_core::{Moment, TaskId};

use crate::draft::Draft;
use crate::edge::Edge;
use crate::task::Neighbour;

/// A delivery is sent when it has this many rows,
const DELIVERY_ROWS: usize = 256;
/// or this many bytes.
const DELIVERY_BYTES: usize = 64 * 1024;
/// With this many deliveries that wait for room, ticks and wakes wait as well.
const BACKLOG_DELIVERIES: usize = 64;

/// The sending side of one edge. The backlog is bounded by what one call of the author's code emits, and for
/// a bolt's ticks and wakes by [`BACKLOG_DELIVERIES`]: the executor parks before the next one.
#[repr(align(128))]
pub(crate) struct Target {
    pub(crate) edge: Arc<Edge>,
    /// The delivery under construction.
    pub(crate) draft: Draft,
    backlog: VecDeque<Item>,
    /// The reader, where it can be called instead.
    neighbour: Option<Neighbour>,
    /// What went to a reader that has ended; its roots are to be failed.
    pub(crate) refused: Vec<Delivery>,
}

impl Target {
    pub(crate) fn new(edge: Arc<Edge>, neighbour: Option<Neighbour>) -> Self {
        Self {
            edge,
            draft: Draft::default(),
            backlog: VecDeque::new(),
            neighbour,
            refused: Vec::new(),
        }
    }

    /// Borrows the reader where that can be called and nothing waits for it.
    pub(crate) fn borrow_neighbour(&mut self, depth: usize, now: Moment) {
        if let Some(neighbour) = &mut self.neighbour
            && self.draft.is_empty()
            && self.backlog.is_empty()
        {
            neighbour.borrow(&self.edge, depth, now);
        }
    }

    /// Returns the reader if it can be called now. One that no longer can is given back: from here on to the end of
    /// the slice it is written to.
    #[inline]
    pub(crate) fn callee(&mut self) -> Option<&mut Neighbour> {
        let neighbour = self.neighbour.as_mut()?;
        if neighbour.is_callable() {
            return Some(neighbour);
        }
        neighbour.give_back();
        None
    }

    /// Gives the reader back. Returns how long it was called for, by estimate.
    pub(crate) fn give_back_neighbour(&mut self) -> Duration {
        self.neighbour
            .as_mut()
            .map_or(Duration::ZERO, Neighbour::give_back)
    }

    /// Tells whether the delivery under construction is large enough to be sent.
    pub(crate) const fn is_full(&self) -> bool {
        self.draft.n_rows() >= DELIVERY_ROWS || self.draft.bytes() >= DELIVERY_BYTES
    }

    /// Puts the delivery under construction behind the backlog.
    pub(crate) fn close(&mut self, sent: Moment) {
        self.backlog.extend(self.draft.take(sent).map(Item::Rows));
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
                Err(Refused::Closed(Item::Rows(delivery))) => self.refused.push(delivery),
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

    /// Tells whether more waits for room than the executor may add to.
    pub(crate) fn is_overfull(&self) -> bool {
        self.backlog.len() >= BACKLOG_DELIVERIES
    }

    /// Takes what waits for room. Marks are dropped.
    pub(crate) fn take_backlog(&mut self) -> Vec<Delivery> {
        let items = self.backlog.drain(..);
        items
            .filter_map(|item| match item {
                Item::Rows(delivery) => Some(delivery),
                Item::Mark(_) => None,
            })
            .collect()
    }

    /// Tells whether rows wait whose roots are to be told so by this side.
    pub(crate) fn is_waiting(&self) -> bool {
        self.is_blocked() || (self.edge.leads_elsewhere() && !self.edge.is_empty())
    }

    /// Tells whether this closes a cycle in which both sides wait for room.
    pub(crate) fn is_jammed(&self) -> bool {
        self.edge.feedback && self.is_blocked() && self.edge.reader_is_parked()
    }

    /// Looks at the trees of each row that waits here, or for a link to take it.
    pub(crate) fn for_each_waiting(&self, mut look: impl FnMut(RootId)) {
        for item in &self.backlog {
            if let Item::Rows(delivery) = item {
                delivery.for_each_root(0, &mut look);
            }
        }
        if self.edge.leads_elsewhere() {
            self.edge
                .walk(|delivery| delivery.for_each_root(0, &mut look));
        }
    }
}
