//! The numbers of one shard, labelled by its name.

use squall_core::{Metric, Metrics};

use crate::api::ShardId;

/// The state of a shard, as the gauge `state` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShardStatus {
    /// A parent isn't finished yet.
    WaitingForParent = 0,
    /// It is being read.
    Reading = 1,
    /// All was read, some records are pending.
    Draining = 2,
    /// All is done and that is saved.
    Finished = 3,
    /// Too much is done that can't be saved.
    Blocked = 4,
    /// The stream doesn't accept the position; an operator has to look.
    Failed = 5,
    /// Another task owns it.
    Dropped = 6,
}

macro_rules! shard_metrics {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// Counters and gauges of one shard.
        #[derive(Clone, Debug)]
        pub(crate) struct ShardMetrics {
            $($(#[$doc])* pub(crate) $name: Metric,)+
        }

        impl ShardMetrics {
            /// Makes the metrics of a shard, or finds them.
            pub(crate) fn new(metrics: &Metrics, shard: &ShardId) -> Self {
                Self { $($name: metrics.get(stringify!($name), shard.as_str()),)+ }
            }

            /// Forgets the metrics of a shard.
            pub(crate) fn remove(metrics: &Metrics, shard: &ShardId) {
                $(metrics.remove(stringify!($name), shard.as_str());)+
            }
        }
    };
}

shard_metrics! {
    /// Gauge: the larger of `behind_ms` and the age of the oldest record that is emitted and not done.
    lag_ms,
    /// Gauge: how far the last page was behind the newest record, as the stream says.
    behind_ms,
    /// Counter: records read.
    fetched,
    /// Counter: bytes of data read.
    fetched_bytes,
    /// Counter: records emitted for the first time.
    emitted,
    /// Counter: records acked.
    acked,
    /// Counter: attempts that failed.
    failed,
    /// Counter: emits of records that had failed.
    retried,
    /// Counter: records given up: written to the dead letters, or dropped by the policy.
    dead,
    /// Gauge: records emitted and not done.
    pending,
    /// Gauge: records done and not covered by a saved checkpoint.
    uncheckpointed,
    /// Gauge: how long a checkpoint has been waiting to be saved; 0 when all is saved.
    checkpoint_age_ms,
    /// Gauge: how long ago the last call on the shard succeeded.
    read_age_ms,
    /// Gauge: how long the last read took.
    read_latency_ms,
    /// Counter: reads.
    calls,
    /// Counter: answers that the shard is throttled.
    throttled,
    /// Counter: iterators that had expired.
    expired,
    /// Counter: other errors.
    faults,
    /// Counter: times that records may have been lost in the stream.
    losses,
    /// Gauge: see the table of states.
    state,
}

impl ShardMetrics {
    pub(crate) fn show(&self, status: ShardStatus) {
        self.state.set(status as i64);
    }
}
