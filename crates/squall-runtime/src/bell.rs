//! How a task is woken, and how the thread that runs it sleeps.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Wake, Waker};
use std::time::Duration;

/// Where one thread sleeps. Waking one that is awake costs two atomic reads.
#[derive(Debug, Default)]
pub(crate) struct Bed {
    asleep: AtomicBool,
    woken: Mutex<bool>,
    door: Condvar,
}

impl Bed {
    /// Wakes the sleeper, if there is one.
    pub(crate) fn wake(&self) {
        if self.asleep.load(Ordering::SeqCst) {
            *self.woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
            self.door.notify_all();
        }
    }

    /// Tells whether the sleeper is asleep, or about to be.
    pub(crate) fn is_asleep(&self) -> bool {
        self.asleep.load(Ordering::SeqCst)
    }

    /// Sleeps until it is woken or `at_most` has passed, unless there is `work` already.
    ///
    /// `work` is asked after sleeping was announced: who adds work before that is seen, who adds it
    /// after wakes the sleeper.
    pub(crate) fn sleep(&self, at_most: Option<Duration>, work: impl FnOnce() -> bool) {
        self.asleep.store(true, Ordering::SeqCst);
        if !work() {
            let woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
            let mut woken = match at_most {
                Some(at_most) => {
                    let waited = self
                        .door
                        .wait_timeout_while(woken, at_most, |woken| !*woken);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self
                    .door
                    .wait_while(woken, |woken| !*woken)
                    .unwrap_or_else(PoisonError::into_inner),
            };
            *woken = false;
        }
        self.asleep.store(false, Ordering::SeqCst);
    }
}

/// Tells that one task has something to do, and wakes the thread that runs it.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: AtomicBool,
    /// The author's waker was used.
    called: AtomicBool,
    /// The slice has taken too long: it is to end after the present tuple.
    hurried: AtomicBool,
    /// The task itself waits for room on an edge.
    parked: AtomicBool,
    /// The task has left its loop for a thread of its own.
    moved_out: AtomicBool,
    own: Bed,
    home: Arc<Bed>,
    /// Who is woken when the bell is no task's of this worker.
    outside: Option<Mutex<Option<Waker>>>,
}

impl Bell {
    /// Makes the bell of a task that runs on the loop that sleeps in `home`.
    pub(crate) fn new(home: Arc<Bed>) -> Arc<Self> {
        Arc::new(Self {
            home,
            ..Self::default()
        })
    }

    /// Makes the bell of something outside: of a link. It is parked for ever, for nobody here knows
    /// whether what it stands for can go on.
    pub(crate) fn outside() -> Arc<Self> {
        Arc::new(Self {
            parked: AtomicBool::new(true),
            outside: Some(Mutex::default()),
            ..Self::default()
        })
    }

    /// Tells whether the bell is of something outside.
    pub(crate) const fn is_outside(&self) -> bool {
        self.outside.is_some()
    }

    /// Names who is woken, now if the bell has been rung.
    pub(crate) fn set_waker(&self, waker: Waker) {
        if let Some(outside) = &self.outside {
            *outside.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker);
            if self.is_rung() {
                self.wake_runner();
            }
        }
    }

    /// Makes a bell that wakes nobody.
    #[cfg(test)]
    pub(crate) fn silent() -> Arc<Self> {
        Arc::default()
    }

    /// Tells the task that it has something to do.
    pub(crate) fn ring(&self) {
        if !self.rung.swap(true, Ordering::SeqCst) {
            self.wake_runner();
        }
    }

    /// Rings and wakes, also when the bell was rung before: whoever was woken then may have found nothing to run.
    pub(crate) fn ring_anew(&self) {
        self.rung.store(true, Ordering::SeqCst);
        self.wake_runner();
    }

    /// Tells whether the bell was rung since [`Bell::hush`].
    pub(crate) fn is_rung(&self) -> bool {
        self.rung.load(Ordering::SeqCst)
    }

    /// Takes note of the ring; called before the task looks for what there is to do.
    pub(crate) fn hush(&self) {
        self.hurried.store(false, Ordering::Relaxed);
        self.rung.store(false, Ordering::SeqCst);
    }

    /// Says whether the task waits for room on an edge.
    pub(crate) fn set_parked(&self, parked: bool) {
        self.parked.store(parked, Ordering::Relaxed);
    }

    /// Tells whether the task waits for room on an edge: it can't take anything before it has some.
    pub(crate) fn is_parked(&self) -> bool {
        self.parked.load(Ordering::Relaxed)
    }

    /// Asks the task to end its slice after the present tuple.
    pub(crate) fn hurry(&self) {
        self.hurried.store(true, Ordering::Relaxed);
    }

    /// Tells whether the slice is to end: its acks and emits have waited for long enough.
    pub(crate) fn is_hurried(&self) -> bool {
        self.hurried.load(Ordering::Relaxed)
    }

    /// Tells whether the author's waker was used since the last call.
    pub(crate) fn take_call(&self) -> bool {
        self.called.load(Ordering::Relaxed) && self.called.swap(false, Ordering::SeqCst)
    }

    /// Gives the task a thread of its own, which sleeps in [`Bell::own_bed`].
    pub(crate) fn move_out(&self) {
        self.moved_out.store(true, Ordering::SeqCst);
        self.home.wake();
        self.own.wake();
    }

    /// Tells whether the task has a thread of its own.
    pub(crate) fn has_moved_out(&self) -> bool {
        self.moved_out.load(Ordering::SeqCst)
    }

    /// Takes the task back to its loop, whose thread runs it from now on.
    pub(crate) fn move_in(&self) {
        self.moved_out.store(false, Ordering::SeqCst);
        self.home.wake();
    }

    /// Where the task's own thread sleeps.
    pub(crate) const fn own_bed(&self) -> &Bed {
        &self.own
    }

    fn wake_runner(&self) {
        if let Some(outside) = &self.outside {
            let waker = outside.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(waker) = &*waker {
                waker.wake_by_ref();
            }
        } else if self.has_moved_out() {
            self.own.wake();
        } else {
            self.home.wake();
        }
    }
}

/// The author's waker.
impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.called.store(true, Ordering::SeqCst);
        self.ring();
    }
}
