//! The sending end of a link's tuples.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;

use squall_core::engine::{EdgeId, Item, RootId};
use squall_core::{Fence, Moment, TaskId};

use super::edge_out::{EdgeOut, Filled, Filling, Undeliverable};
use super::error::LinkError;
use crate::wire::{SchemaTable, TARGET_PAYLOAD_BYTES, begin_payload};

/// How full a payload is when it isn't offered to further edges.
const FULL_ENOUGH: usize = TARGET_PAYLOAD_BYTES - 1024;

/// Sends what outlets hold, on one stream after the other.
///
/// Memory: for each edge one item that was begun and one encoded tuple that goes in pieces, and 16 bytes
/// for each tree of what isn't confirmed, whose cost the window bounds.
#[derive(Debug)]
pub struct DataSender {
    edges: Vec<EdgeOut>,
    index: HashMap<EdgeId, usize, RandomState>,
    schemas: Arc<SchemaTable>,
    max_tuple_bytes: usize,
    /// What the receiver of the open stream lets each edge have; `None` while there is no stream.
    window: Option<usize>,
    next_frame: u64,
    /// To whom the last stream went.
    peer: Option<Fence>,
    /// Edges that may have something to send, in turn.
    ready: VecDeque<usize>,
}

/// What a sender keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderLoad {
    /// The cost of what isn't confirmed, in bytes.
    pub unconfirmed_bytes: usize,
    /// The trees that are kept for it.
    pub n_roots: usize,
    /// Edges with something that was taken and isn't confirmed.
    pub n_busy_edges: usize,
}

impl DataSender {
    /// Makes the sender of these edges, which are known by their index from here on.
    #[must_use]
    pub fn new(edges: &[EdgeId], schemas: Arc<SchemaTable>, max_tuple_bytes: usize) -> Self {
        Self {
            edges: edges.iter().copied().map(EdgeOut::new).collect(),
            index: edges.iter().copied().zip(0..).collect(),
            schemas,
            max_tuple_bytes,
            window: None,
            next_frame: 1,
            peer: None,
            ready: VecDeque::new(),
        }
    }

    /// Has the ends of these tasks said on an edge: a former link has taken the marks off its outlet. To be called
    /// before the first stream.
    pub fn repeat_ends(&mut self, edge_idx: usize, ended: impl IntoIterator<Item = TaskId>) {
        if let Some(edge) = self.edges.get_mut(edge_idx) {
            edge.note_ended(ended);
        }
    }

    /// Begins a stream to the incarnation `peer`, which gives each edge `window` bytes. A stream that was
    /// open must have been closed.
    pub fn open(&mut self, peer: Fence, window: usize) {
        debug_assert!(self.window.is_none(), "close comes before open");
        let anew = self.peer.replace(peer) != Some(peer);
        self.window = Some(window);
        self.next_frame = 1;
        for edge_idx in 0..self.edges.len() {
            if anew && let Some(edge) = self.edges.get_mut(edge_idx) {
                edge.repeat_marks();
            }
            self.wake(edge_idx);
        }
    }

    /// Tells whether a stream is open.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.window.is_some()
    }

    /// Takes note that an edge's outlet has something.
    pub fn wake(&mut self, edge_idx: usize) {
        if let Some(edge) = self.edges.get_mut(edge_idx)
            && !std::mem::replace(&mut edge.ready, true)
        {
            self.ready.push_back(edge_idx);
        }
    }

    /// Lays out the next frame's payload, and returns the frame's number; `None` if there is nothing to be
    /// sent now. `take` takes an item from an edge's outlet; what it returns is sent, given up, or kept.
    pub fn next_frame(
        &mut self,
        now: Moment,
        payload: &mut Vec<u8>,
        mut take: impl FnMut(usize) -> Option<Item>,
        undeliverable: &mut Vec<Undeliverable>,
    ) -> Option<u64> {
        let window = self.window?;
        begin_payload(payload);
        for _ in 0..self.ready.len() {
            if payload.len() > FULL_ENOUGH {
                break;
            }
            let Some(edge_idx) = self.ready.pop_front() else {
                break;
            };
            let Some(edge) = self.edges.get_mut(edge_idx) else {
                continue;
            };
            let mut filling = Filling {
                schemas: &self.schemas,
                max_tuple_bytes: self.max_tuple_bytes,
                window,
                now,
                payload: &mut *payload,
                undeliverable: &mut *undeliverable,
            };
            match edge.fill(&mut filling, &mut || take(edge_idx)) {
                Filled::Full => self.ready.push_back(edge_idx),
                // Woken by the outlet, or by a confirmation.
                Filled::Drained | Filled::Blocked => edge.ready = false,
            }
        }
        if payload.len() <= 1 {
            return None;
        }
        let number = self.next_frame;
        self.next_frame += 1;
        Some(number)
    }

    /// Takes note that the first `n_sections` of an edge on this stream are queued at its reader.
    ///
    /// # Errors
    /// [`LinkError`] when the edge is unknown or so many sections were not sent: close the stream.
    pub fn confirm(&mut self, edge: EdgeId, n_sections: u64) -> Result<(), LinkError> {
        let Some(edge_idx) = self.index.get(&edge).copied() else {
            return Err(LinkError::UnknownEdge { edge });
        };
        let Some(edge) = self.edges.get_mut(edge_idx) else {
            return Ok(());
        };
        if edge.confirm(n_sections).is_none() {
            return Err(LinkError::WrongConfirmation {
                confirmed: n_sections,
                sent: edge.n_sent(),
            });
        }
        self.wake(edge_idx);
        Ok(())
    }

    /// Ends the stream, if there is one. Appends the roots of all that isn't confirmed: they are lost.
    pub fn close(&mut self, lost: &mut Vec<RootId>) {
        if self.window.take().is_some() {
            self.edges.iter_mut().for_each(|edge| edge.close(lost));
        }
    }

    /// Gives up all that was taken, sent or not: the edges lead elsewhere from now on.
    pub fn abandon(&mut self, lost: &mut Vec<RootId>) {
        self.window = None;
        self.edges.iter_mut().for_each(|edge| edge.abandon(lost));
    }

    /// Appends the roots of what waits here: of what was sent more than `age` ago and isn't confirmed, and
    /// of what was taken and couldn't be sent.
    pub fn waiting(&self, now: Moment, age: Duration, into: &mut Vec<RootId>) {
        self.edges
            .iter()
            .for_each(|edge| edge.waiting(now, age, into));
    }

    /// Returns what is kept.
    #[must_use]
    pub fn load(&self) -> SenderLoad {
        self.edges
            .iter()
            .fold(SenderLoad::default(), |load, edge| SenderLoad {
                unconfirmed_bytes: load.unconfirmed_bytes + edge.outstanding(),
                n_roots: load.n_roots + edge.n_roots(),
                n_busy_edges: load.n_busy_edges + usize::from(!edge.is_idle()),
            })
    }
}
