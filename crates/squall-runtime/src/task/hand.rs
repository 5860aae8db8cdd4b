//! The delivery that a task is at, visible from outside: while author code is stuck in one tuple, those
//! behind it in the same delivery still wait, and somebody has to say so.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use squall_core::engine::{Delivery, RootId};

/// What a task has taken out of its edges and not executed yet.
// Lines of its own: what one thread writes for each tuple must not lie beside what another one does.
#[repr(align(128))]
#[derive(Default)]
pub(crate) struct Hand {
    delivery: Mutex<Option<Arc<Delivery>>>,
    next_row: AtomicUsize,
}

impl Hand {
    /// Takes a delivery in hand, or puts it down. Takes a lock: once per delivery.
    pub(super) fn set(&self, delivery: Option<Arc<Delivery>>) {
        self.next_row.store(0, Ordering::Relaxed);
        *self.delivery.lock().unwrap_or_else(PoisonError::into_inner) = delivery;
    }

    /// Takes note of how far the task has come.
    pub(super) fn advance(&self, next_row: usize) {
        self.next_row.store(next_row, Ordering::Relaxed);
    }

    /// Looks at the trees of each tuple that is not executed yet. Those of a few more, if the task is at
    /// work meanwhile: that does no harm.
    pub(crate) fn for_each_waiting(&self, look: impl FnMut(RootId)) {
        let delivery = self
            .delivery
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(delivery) = delivery {
            delivery.for_each_root(self.next_row.load(Ordering::Relaxed), look);
        }
    }
}
