//! What the tasks of a bench count and measure.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use squall::Moment;

use super::latencies::Latencies;

/// The figures of one task, or of several put together.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Figures {
    /// Records that the sources emitted, by source task.
    pub(super) emitted: HashMap<usize, u64>,
    /// Of these, how many came back acked.
    pub(super) n_acked: u64,
    /// And how many came back failed.
    pub(super) n_failed: u64,
    /// Tuples that came to the sinks.
    pub(super) n_sunk: u64,
    /// The last count of each word that came to a sink.
    pub(super) counts: HashMap<String, i64>,
    /// From due to done.
    pub(super) latencies: Latencies,
    /// What was done while the sources measured, one for each that did.
    pub(super) spans: Vec<Span>,
}

/// A stretch of one source's run.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Span {
    /// The process of the source.
    pub(super) pid: u32,
    /// Records of the source that were done in it: acked where they are tracked, else emitted.
    pub(super) n_records: u64,
    /// How long it was, in nanoseconds.
    pub(super) nanos: u64,
    /// CPU time of all threads of the process, in nanoseconds.
    pub(super) cpu_nanos: u64,
    /// How often its threads gave way to others.
    pub(super) n_switches: u64,
}

impl Span {
    /// Returns how many records were done in a second.
    pub(super) fn per_sec(&self) -> u64 {
        per_sec(self.n_records, self.nanos)
    }

    /// Returns how much CPU time was taken in a second, in nanoseconds.
    pub(super) fn cpu_nanos_per_sec(&self) -> u64 {
        per_sec(self.cpu_nanos, self.nanos)
    }

    /// Returns how often threads gave way in a second.
    pub(super) fn switches_per_sec(&self) -> u64 {
        per_sec(self.n_switches, self.nanos)
    }
}

fn per_sec(n: u64, nanos: u64) -> u64 {
    let in_a_second = u128::from(n) * 1_000_000_000 / u128::from(nanos.max(1));
    u64::try_from(in_a_second).unwrap_or(u64::MAX)
}

impl Figures {
    /// Notes that a record that was due at `due` is done at `now`.
    pub(super) fn note_latency(&mut self, due: Moment, now: Moment) {
        let waited: Duration = now.since(due);
        self.latencies
            .record(u64::try_from(waited.as_micros()).unwrap_or(u64::MAX));
    }

    /// Takes over what other tasks found.
    pub(super) fn absorb(&mut self, other: Self) {
        self.emitted.extend(other.emitted);
        self.n_acked += other.n_acked;
        self.n_failed += other.n_failed;
        self.n_sunk += other.n_sunk;
        for (word, count) in other.counts {
            let last = self.counts.entry(word).or_default();
            // Of two sinks that heard of a word, one has the later count.
            *last = count.max(*last);
        }
        self.latencies.absorb(&other.latencies);
        self.spans.extend(other.spans);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_go_through_a_file_and_add_up() {
        let task = |idx: usize, count| {
            let mut figures = Figures {
                emitted: [(idx, 10)].into(),
                n_acked: 9,
                n_failed: 1,
                n_sunk: 80,
                counts: [("wind".into(), count)].into(),
                ..Figures::default()
            };
            figures.note_latency(Moment::from_nanos(1_000), Moment::from_nanos(5_000));
            figures
        };
        let mut all = Figures::default();
        for figures in [task(0, 7), task(1, 5)] {
            let text = serde_json::to_string(&figures).unwrap();
            all.absorb(serde_json::from_str(&text).unwrap());
        }
        assert_eq!(all.emitted, [(0, 10), (1, 10)].into());
        assert_eq!((all.n_acked, all.n_failed, all.n_sunk), (18, 2, 160));
        assert_eq!(all.counts, [("wind".into(), 7)].into());
        assert_eq!(all.latencies.value_us(0.5), 4);
    }
}
