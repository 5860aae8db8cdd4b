//! A runtime's ends of edges and lanes, as plain queues.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;

use squall_core::engine::{
    AckInlet, AckOutlet, Contribution, Inlet, Item, LinkEvents, Outlet, Refused, RootId, Word,
    WorkerIdx,
};
use squall_core::{Failure, Fence, TaskId};

/// A queue that wakes somebody when something is put into it.
pub(crate) struct Queue<T> {
    items: Mutex<VecDeque<T>>,
    waker: Mutex<Option<Waker>>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            items: Mutex::default(),
            waker: Mutex::default(),
        }
    }
}

impl<T> Queue<T> {
    pub(crate) fn push(&self, item: T) {
        self.items.lock().unwrap().push_back(item);
        if let Some(waker) = &*self.waker.lock().unwrap() {
            waker.wake_by_ref();
        }
    }

    pub(crate) fn pop(&self) -> Option<T> {
        self.items.lock().unwrap().pop_front()
    }

    pub(crate) fn len(&self) -> usize {
        self.items.lock().unwrap().len()
    }
}

impl Outlet for Queue<Item> {
    fn take(&self) -> Option<Item> {
        self.pop()
    }

    fn set_waker(&self, waker: Waker) {
        *self.waker.lock().unwrap() = Some(waker);
    }
}

impl AckOutlet for Queue<Contribution> {
    fn take(&self, into: &mut Vec<Contribution>) {
        into.extend(self.items.lock().unwrap().drain(..));
    }

    fn set_waker(&self, waker: Waker) {
        *self.waker.lock().unwrap() = Some(waker);
    }
}

impl AckInlet for Queue<Contribution> {
    fn contribute(&self, contributions: &mut Vec<Contribution>) {
        contributions.drain(..).for_each(|word| self.push(word));
    }
}

/// An inlet with room for so many items.
pub(crate) struct FakeInlet {
    pub(crate) queue: Queue<Item>,
    pub(crate) capacity: AtomicUsize,
    pub(crate) closed: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl FakeInlet {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            queue: Queue::default(),
            capacity: AtomicUsize::new(capacity),
            closed: AtomicBool::new(false),
            waiting: Mutex::default(),
        }
    }

    pub(crate) fn take(&self) -> Option<Item> {
        let item = self.queue.pop();
        self.wake();
        item
    }

    pub(crate) fn set_capacity(&self, capacity: usize) {
        self.capacity.store(capacity, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        self.waiting.lock().unwrap().drain(..).for_each(Waker::wake);
    }
}

impl Inlet for FakeInlet {
    fn try_deliver(&self, item: Item) -> Result<(), Refused> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(Refused::Closed(item));
        }
        if self.queue.len() >= self.capacity.load(Ordering::SeqCst) {
            return Err(Refused::Full(item));
        }
        self.queue.push(item);
        Ok(())
    }

    fn await_room(&self, waker: &Waker) {
        let mut waiting = self.waiting.lock().unwrap();
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }
}

/// What links have reported. Fails go on to the owners, as a runtime sends them.
#[derive(Default)]
pub(crate) struct FakeEvents {
    /// By task elsewhere.
    pub(crate) ack_outlets: HashMap<TaskId, Arc<Queue<Contribution>>>,
    /// By task here.
    pub(crate) ack_inlets: HashMap<TaskId, Arc<Queue<Contribution>>>,
    pub(crate) n_lost: AtomicUsize,
    pub(crate) n_waits: AtomicUsize,
    pub(crate) lost: Mutex<Vec<(RootId, Failure)>>,
    /// Incarnations that have ended,
    pub(crate) ended: Mutex<Vec<(WorkerIdx, Fence)>>,
    /// and those of them that were moved.
    pub(crate) moved: Mutex<Vec<(WorkerIdx, Fence)>>,
    pub(crate) superseded: Mutex<Vec<Fence>>,
}

impl LinkEvents for FakeEvents {
    fn roots_lost(&self, roots: &[RootId], why: &Failure) {
        self.n_lost.fetch_add(roots.len(), Ordering::SeqCst);
        for root in roots {
            self.lost.lock().unwrap().push((*root, why.clone()));
            let inlet = self.ack_inlets.get(&root.task);
            if let Some(inbox) = inlet.or(self.ack_outlets.get(&root.task)) {
                inbox.push(Contribution {
                    slot: root.slot,
                    generation: root.generation,
                    word: Word::Fail(Box::new(why.clone())),
                });
            }
        }
    }

    fn roots_wait(&self, roots: &[RootId]) {
        self.n_waits.fetch_add(roots.len(), Ordering::SeqCst);
    }

    fn peer_ended(&self, peer: WorkerIdx, fence: Fence) {
        self.ended.lock().unwrap().push((peer, fence));
    }

    fn peer_moved(&self, peer: WorkerIdx, fence: Fence) {
        self.moved.lock().unwrap().push((peer, fence));
        self.peer_ended(peer, fence);
    }

    fn superseded(&self, by: Fence) {
        self.superseded.lock().unwrap().push(by);
    }
}
