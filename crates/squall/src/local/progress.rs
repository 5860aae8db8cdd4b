//! How a run is getting on, in one line.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use squall_runtime::TopologySnapshot;

/// The metrics in which spouts count what they emitted again.
const REPLAYED: [&str; 2] = ["replayed", "retried"];

/// What a topology's spouts did since the start of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Tuples that spouts emitted, retries included.
    pub emitted: u64,
    /// Tuple trees acked.
    pub acked: u64,
    /// Tuple trees failed.
    pub failed: u64,
    /// Messages emitted again.
    pub replayed: u64,
    /// Tuple trees that have no verdict yet.
    pub pending: u64,
    /// Messages whose last verdict was a failure; at the end: that were never acked.
    pub unacked: u64,
    /// Tasks started anew.
    pub restarts: u64,
    /// Attempts to start a task that failed.
    pub failed_starts: u64,
}

/// The totals at one moment, and the rates since another; its `Display` is the line.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// How long the run has lasted.
    pub uptime: Duration,
    /// The totals.
    pub totals: Totals,
    /// Tuples emitted by spouts per second, since the moment before.
    pub emitted_per_sec: u64,
    /// Trees acked per second, since the moment before.
    pub acked_per_sec: u64,
    /// For how long trees have been pending and none was acked or failed.
    pub still_for: Duration,
}

impl Totals {
    /// Adds up a snapshot.
    #[must_use]
    pub fn of(snapshot: &TopologySnapshot) -> Self {
        let mut totals = Self {
            pending: snapshot.pending(),
            ..Self::default()
        };
        for task in snapshot.spouts() {
            totals.emitted += task
                .streams
                .iter()
                .map(|stream| stream.emitted)
                .sum::<u64>();
            totals.acked += task.acked;
            totals.failed += task.failed.total();
            totals.unacked += task.unacked;
            let replayed = task
                .metrics
                .iter()
                .filter(|metric| REPLAYED.contains(&metric.name.as_str()));
            totals.replayed += replayed
                .map(|m| u64::try_from(m.value).unwrap_or(0))
                .sum::<u64>();
        }
        for task in &snapshot.tasks {
            totals.restarts += task.restarts;
            totals.failed_starts += task.failed_starts;
        }
        totals
    }
}

impl Progress {
    /// Compares a snapshot with the progress before; `None` at the first.
    #[must_use]
    pub fn since(before: Option<&Self>, snapshot: &TopologySnapshot) -> Self {
        let totals = Totals::of(snapshot);
        let then = before.map_or((Duration::ZERO, 0, 0), |before| {
            (before.uptime, before.totals.emitted, before.totals.acked)
        });
        let millis = snapshot.uptime.saturating_sub(then.0).as_millis().max(1);
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        let rate = |now: u64, then: u64| now.saturating_sub(then).saturating_mul(1000) / millis;
        Self {
            uptime: snapshot.uptime,
            totals,
            emitted_per_sec: rate(totals.emitted, then.1),
            acked_per_sec: rate(totals.acked, then.2),
            still_for: before.map_or(Duration::ZERO, |before| {
                before.still_for_until(&totals, snapshot)
            }),
        }
    }
}

impl Progress {
    /// Returns for how long nothing has moved, if nothing has since `self`.
    fn still_for_until(&self, totals: &Totals, snapshot: &TopologySnapshot) -> Duration {
        let ended = |totals: &Totals| (totals.acked, totals.failed);
        let is_still = self.totals.pending > 0 && ended(&self.totals) == ended(totals);
        if !is_still || totals.pending == 0 {
            return Duration::ZERO;
        }
        self.still_for + snapshot.uptime.saturating_sub(self.uptime)
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Totals {
            failed,
            replayed,
            pending,
            restarts,
            failed_starts,
            ..
        } = self.totals;
        write!(f, "{:>5} s", self.uptime.as_secs())?;
        write!(f, "  emitted {}/s", self.emitted_per_sec)?;
        write!(f, "  acked {}/s", self.acked_per_sec)?;
        write!(
            f,
            "  pending {pending}  failed {failed}  replayed {replayed}"
        )?;
        if restarts > 0 {
            write!(f, "  restarts {restarts}")?;
        }
        if failed_starts > 0 {
            write!(f, "  failed starts {failed_starts}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use squall_runtime::{
        FailureCounters, Latency, StreamCounters, TaskSnapshot, TopologySnapshot, TopologyState,
    };

    use super::*;

    fn snapshot(uptime_secs: u64, emitted: u64, acked: u64) -> TopologySnapshot {
        let spout = TaskSnapshot {
            task: squall_core::TaskId(0),
            component: "in".into(),
            kind: squall_plan::Kind::Spout,
            streams: vec![StreamCounters {
                stream: squall_core::StreamId::default(),
                emitted,
                transferred: emitted,
            }],
            acked,
            failed: FailureCounters {
                rejected: 2,
                timed_out: 1,
                ..FailureCounters::default()
            },
            pending: emitted - acked,
            metrics: vec![squall_core::MetricReading {
                name: "replayed".into(),
                label: "".into(),
                value: 3,
            }],
            executed: 0,
            pending_bytes: 0,
            held: 0,
            deferred: 0,
            unacked: 0,
            busy_us: 0,
            queued_batches: 0,
            queued_bytes: 0,
            queue_us: Latency::default(),
            execute_us: Latency::default(),
            complete_us: Latency::default(),
            restarts: 0,
            failed_starts: 0,
            down: false,
            crash_looping: false,
            last_error: None,
            cycle_drops: 0,
        };
        TopologySnapshot {
            topology: "test".to_owned(),
            state: TopologyState::Active,
            uptime: Duration::from_secs(uptime_secs),
            tasks: vec![spout],
        }
    }

    #[test]
    fn rates_are_of_the_time_between() {
        let first = Progress::since(None, &snapshot(2, 100, 80));
        assert_eq!((first.emitted_per_sec, first.acked_per_sec), (50, 40));
        let second = Progress::since(Some(&first), &snapshot(4, 1100, 1080));
        assert_eq!(
            second.to_string(),
            "    4 s  emitted 500/s  acked 500/s  pending 20  failed 3  replayed 3"
        );
    }

    #[test]
    fn stands_still_while_trees_are_pending_and_none_ends() {
        let mut before = None;
        let mut still_secs = Vec::new();
        for (at, emitted, acked) in [
            (5, 10, 8),
            (10, 12, 8),
            (15, 12, 8),
            (20, 12, 9),
            (25, 9, 9),
        ] {
            let now = Progress::since(before.as_ref(), &snapshot(at, emitted, acked));
            still_secs.push(now.still_for.as_secs());
            before = Some(now);
        }
        assert_eq!(still_secs, [0, 5, 10, 0, 0]);
    }
}
