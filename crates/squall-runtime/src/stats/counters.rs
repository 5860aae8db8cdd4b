//! One task's counters: written by the thread that runs it, once per slice, read by anybody.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use squall_core::{FailureReason, StreamId};

use super::{FailureCounters, Latency, StreamCounters};

/// A number that one thread writes and others read.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        if n > 0 {
            self.0.fetch_add(n, Ordering::Relaxed);
        }
    }

    pub(crate) fn remove(&self, n: u64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One task's counters and distributions.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct TaskStats {
    streams: Vec<(StreamId, Counter, Counter)>,
    pub(crate) executed: Counter,
    pub(crate) acked: Counter,
    failed: [Counter; 4],
    pub(crate) pending: Counter,
    pub(crate) pending_bytes: Counter,
    pub(crate) held: Counter,
    pub(crate) deferred: Counter,
    pub(crate) unacked: Counter,
    pub(crate) restarts: Counter,
    pub(crate) failed_starts: Counter,
    pub(crate) cycle_drops: Counter,
    /// The task has an instance, or had one.
    pub(crate) begun: AtomicBool,
    pub(crate) down: AtomicBool,
    pub(crate) crash_looping: AtomicBool,
    last_error: Mutex<Option<String>>,
    pub(crate) queue: Distribution,
    pub(crate) execute: Distribution,
    pub(crate) complete: Distribution,
}

impl TaskStats {
    pub(crate) fn new(streams: impl IntoIterator<Item = StreamId>) -> Self {
        Self {
            streams: streams
                .into_iter()
                .map(|id| (id, Counter::default(), Counter::default()))
                .collect(),
            executed: Counter::default(),
            acked: Counter::default(),
            failed: Default::default(),
            pending: Counter::default(),
            pending_bytes: Counter::default(),
            held: Counter::default(),
            deferred: Counter::default(),
            unacked: Counter::default(),
            restarts: Counter::default(),
            failed_starts: Counter::default(),
            cycle_drops: Counter::default(),
            begun: AtomicBool::new(false),
            down: AtomicBool::new(false),
            crash_looping: AtomicBool::new(false),
            last_error: Mutex::default(),
            queue: Distribution::new(),
            execute: Distribution::new(),
            complete: Distribution::new(),
        }
    }

    /// Publishes the totals of a stream, by its index in the order of declaration.
    pub(crate) fn publish_stream(&self, stream_idx: usize, emitted: u64, transferred: u64) {
        if let Some((_, emits, transfers)) = self.streams.get(stream_idx) {
            emits.set(emitted);
            transfers.set(transferred);
        }
    }

    pub(crate) fn count_failure(&self, reason: FailureReason) {
        self.failed[reason_idx(reason)].add(1);
    }

    pub(crate) fn set_last_error(&self, error: String) {
        *lock(&self.last_error) = Some(error);
    }

    pub(crate) fn last_error(&self) -> Option<String> {
        lock(&self.last_error).clone()
    }

    pub(crate) fn streams(&self) -> Vec<StreamCounters> {
        let streams = self
            .streams
            .iter()
            .map(|(stream, emitted, transferred)| StreamCounters {
                stream: stream.clone(),
                emitted: emitted.get(),
                transferred: transferred.get(),
            });
        streams.collect()
    }

    pub(crate) fn failures(&self) -> FailureCounters {
        let of = |reason| self.failed[reason_idx(reason)].get();
        FailureCounters {
            rejected: of(FailureReason::Rejected),
            timed_out: of(FailureReason::TimedOut),
            lost: of(FailureReason::Lost),
            drained: of(FailureReason::Drained),
        }
    }

    pub(crate) fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    pub(crate) fn is_crash_looping(&self) -> bool {
        self.crash_looping.load(Ordering::Relaxed)
    }
}

const fn reason_idx(reason: FailureReason) -> usize {
    match reason {
        FailureReason::Rejected => 0,
        FailureReason::TimedOut => 1,
        FailureReason::Lost => 2,
        FailureReason::Drained => 3,
    }
}

/// A distribution of times from 1 µs to 1 h, within 1 %; larger ones count as 1 h. About 20 KiB.
#[derive(Debug)]
pub(crate) struct Distribution(Mutex<Option<Histogram<u64>>>);

impl Distribution {
    const LARGEST_US: u64 = 3_600_000_000;

    fn new() -> Self {
        Self(Mutex::new(
            Histogram::new_with_bounds(1, Self::LARGEST_US, 2).ok(),
        ))
    }

    /// Records a time `n` times. Takes a lock: once per slice or per run of equal times.
    pub(crate) fn record(&self, time: Duration, n: u64) {
        if let (Some(histogram), true) = (lock(&self.0).as_mut(), n > 0) {
            let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            histogram.saturating_record_n(micros.min(Self::LARGEST_US), n);
        }
    }

    /// Reads the percentiles.
    pub(crate) fn read(&self) -> Latency {
        match lock(&self.0).as_ref() {
            Some(histogram) if !histogram.is_empty() => Latency {
                n: histogram.len(),
                p50: histogram.value_at_quantile(0.50),
                p95: histogram.value_at_quantile(0.95),
                p99: histogram.value_at_quantile(0.99),
                max: histogram.max(),
            },
            _ => Latency::default(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
