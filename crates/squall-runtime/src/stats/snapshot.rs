//! What a running topology shows of itself: one type for the command line, metrics and the UI.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use squall_core::{ComponentId, MetricReading, StreamId, TaskId};
use squall_plan::Kind;

/// A topology at one moment. Counters count from the start of the run; times are in microseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TopologySnapshot {
    /// The topology's name.
    pub topology: String,
    /// What it is doing.
    pub state: TopologyState,
    /// How long it has been running.
    pub uptime: Duration,
    /// Its tasks, in the order of their ids.
    pub tasks: Vec<TaskSnapshot>,
}

/// What a topology is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TopologyState {
    /// Its spouts are asked for tuples.
    Active,
    /// Its spouts aren't asked; what is pending goes on.
    Inactive,
    /// It is ending: what is pending goes on until it is done or the drain timeout is over.
    Draining,
    /// It has ended, all verdicts given.
    Finished,
    /// It has stopped with an error.
    Failed(String),
}

/// One task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskSnapshot {
    /// The task.
    pub task: TaskId,
    /// The component that it is an instance of.
    pub component: ComponentId,
    /// Spout or bolt.
    pub kind: Kind,
    /// Tuples emitted and transferred, by stream.
    pub streams: Vec<StreamCounters>,
    /// Tuples executed (bolts).
    pub executed: u64,
    /// Tuples acked by a bolt, or trees acked to a spout.
    pub acked: u64,
    /// Tuples failed by a bolt, or trees failed to a spout.
    pub failed: FailureCounters,
    /// Trees that the task owns and that have no verdict yet; held ones are not counted.
    pub pending: u64,
    /// The bytes of those trees' first tuples.
    pub pending_bytes: u64,
    /// Trees that a window holds.
    pub held: u64,
    /// Tuples that the task has deferred and whose tokens live: where a stuck tree is kept.
    pub deferred: u64,
    /// Messages of a spout whose last verdict was a failure: the spout has given them up, or has yet to
    /// emit them again. At the end of a run: those that were never acked.
    pub unacked: u64,
    /// How long the slice that the task is in has been going on; zero while it is in none. A long one is a
    /// component that blocks.
    pub busy_us: u64,
    /// Batches that wait in front of the task.
    pub queued_batches: u64,
    /// The bytes of those.
    pub queued_bytes: u64,
    /// How long tuples waited there.
    pub queue_us: Latency,
    /// How long `execute` took, averaged within each slice. Of a slice of calls by the task in front the first one is
    /// taken for all of them: an estimate.
    pub execute_us: Latency,
    /// How long the trees that the task owns took from emit to ack.
    pub complete_us: Latency,
    /// How often the task was started anew after a panic or at its own wish.
    pub restarts: u64,
    /// How often the task could not be started: its component refused to be built, opened or prepared.
    pub failed_starts: u64,
    /// A failure keeps the task from working: it waits for its next start, or was waiting when it ended.
    pub down: bool,
    /// The task fails again and again, and waits the longest time between restarts.
    pub crash_looping: bool,
    /// The last error of the task that failed no tuple, or that made it restart.
    pub last_error: Option<String>,
    /// Batches dropped to let a jammed cycle go on.
    pub cycle_drops: u64,
    /// The component's own metrics.
    pub metrics: Vec<MetricReading>,
}

/// Tuples that went out on one stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StreamCounters {
    /// The stream.
    pub stream: StreamId,
    /// Calls of `emit`.
    pub emitted: u64,
    /// Tuples sent: one for each task that gets the emit.
    pub transferred: u64,
}

/// Failures by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureCounters {
    /// A bolt refused the tuple, panicked, or dropped its token.
    pub rejected: u64,
    /// The tree outlived the message timeout.
    pub timed_out: u64,
    /// The engine lost a tuple.
    pub lost: u64,
    /// The tuple was held while the topology drained.
    pub drained: u64,
}

impl FailureCounters {
    /// Returns the sum over all reasons.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.rejected + self.timed_out + self.lost + self.drained
    }
}

/// A distribution of times, in microseconds. All zero where nothing was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// How many were measured.
    pub n: u64,
    /// The median.
    pub p50: u64,
    /// The 95th percentile.
    pub p95: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The largest.
    pub max: u64,
}

impl TopologySnapshot {
    /// Iterates over the tasks of one component.
    pub fn of<'s>(&'s self, component: &'s str) -> impl Iterator<Item = &'s TaskSnapshot> {
        self.tasks
            .iter()
            .filter(move |task| task.component == *component)
    }

    /// Returns the trees of all spouts that have no verdict yet, held ones included.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.spouts().map(|task| task.pending + task.held).sum()
    }

    /// Iterates over the spouts' tasks.
    pub fn spouts(&self) -> impl Iterator<Item = &TaskSnapshot> {
        self.tasks.iter().filter(|task| task.kind == Kind::Spout)
    }
}
