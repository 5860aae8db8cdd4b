//! Publishes the numbers that change by themselves, and says when shards pause.

use std::time::Duration;

use squall_core::{Metric, Metrics, Moment};

use crate::coordinator::Coordinator;
use crate::problem::Problem;
use crate::shard::ShardStatus;

/// Between two updates of the gauges: events may come much more often.
const EVERY: Duration = Duration::from_millis(100);

/// How many shards pause because their checkpoints can't be saved.
pub(super) struct Pauses {
    paused_shards: Metric,
    report_at: Moment,
}

impl Pauses {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            paused_shards: metrics.get("paused_shards", ""),
            report_at: Moment::ZERO,
        }
    }
}

impl Coordinator {
    /// Sets the gauges of the running shards.
    pub(super) fn report(&mut self) {
        let now = self.now();
        if now < self.pauses.report_at {
            return;
        }
        self.pauses.report_at = now + EVERY;
        let unix_ms = i64::try_from(self.deps.ctx.clock().unix_ms()).unwrap_or(i64::MAX);
        let limits = self.deps.settings.save_limits;
        let mut n_paused = 0;
        for shard in self.saver.shards() {
            let metrics = &shard.metrics;
            let progress = shard.lock();
            let oldest = progress.tracker.oldest_arrival_ms();
            let age = oldest.map_or(0, |arrival_ms| (unix_ms - arrival_ms).max(0));
            metrics.lag_ms.set(age.max(metrics.behind_ms.get()));
            metrics.pending.set(count(progress.tracker.n_pending()));
            metrics
                .uncheckpointed
                .set(count(progress.n_uncheckpointed()));
            metrics
                .checkpoint_age_ms
                .set(millis(now.since(progress.saved_at)));
            metrics.read_age_ms.set(millis(now.since(progress.read_at)));
            let status = progress.status(limits, now);
            n_paused += i64::from(status == ShardStatus::Blocked);
            metrics.show(status);
        }
        let before = self.pauses.paused_shards.get();
        self.pauses.paused_shards.set(n_paused);
        let reporter = &self.deps.reporter;
        if n_paused > 0 {
            let said = format!("{n_paused} shards emit nothing until their checkpoints are saved");
            reporter.store_failed(Problem::Paused, &said);
        } else if before > 0 {
            reporter.store_succeeded(Problem::Paused);
        }
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn count<N: TryInto<i64>>(n: N) -> i64 {
    n.try_into().unwrap_or(i64::MAX)
}
