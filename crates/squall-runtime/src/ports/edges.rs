//! Both ends of an edge between two workers.

use std::sync::Arc;
use std::task::Waker;

use squall_core::engine::{Inlet, Item, Outlet, Refused};

use crate::bell::Bell;
use crate::edge::Edge;

/// The near end: the edge's reader is a link.
pub(crate) struct EdgeOutlet {
    edge: Arc<Edge>,
    bell: Arc<Bell>,
}

impl EdgeOutlet {
    /// `bell` is the one that `edge` rings.
    pub(crate) const fn new(edge: Arc<Edge>, bell: Arc<Bell>) -> Self {
        Self { edge, bell }
    }
}

impl Outlet for EdgeOutlet {
    fn take(&self) -> Option<Item> {
        // Before looking, so that what arrives in between rings again.
        self.bell.hush();
        self.edge.pop()
    }

    fn set_waker(&self, waker: Waker) {
        self.bell.set_waker(waker);
    }
}

/// The far end: links are among the edge's senders, one for each worker that has tasks of the emitter.
pub(crate) struct EdgeInlet {
    edge: Arc<Edge>,
}

impl EdgeInlet {
    pub(crate) const fn new(edge: Arc<Edge>) -> Self {
        Self { edge }
    }
}

impl Inlet for EdgeInlet {
    fn try_deliver(&self, item: Item) -> Result<(), Refused> {
        self.edge.try_send(item)
    }

    fn await_room(&self, waker: &Waker) {
        self.edge.await_room_of_link(waker);
    }
}
