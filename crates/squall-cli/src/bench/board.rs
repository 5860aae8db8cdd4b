//! Where the tasks of a bench write their figures when they end, and latencies while they run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use squall::{Moment, Str};

/// The longest latency that is told apart from longer ones, in microseconds.
const MAX_US: u64 = 60_000_000;

/// The figures of one run; clones share them.
#[derive(Clone, Debug)]
pub(super) struct Board(Arc<Mutex<Figures>>);

#[derive(Debug)]
pub(super) struct Figures {
    /// Records that the sources emitted, by source task.
    pub(super) emitted: HashMap<usize, u64>,
    /// Tuples that came to the sinks.
    pub(super) n_sunk: u64,
    /// The last count of each word that came to a sink.
    pub(super) counts: HashMap<Str, i64>,
    /// From due to done, in microseconds.
    latency_us: Histogram<u64>,
}

impl Board {
    pub(super) fn new() -> squall::Result<Self> {
        let figures = Figures {
            emitted: HashMap::new(),
            n_sunk: 0,
            counts: HashMap::new(),
            latency_us: Histogram::new_with_max(MAX_US, 3)?,
        };
        Ok(Self(Arc::new(Mutex::new(figures))))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Figures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Figures {
    /// Notes that a record that was due at `due` is done at `now`.
    pub(super) fn note_latency(&mut self, due: Moment, now: Moment) {
        let waited: Duration = now.since(due);
        let us = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        self.latency_us.saturating_record(us);
    }

    /// Returns the latency below which this share of the records stayed, in microseconds.
    pub(super) fn latency_us(&self, quantile: f64) -> u64 {
        self.latency_us.value_at_quantile(quantile)
    }
}
