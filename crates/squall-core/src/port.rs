//! What a runtime that runs a part of a topology and the links to the other parts offer each other.
//!
//! The runtime implements these traits, the links call them, on threads of their own and many at a time.
//! Nothing here blocks: what can't be done now says so, and wakes when it is worth another try.

use std::fmt;
use std::task::Waker;

use crate::anchor::RootId;
use crate::checkpoint::Fence;
use crate::error::Failure;
use crate::ids::TaskId;
use crate::transit::{Contribution, Item, Refused};

/// A component's place in the layout of its topology, the same in every worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComponentIdx(pub u32);

/// A worker's number in its topology, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerIdx(pub u32);

impl fmt::Display for WorkerIdx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The way from a component to one task that reads it. It carries all streams between the two, so that
/// order holds across streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EdgeId {
    /// The emitting component.
    pub emitter: ComponentIdx,
    /// The reading task.
    pub reader: TaskId,
}

/// The near end of an edge whose reader is in another worker: a bounded queue that a link empties.
pub trait Outlet: Send + Sync {
    /// Takes the oldest item; what a link has taken it keeps until it could send it.
    fn take(&self) -> Option<Item>;

    /// Names who is woken by each item that arrives from now on. The waker may be called on any thread,
    /// with locks held, and costs about as much as an atomic read when it was called just before.
    fn set_waker(&self, waker: Waker);
}

/// The far end of such an edge, in the reader's worker.
pub trait Inlet: Send + Sync {
    /// Queues an item at its reader, or gives it back.
    ///
    /// # Errors
    /// [`Refused`], with the item in it.
    fn try_deliver(&self, item: Item) -> Result<(), Refused>;

    /// Asks to be woken, once, when there is room. Try again after this: the room may have come in
    /// between. A second call with a waker that wakes the same replaces the first.
    fn await_room(&self, waker: &Waker);
}

/// What tasks of this worker have to say about the roots of one task of another worker.
pub trait AckOutlet: Send + Sync {
    /// Moves all that waits behind what `into` holds, in any order. The link never leaves it waiting, for
    /// it merges by root what it can't send.
    fn take(&self, into: &mut Vec<Contribution>);

    /// Names who is woken by what arrives from now on; see [`Outlet::set_waker`].
    fn set_waker(&self, waker: Waker);
}

/// Where contributions to the roots of one task of this worker arrive.
pub trait AckInlet: Send + Sync {
    /// Takes all of them and leaves the list empty. Can't refuse: once it has returned, they count as
    /// confirmed.
    fn contribute(&self, contributions: &mut Vec<Contribution>);
}

/// What links report.
pub trait LinkEvents: Send + Sync {
    /// Tuples of these trees are lost: the trees are to fail. Owners may be tasks of any worker. A root
    /// may be named several times.
    fn roots_lost(&self, roots: &[RootId], why: &Failure);

    /// Tuples of these trees wait for another worker to take them: their time-out is to start anew. Said
    /// again and again, at the interval that the links were given.
    fn roots_wait(&self, roots: &[RootId]);

    /// An incarnation of another worker is no more. What links knew to be outstanding towards it has been
    /// reported as lost; what had arrived there is lost as well, which only the owners of roots can know:
    /// they fail all that may have reached it.
    fn peer_ended(&self, peer: WorkerIdx, fence: Fence);

    /// The same of an incarnation that was given up elsewhere, as by an assignment that moves it: it may run for a
    /// moment yet, and workers that have not heard of this may take its word for what they send it.
    fn peer_moved(&self, peer: WorkerIdx, fence: Fence) {
        self.peer_ended(peer, fence);
    }

    /// Another worker knows a newer copy of this one: this one is to end.
    fn superseded(&self, by: Fence);
}
