//! Publishes the numbers that change by themselves.

use std::time::Duration;

use crate::coordinator::Coordinator;

impl Coordinator {
    /// Sets the gauges of the running shards.
    pub(super) fn report(&self) {
        let now = self.now();
        let unix_ms = i64::try_from(self.deps.ctx.clock().unix_ms()).unwrap_or(i64::MAX);
        let limits = self.deps.settings.save_limits;
        for shard in self.saver.shards() {
            let metrics = &shard.metrics;
            let progress = shard.lock();
            let oldest = progress.tracker.oldest_arrival_ms();
            let age = oldest.map_or(0, |arrival_ms| (unix_ms - arrival_ms).max(0));
            metrics.lag_ms.set(age.max(metrics.behind_ms.get()));
            let pending = i64::try_from(progress.tracker.n_pending()).unwrap_or(i64::MAX);
            metrics.pending.set(pending);
            metrics
                .checkpoint_age_ms
                .set(millis(now.since(progress.saved_at)));
            metrics.read_age_ms.set(millis(now.since(progress.read_at)));
            metrics.show(progress.status(limits, now));
        }
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
