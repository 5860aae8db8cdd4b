//! Wakes an async task from the runtime's threads, and tells it which of its queues have something.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use tokio::sync::Notify;

/// The queues that were filled since they were last looked at. Holds each at most once.
#[derive(Debug, Default)]
pub(crate) struct ReadyList {
    ready: Mutex<Vec<usize>>,
    notify: Notify,
}

/// Says that one queue was filled.
struct QueueBell {
    list: Arc<ReadyList>,
    queue_idx: usize,
    /// It stands in the list.
    listed: AtomicBool,
}

/// The bells of a list's queues, by their index.
pub(crate) struct Bells(Vec<Arc<QueueBell>>);

impl ReadyList {
    /// Makes a list of this many queues and their bells. None of them is in it.
    pub(crate) fn new(n_queues: usize) -> (Arc<Self>, Bells) {
        let list = Arc::new(Self::default());
        let bell = |queue_idx| {
            Arc::new(QueueBell {
                list: list.clone(),
                queue_idx,
                listed: AtomicBool::new(false),
            })
        };
        let bells = (0..n_queues).map(bell).collect();
        (list, Bells(bells))
    }

    /// Waits until a queue was filled. One that was filled since the last time counts.
    pub(crate) async fn filled(&self) {
        self.notify.notified().await;
    }
}

impl Bells {
    /// Returns the waker of one queue.
    pub(crate) fn waker(&self, queue_idx: usize) -> Waker {
        match self.0.get(queue_idx) {
            Some(bell) => bell.clone().into(),
            None => Waker::noop().clone(),
        }
    }

    /// Takes the queues that were filled off the list. Look into them after this: what comes later lists
    /// them again.
    pub(crate) fn take(&self, into: &mut Vec<usize>) {
        let Some(list) = self.0.first().map(|bell| &bell.list) else {
            return;
        };
        let mut ready = list.ready.lock().unwrap_or_else(PoisonError::into_inner);
        into.append(&mut ready);
        drop(ready);
        for queue_idx in into.iter() {
            if let Some(bell) = self.0.get(*queue_idx) {
                bell.listed.store(false, Ordering::SeqCst);
            }
        }
    }
}

impl Wake for QueueBell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.listed.swap(true, Ordering::SeqCst) {
            return;
        }
        let mut ready = self
            .list
            .ready
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        ready.push(self.queue_idx);
        drop(ready);
        self.list.notify.notify_one();
    }
}

/// Wakes an async task that waits for room.
#[derive(Debug, Default)]
pub(crate) struct Room(Notify);

impl Room {
    /// Waits until there may be room.
    pub(crate) async fn made(&self) {
        self.0.notified().await;
    }
}

impl Wake for Room {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_stands_in_the_list_once_until_it_is_taken() {
        let (_list, bells) = ReadyList::new(3);
        let mut taken = Vec::new();
        for queue_idx in [2, 0, 2, 2] {
            bells.waker(queue_idx).wake();
        }
        bells.take(&mut taken);
        assert_eq!(taken, [2, 0]);
        taken.clear();
        bells.take(&mut taken);
        assert!(taken.is_empty());
        bells.waker(2).wake();
        bells.take(&mut taken);
        assert_eq!(taken, [2]);
    }

    #[tokio::test]
    async fn a_wake_before_the_wait_is_not_missed() {
        let (list, bells) = ReadyList::new(1);
        bells.waker(0).wake();
        list.filled().await;
    }
}
