//! The bounded queue between a component and one task that reads it.
//!
//! One edge carries all streams between the two, so that order holds across streams. It is bounded in
//! batches and bytes; a full edge refuses, and the sender parks. An empty one takes a batch of any size.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use squall_core::engine::{Anchors, Cursor, Delivery, Item, Refused};
use squall_core::{Moment, Schema, StreamId, TaskId, Tuple, Value};

use crate::bell::Bell;
use crate::draft::{Draft, Origin};

/// The queue itself; both sides share it.
#[repr(align(128))]
pub(crate) struct Edge {
    sender: Sender<Item>,
    receiver: Receiver<Item>,
    /// Taken out of the channel and not yet by the reader: filled when the queue is walked.
    walked: Mutex<VecDeque<Item>>,
    bytes: AtomicUsize,
    batches: AtomicUsize,
    /// Counts what the reader has taken.
    n_taken: AtomicU64,
    capacity_batches: usize,
    capacity_bytes: usize,
    closed: AtomicBool,
    /// Closes a cycle: gives way when the cycle jams.
    pub(crate) feedback: bool,
    reader: Arc<Bell>,
    /// Set while senders wait for room.
    awaited: AtomicBool,
    waiting: Mutex<Vec<Waiter>>,
}

/// A sender that waits for room.
enum Waiter {
    /// A task of this worker.
    Task(Arc<Bell>),
    /// A link: one edge may have several, each from another worker.
    Link(Waker),
}

impl Edge {
    pub(crate) fn new(
        capacity_batches: usize,
        capacity_bytes: usize,
        feedback: bool,
        reader: Arc<Bell>,
    ) -> Self {
        let (sender, receiver) = bounded(capacity_batches);
        Self {
            sender,
            receiver,
            walked: Mutex::default(),
            bytes: AtomicUsize::new(0),
            batches: AtomicUsize::new(0),
            n_taken: AtomicU64::new(0),
            capacity_batches,
            capacity_bytes,
            closed: AtomicBool::new(false),
            feedback,
            reader,
            awaited: AtomicBool::new(false),
            waiting: Mutex::default(),
        }
    }

    /// Sends an item, or gives it back. Never blocks.
    pub(crate) fn try_send(&self, item: Item) -> Result<(), Refused> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(Refused::Closed(item));
        }
        let bytes = item.bytes();
        // What was walked has left the channel and counts all the same.
        let full = self.batches.load(Ordering::SeqCst) >= self.capacity_batches;
        if full || !self.reserve(bytes) {
            return Err(Refused::Full(item));
        }
        // Counted before it can be popped, so that the count never falls below what is there.
        self.batches.fetch_add(1, Ordering::SeqCst);
        match self.sender.try_send(item) {
            Ok(()) => {
                self.reader.ring();
                self.reclaim_if_closed()
            }
            Err(TrySendError::Full(item) | TrySendError::Disconnected(item)) => {
                self.batches.fetch_sub(1, Ordering::SeqCst);
                self.bytes.fetch_sub(bytes, Ordering::SeqCst);
                Err(Refused::Full(item))
            }
        }
    }

    /// Takes an item back that was sent while the reader closed the edge and may not have been seen.
    /// It may be another sender's, who then takes this one.
    fn reclaim_if_closed(&self) -> Result<(), Refused> {
        if !self.closed.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.pop().map_or(Ok(()), |item| Err(Refused::Closed(item)))
    }

    /// Asks to be woken when there is room. Try again after this and before parking: the room may have
    /// come in between.
    pub(crate) fn await_room(&self, sender: &Arc<Bell>) {
        self.await_room_for(
            |known| matches!(known, Waiter::Task(known) if Arc::ptr_eq(known, sender)),
            || Waiter::Task(sender.clone()),
        );
    }

    /// Asks to wake a link when there is room, see [`Edge::await_room`].
    pub(crate) fn await_room_of_link(&self, link: &Waker) {
        self.await_room_for(
            |known| matches!(known, Waiter::Link(known) if known.will_wake(link)),
            || Waiter::Link(link.clone()),
        );
    }

    /// Adds who waits for room, unless it waits already.
    fn await_room_for(&self, is_same: impl Fn(&Waiter) -> bool, new: impl FnOnce() -> Waiter) {
        let mut waiting = lock(&self.waiting);
        if !waiting.iter().any(is_same) {
            waiting.push(new());
        }
        self.awaited.store(true, Ordering::SeqCst);
    }

    /// Takes the next item, and makes room for as much.
    pub(crate) fn pop(&self) -> Option<Item> {
        let item = {
            let mut walked = lock(&self.walked);
            walked.pop_front().or_else(|| self.receiver.try_recv().ok())
        }?;
        self.took(item.bytes());
        Some(item)
    }

    /// Looks at each waiting delivery, without taking it. Moves what the channel holds to a list of the
    /// reader's; the bytes stay counted, so the bound on bytes holds.
    pub(crate) fn walk(&self, mut look: impl FnMut(&Delivery)) {
        let mut walked = lock(&self.walked);
        while let Ok(item) = self.receiver.try_recv() {
            walked.push_back(item);
        }
        for item in walked.iter() {
            if let Item::Rows(delivery) = item {
                look(delivery);
            }
        }
    }

    /// Takes the oldest delivery away from the reader, to let a jammed cycle go on. Marks stay.
    pub(crate) fn drop_oldest(&self) -> Option<Delivery> {
        let dropped = {
            let mut walked = lock(&self.walked);
            while let Ok(item) = self.receiver.try_recv() {
                walked.push_back(item);
            }
            let oldest = walked
                .iter()
                .position(|item| matches!(item, Item::Rows(_)))?;
            walked.remove(oldest)
        };
        let Some(Item::Rows(delivery)) = dropped else {
            return None;
        };
        self.took(delivery.bytes);
        Some(delivery)
    }

    /// Tells whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.batches.load(Ordering::SeqCst) == 0
    }

    /// Refuses everything from now on.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.wake_waiting();
    }

    /// Returns the batches and bytes that wait.
    pub(crate) fn load(&self) -> (usize, usize) {
        (
            self.batches.load(Ordering::Relaxed),
            self.bytes.load(Ordering::Relaxed),
        )
    }

    fn reserve(&self, bytes: usize) -> bool {
        let admit = |used: usize| {
            (used == 0 || used + bytes <= self.capacity_bytes).then_some(used + bytes)
        };
        bytes == 0
            || self
                .bytes
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, admit)
                .is_ok()
    }

    /// Tells whether the reader itself waits for room, and so takes nothing.
    pub(crate) fn reader_is_parked(&self) -> bool {
        self.reader.is_parked()
    }

    /// Tells whether the reader is in another worker: nobody here says that what is queued waits.
    pub(crate) fn leads_elsewhere(&self) -> bool {
        self.reader.is_outside()
    }

    /// Returns how many items have been taken so far.
    pub(crate) fn n_taken(&self) -> u64 {
        self.n_taken.load(Ordering::Relaxed)
    }

    fn took(&self, bytes: usize) {
        self.n_taken.fetch_add(1, Ordering::Relaxed);
        self.batches.fetch_sub(1, Ordering::SeqCst);
        self.bytes.fetch_sub(bytes, Ordering::SeqCst);
        self.wake_waiting();
    }

    fn wake_waiting(&self) {
        if self.awaited.load(Ordering::SeqCst) && self.awaited.swap(false, Ordering::SeqCst) {
            // Woken without the lock: a link may come back at once.
            let waiting = std::mem::take(&mut *lock(&self.waiting));
            waiting.into_iter().for_each(Waiter::wake);
        }
    }
}

impl Waiter {
    fn wake(self) {
        match self {
            Self::Task(bell) => bell.ring(),
            Self::Link(waker) => waker.wake(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One edge and a delivery to send over it, for the benches.
#[doc(hidden)]
pub struct EdgeBench {
    edge: Edge,
    item: Option<Item>,
}

impl EdgeBench {
    /// Makes an edge and a delivery of `n_rows` rows of one number each.
    #[must_use]
    pub fn new(n_rows: u64) -> Self {
        let schema = Schema::new("in".into(), StreamId::default(), vec!["n".into()]);
        let origin = Origin {
            task: TaskId(0),
            stream_idx: 0,
            schema: &schema,
        };
        let mut draft = Draft::default();
        for n in 0..n_rows {
            let mut row = vec![Value::from(i64::try_from(n).unwrap_or(i64::MAX))];
            draft.push(origin, &Anchors::None, 24, |batch| batch.push(&mut row));
        }
        Self {
            edge: Edge::new(16, 1 << 20, false, Arc::default()),
            item: draft.take(Moment::ZERO).map(Item::Rows),
        }
    }

    /// Sends the delivery, takes it at the other end and reads each of its tuples; returns how many.
    #[must_use]
    pub fn run(self) -> usize {
        if let Some(item) = self.item {
            drop(self.edge.try_send(item));
        }
        let Some(Item::Rows(delivery)) = self.edge.pop() else {
            return 0;
        };
        let Some(batch) = delivery.batches.first() else {
            return 0;
        };
        let (mut tuple, mut cursor) = (Tuple::new(batch.clone(), 0), Cursor::new(&delivery));
        let mut n_read = 0;
        while let Some(place) = cursor.advance(&delivery) {
            tuple.seek(place.row_idx);
            n_read += std::hint::black_box(tuple.values()).len();
        }
        n_read
    }
}
