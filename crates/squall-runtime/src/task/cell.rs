//! Where a task stands while nobody runs it.
//!
//! A task is run by whoever takes it: its own seat, for a slice, or the task before it in the chain, which
//! borrows it for a slice of its own and calls it for each tuple.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Duration;

use squall_core::Moment;

use super::{BoltTask, Task};
use crate::edge::Edge;

/// No moment: nobody is at it.
const NEVER: u64 = u64::MAX;

/// A task's place.
#[repr(align(128))]
pub(crate) struct TaskCell {
    /// `None` while the task is lent, and until it is put there.
    task: Mutex<Option<Task>>,
    is_lent: AtomicBool,
    entered: AtomicU64,
}

impl TaskCell {
    pub(crate) const fn new() -> Self {
        Self {
            task: Mutex::new(None),
            is_lent: AtomicBool::new(false),
            entered: AtomicU64::new(NEVER),
        }
    }

    /// Puts the task there.
    pub(crate) fn put(&self, task: Task) {
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    /// Runs the task, unless somebody else has it. `run` doesn't panic.
    pub(crate) fn run<T>(&self, now: Moment, run: impl FnOnce(&mut Task) -> T) -> Option<T> {
        let mut place = match self.task.try_lock() {
            Ok(place) => place,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let task = place.as_mut()?;
        self.entered.store(now.as_nanos(), Ordering::Relaxed);
        let ran = run(task);
        self.entered.store(NEVER, Ordering::Relaxed);
        Some(ran)
    }

    /// Lends the task, if it is a bolt's that can be called instead of sent to over `edge`, and nobody else has it.
    pub(super) fn lend(&self, edge: &Arc<Edge>, now: Moment) -> Option<Box<BoltTask>> {
        let mut place = self.task.try_lock().ok()?;
        match place.take() {
            Some(Task::Bolt(bolt)) if bolt.can_begin_calls(edge) => {
                self.is_lent.store(true, Ordering::SeqCst);
                self.entered.store(now.as_nanos(), Ordering::Relaxed);
                Some(bolt)
            }
            other => {
                *place = other;
                None
            }
        }
    }

    /// Takes a lent task back. Its seat is to be told.
    pub(super) fn take_back(&self, bolt: Box<BoltTask>) {
        self.entered.store(NEVER, Ordering::Relaxed);
        self.put(Task::Bolt(bolt));
        self.is_lent.store(false, Ordering::SeqCst);
    }

    /// Tells whether the task is lent: its seat can't run it.
    pub(crate) fn is_lent(&self) -> bool {
        self.is_lent.load(Ordering::SeqCst)
    }

    /// Tells whether somebody is in the middle of a slice.
    pub(crate) fn is_occupied(&self) -> bool {
        self.entered.load(Ordering::Relaxed) != NEVER
    }

    /// Returns how long the current slice has been going on; zero when there is none.
    pub(crate) fn busy_for(&self, now: Moment) -> Duration {
        match self.entered.load(Ordering::Relaxed) {
            NEVER => Duration::ZERO,
            entered => now.since(Moment::from_nanos(entered)),
        }
    }
}
