//! Measures the middle of a run at its sinks: not its begin, not its drain.

use std::io::{Write, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use rustix::time::{ClockId, clock_gettime};

use crate::figures::{Figures, Span};
use crate::order::Order;

/// How often it is looked whether the first tuple has come.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// After so many tuples a tally adds to the shared count: for each it would be measured as well.
const ADD_EVERY: u64 = 1024;

/// Counts what is emitted and what is sunk, and says when a run is over.
pub struct Meter {
    counts: Arc<Counts>,
    watch: JoinHandle<Span>,
}

#[derive(Default)]
struct Counts {
    n_emitted: Arc<AtomicU64>,
    n_sunk: Arc<AtomicU64>,
    is_over: AtomicBool,
}

/// One task's count, added to what its meter has every [`ADD_EVERY`] tuples and when it is dropped. A clone begins
/// at zero.
#[derive(Debug)]
pub struct Tally {
    n: u64,
    all: Arc<AtomicU64>,
}

/// What tasks have of a meter; clones share it.
#[derive(Clone)]
pub struct Handle(Arc<Counts>);

impl Meter {
    /// Begins to watch on a thread of its own; measures from the order's warm-up after the first sunk tuple on.
    pub fn start(order: &Order) -> Self {
        let counts = Arc::new(Counts::default());
        let (watched, order) = (counts.clone(), order.clone());
        let watch = thread::spawn(move || watched.measure(&order));
        Self { counts, watch }
    }

    /// Returns what the job's tasks count with.
    pub fn handle(&self) -> Handle {
        Handle(self.counts.clone())
    }

    /// Prints what was found as a line of JSON, once all tasks have ended.
    ///
    /// # Errors
    /// Nobody reads.
    pub fn print(self) -> Result<()> {
        let span = self.watch.join();
        let span = span.map_err(|_| anyhow!("the watching thread has panicked"))?;
        let figures = Figures {
            n_emitted: Some(self.counts.n_emitted.load(Ordering::Relaxed)),
            n_sunk: self.counts.n_sunk.load(Ordering::Relaxed),
            span,
            n_checkpoints: 0,
        };
        let mut line = serde_json::to_string(&figures)?;
        line.push('\n');
        Ok(stdout().write_all(line.as_bytes())?)
    }
}

impl Handle {
    /// Tells whether all is measured, so that sources are to end.
    pub fn is_over(&self) -> bool {
        self.0.is_over.load(Ordering::Relaxed)
    }

    /// Returns a source's count of records.
    pub fn emitted(&self) -> Tally {
        Tally::new(&self.0.n_emitted)
    }

    /// Returns a sink's count of tuples.
    pub fn sunk(&self) -> Tally {
        Tally::new(&self.0.n_sunk)
    }
}

impl Counts {
    fn measure(&self, order: &Order) -> Span {
        while self.n_sunk.load(Ordering::Relaxed) == 0 {
            thread::park_timeout(LOOK_EVERY);
        }
        wait_until(now() + order.warm_up);
        let (from, cpu, n_sunk) = self.mark();
        wait_until(from + order.span);
        let (to, cpu_then, n_sunk_then) = self.mark();
        self.is_over.store(true, Ordering::Relaxed);
        Span {
            n_sunk: n_sunk_then - n_sunk,
            nanos: nanos(to - from),
            cpu_nanos: nanos(cpu_then.saturating_sub(cpu)),
        }
    }

    fn mark(&self) -> (Instant, Duration, u64) {
        (now(), cpu_time(), self.n_sunk.load(Ordering::Relaxed))
    }
}

impl Tally {
    fn new(all: &Arc<AtomicU64>) -> Self {
        Self {
            n: 0,
            all: all.clone(),
        }
    }

    /// Counts `n` more.
    #[inline]
    pub fn add(&mut self, n: u64) {
        self.n += n;
        if self.n >= ADD_EVERY {
            self.hand_in();
        }
    }

    fn hand_in(&mut self) {
        self.all.fetch_add(self.n, Ordering::Relaxed);
        self.n = 0;
    }
}

impl Clone for Tally {
    fn clone(&self) -> Self {
        Self::new(&self.all)
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.hand_in();
    }
}

fn wait_until(moment: Instant) {
    loop {
        let left = moment.saturating_duration_since(now());
        if left.is_zero() {
            return;
        }
        thread::park_timeout(left);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "other engines know nothing of Squall's clock"
)]
fn now() -> Instant {
    Instant::now()
}

/// Returns the CPU time of all threads of this process.
fn cpu_time() -> Duration {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let secs = Duration::from_secs(u64::try_from(cpu.tv_sec).unwrap_or(0));
    secs + Duration::from_nanos(u64::try_from(cpu.tv_nsec).unwrap_or(0))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::Job;

    #[test]
    fn a_run_is_over_once_its_middle_is_measured() {
        let meter = Meter::start(&Order {
            job: Job::PassThrough,
            warm_up: Duration::ZERO,
            span: Duration::from_millis(20),
            rest: Vec::new(),
        });
        let handle = meter.handle();
        let (mut emitted, mut sunk) = (handle.emitted(), handle.sunk());
        while !handle.is_over() {
            emitted.add(1);
            sunk.add(1);
        }
        let n_emitted = || meter.counts.n_emitted.load(Ordering::Relaxed);
        drop((emitted, sunk.clone(), sunk));
        assert!(n_emitted() > 0);
        assert_eq!(n_emitted(), meter.counts.n_sunk.load(Ordering::Relaxed));
        let span = meter.watch.join().unwrap();
        assert!(span.nanos >= 20_000_000, "{span:?}");
        assert!(span.n_sunk > 0 && span.cpu_nanos > 0, "{span:?}");
    }
}
