//! The numbers of the config that the readers of shards go by.

use std::time::Duration;

use crate::config::{KinesisConfig, OnInvalidPosition};

/// How one shard is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Between two reads while there is more.
    pub(crate) poll: Duration,
    /// Between two reads at the tip.
    pub(crate) tip: Duration,
    /// Records in one read.
    pub(crate) page_records: u32,
    /// What to do with a position that isn't accepted.
    pub(crate) on_invalid_position: OnInvalidPosition,
}

impl Limits {
    /// Five reads a second are all that a shard allows.
    pub(crate) const MIN_INTERVAL: Duration = Duration::from_millis(200);

    /// The longest wait at the end of a task.
    pub(crate) const MAX_CLOSE: Duration = Duration::from_secs(60);

    pub(crate) fn of(config: &KinesisConfig) -> Self {
        let share = Duration::from_secs(1) / config.reads_per_sec.get();
        let least = share.max(Self::MIN_INTERVAL);
        Self {
            poll: config.poll_interval.0.max(least),
            tip: config.tip_interval.0.max(least),
            page_records: config.page_records.get().min(10_000),
            on_invalid_position: config.on_invalid_position,
        }
    }
}
