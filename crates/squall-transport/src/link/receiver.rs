//! The receiving end of a link's tuples.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use squall_core::engine::{EdgeId, Item};
use squall_core::{Fence, Moment};

use super::edge_in::{Arriving, EdgeIn};
use super::error::LinkError;
use crate::wire::{SchemaTable, Sections, max_body_bytes};

/// Takes frames off one stream after the other, and offers what is in them to inlets.
///
/// Memory: for each edge at most its window, or one tuple that is larger.
#[derive(Debug)]
pub struct DataReceiver {
    edges: Vec<EdgeIn>,
    index: HashMap<EdgeId, usize, RandomState>,
    schemas: Arc<SchemaTable>,
    window: usize,
    max_body_bytes: usize,
    /// Who sends, and on which of its streams.
    from: Option<Fence>,
    stream: u64,
    open: bool,
    next_frame: u64,
    /// Edges whose readers had no room, or that were not offered anything yet.
    waiting: Vec<usize>,
    /// Edges whose sender is to be told what was queued.
    untold: Vec<usize>,
}

impl DataReceiver {
    /// Makes the receiver of these edges, known by their index from here on, with `window` bytes for each.
    #[must_use]
    pub fn new(
        edges: &[EdgeId],
        schemas: Arc<SchemaTable>,
        window: usize,
        max_tuple_bytes: usize,
    ) -> Self {
        Self {
            edges: edges.iter().copied().map(EdgeIn::new).collect(),
            index: edges.iter().copied().zip(0..).collect(),
            schemas,
            window,
            max_body_bytes: max_body_bytes(max_tuple_bytes),
            from: None,
            stream: 0,
            open: false,
            next_frame: 1,
            waiting: Vec::new(),
            untold: Vec::new(),
        }
    }

    /// Begins a stream of the incarnation `from`, in place of any other. The caller has made sure that it
    /// isn't a stale one. Returns the number by which the stream is known.
    pub fn open(&mut self, from: Fence) -> u64 {
        if self.from.replace(from) == Some(from) {
            self.edges.iter_mut().for_each(EdgeIn::close);
        } else {
            self.edges.iter_mut().for_each(EdgeIn::forget);
        }
        self.waiting.clear();
        self.untold.clear();
        self.stream += 1;
        self.open = true;
        self.next_frame = 1;
        self.stream
    }

    /// Returns the window that each edge has, in bytes.
    #[must_use]
    pub const fn window(&self) -> usize {
        self.window
    }

    /// Tells whether a stream is the open one.
    #[must_use]
    pub const fn is_open(&self, stream: u64) -> bool {
        self.open && self.stream == stream
    }

    /// Takes a frame; what is in it waits for [`DataReceiver::deliver`].
    ///
    /// # Errors
    /// [`LinkError`]; nothing of what follows on the stream is to be taken, so close it.
    pub fn take_frame(
        &mut self,
        stream: u64,
        number: u64,
        payload: &[u8],
        now: Moment,
    ) -> Result<(), LinkError> {
        if !self.is_open(stream) {
            return Err(LinkError::StaleStream { number });
        }
        if number != self.next_frame {
            return Err(LinkError::WrongNumber {
                expected: self.next_frame,
                found: number,
            });
        }
        self.next_frame += 1;
        let arriving = Arriving {
            schemas: &self.schemas,
            window: self.window,
            max_body_bytes: self.max_body_bytes,
            now,
            number,
        };
        let malformed = |source| LinkError::Malformed { number, source };
        for section in Sections::new(payload).map_err(malformed)? {
            let section = section.map_err(malformed)?;
            let edge = section.edge;
            let Some(edge_idx) = self.index.get(&edge).copied() else {
                return Err(LinkError::UnknownEdge { edge });
            };
            let Some(edge) = self.edges.get_mut(edge_idx) else {
                continue;
            };
            edge.take(section.body, &arriving)?;
            if !self.waiting.contains(&edge_idx) {
                self.waiting.push(edge_idx);
            }
        }
        Ok(())
    }

    /// Offers what waits to its readers. `offer` gives an item back when there is no room for it; the edge
    /// then waits for the next call. Returns whether nothing waits any more.
    pub fn deliver(&mut self, mut offer: impl FnMut(usize, Item) -> Result<(), Item>) -> bool {
        let (edges, untold) = (&mut self.edges, &mut self.untold);
        self.waiting.retain(|edge_idx| {
            let Some(edge) = edges.get_mut(*edge_idx) else {
                return false;
            };
            let told = !edge.untold;
            let clear = edge.deliver(&mut |item| offer(*edge_idx, item));
            if told && edge.untold {
                untold.push(*edge_idx);
            }
            !clear
        });
        self.waiting.is_empty()
    }

    /// Tells whether something was queued that [`DataReceiver::take_news`] has not said.
    #[must_use]
    pub const fn has_news(&self) -> bool {
        !self.untold.is_empty()
    }

    /// Appends, for up to `at_most` edges of which there is news, how many sections of this stream are
    /// queued at the reader.
    pub fn take_news(&mut self, at_most: usize, into: &mut Vec<(EdgeId, u64)>) {
        let at_most = at_most.min(self.untold.len());
        for edge_idx in self.untold.drain(..at_most) {
            if let Some(edge) = self.edges.get_mut(edge_idx) {
                edge.untold = false;
                into.push((edge.id, edge.n_queued));
            }
        }
    }

    /// Ends a stream, unless another one has replaced it. What isn't queued is let go.
    pub fn close(&mut self, stream: u64) {
        if self.is_open(stream) {
            self.open = false;
            self.edges.iter_mut().for_each(EdgeIn::close);
            self.waiting.clear();
            self.untold.clear();
        }
    }

    /// Returns the cost of what waits for room, in bytes.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.edges.iter().map(EdgeIn::outstanding).sum()
    }
}
