//! How a task is woken, and how the thread that runs it sleeps.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Wake, Waker};
use std::time::Duration;

/// How often a thread looks for work at most before it goes to sleep: for some 60 µs. Waking it takes as long.
const MAX_LOOKS: u32 = 64;
/// How long it waits between two looks, in pauses of the processor.
const PAUSES: u32 = 64;
/// One time of so many it is tried whether looking out pays again.
const PROBE_EVERY: u32 = 8;

/// Where one thread sleeps. Waking one that is awake costs two atomic reads.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Bed {
    /// How often the sleeper looks for work before it sleeps. Written by its own thread alone.
    n_looks: AtomicU32,
    n_waits: AtomicU32,
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

    /// Looks out for work for a little while; tells whether there is some. Looks for longer where that paid the last
    /// time, and not at all where it didn't.
    pub(crate) fn look_out(&self, work: impl Fn() -> bool) -> bool {
        let n_waits = self.n_waits.load(Ordering::Relaxed).wrapping_add(1);
        self.n_waits.store(n_waits, Ordering::Relaxed);
        let n_looks = match self.n_looks.load(Ordering::Relaxed) {
            0 if n_waits.is_multiple_of(PROBE_EVERY) => MAX_LOOKS / 4,
            n_looks => n_looks,
        };
        for _ in 0..n_looks {
            if work() {
                let more = (n_looks * 2).min(MAX_LOOKS);
                self.n_looks.store(more, Ordering::Relaxed);
                return true;
            }
            (0..PAUSES).for_each(|_| std::hint::spin_loop());
        }
        // From a quarter on down to nothing in a few vain attempts.
        let fewer = if n_looks > MAX_LOOKS / 16 {
            n_looks / 2
        } else {
            0
        };
        self.n_looks.store(fewer, Ordering::Relaxed);
        false
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
#[repr(align(128))]
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
        // The loop may be about to sleep until the times that it knew of.
        self.ring_anew();
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Has a bed look out once; returns how often it looked. There is work at the look with this number.
    fn looks(bed: &Bed, work_at: u32) -> u32 {
        let n_looks = Cell::new(0);
        let found = bed.look_out(|| {
            n_looks.set(n_looks.get() + 1);
            n_looks.get() == work_at
        });
        assert_eq!(found, n_looks.get() == work_at && work_at > 0);
        n_looks.get()
    }

    #[test]
    fn a_bed_looks_out_for_as_long_as_that_pays() {
        let bed = Bed::default();
        let n_vain: u32 = (0..100 * PROBE_EVERY).map(|_| looks(&bed, u32::MAX)).sum();
        // A probe and the few after it.
        assert!(n_vain > 0 && n_vain <= 101 * MAX_LOOKS / 2, "{n_vain}");
        while looks(&bed, 5) != 5 {}
        let paid: Vec<u32> = (0..10).map(|_| looks(&bed, MAX_LOOKS / 4)).collect();
        assert_eq!(paid, [MAX_LOOKS / 4; 10]);
        assert_eq!(looks(&bed, u32::MAX), MAX_LOOKS);
    }
}
