//! What the spout and its asynchronous part know of a shard together.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use squall_core::Moment;

use crate::api::ShardId;
use crate::checkpoint::Checkpoint;
use crate::shard::metrics::{ShardMetrics, ShardStatus};
use crate::shard::reader::End;
use crate::tracker::Tracker;

/// A shard that is being read. The lock is held for moments only, never across an await or an emit.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The shard.
    pub(crate) id: ShardId,
    /// Its numbers.
    pub(crate) metrics: ShardMetrics,
    progress: Mutex<Progress>,
}

/// How far a shard is.
#[derive(Debug)]
pub(crate) struct Progress {
    /// What is emitted and what of it is done.
    pub(crate) tracker: Tracker,
    /// How the reader ended, once it has.
    pub(crate) end: Option<End>,
    /// The reader has ended and the spout has emitted all that it delivered.
    pub(crate) emitted_all: bool,
    /// Somebody else owns the shard: nothing of it is emitted any more.
    pub(crate) dropped: bool,
    /// How many of the first records a save has covered.
    pub(crate) n_saved: u64,
    /// When there was last nothing to save.
    pub(crate) saved_at: Moment,
    /// When the shard was last read from.
    pub(crate) read_at: Moment,
}

/// How much may be done and not saved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SaveLimits {
    pub(crate) max_records: u64,
    pub(crate) max_time: Duration,
}

impl Shared {
    pub(crate) fn new(id: ShardId, metrics: ShardMetrics, now: Moment) -> Self {
        Self {
            id,
            metrics,
            progress: Mutex::new(Progress {
                tracker: Tracker::default(),
                end: None,
                emitted_all: false,
                dropped: false,
                n_saved: 0,
                saved_at: now,
                read_at: now,
            }),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    /// Returns what is to be stored now; `None` while nothing is done yet.
    pub(crate) fn checkpoint(&self) -> Option<Checkpoint> {
        if self.is_finished() {
            return Some(Checkpoint::ShardEnd);
        }
        let position = self.tracker.checkpoint()?;
        Some(Checkpoint::After(position.clone()))
    }

    /// Tells whether the shard was read to its end and all its records are done.
    pub(crate) fn is_finished(&self) -> bool {
        let at_end = matches!(self.end, Some(End::Finished | End::Gone));
        at_end && self.emitted_all && self.tracker.n_pending() == 0
    }

    /// Returns how many records are done and not covered by a save.
    pub(crate) fn n_uncheckpointed(&self) -> u64 {
        self.tracker
            .n_below_checkpoint()
            .saturating_sub(self.n_saved)
    }

    /// Tells whether so much is done and not saved that the shard has to pause.
    pub(crate) fn is_stale(&self, limits: SaveLimits, now: Moment) -> bool {
        let n_unsaved = self.n_uncheckpointed();
        let late = n_unsaved > 0 && now.since(self.saved_at) > limits.max_time;
        late || n_unsaved >= limits.max_records
    }

    /// Returns the state as it is shown.
    pub(crate) fn status(&self, limits: SaveLimits, now: Moment) -> ShardStatus {
        match &self.end {
            _ if self.dropped => ShardStatus::Dropped,
            Some(End::NotAccepted(_)) => ShardStatus::Failed,
            _ if self.is_finished() => ShardStatus::Finished,
            _ if self.is_stale(limits, now) => ShardStatus::Blocked,
            Some(End::Finished | End::Gone) => ShardStatus::Draining,
            None => ShardStatus::Reading,
        }
    }
}
