//! Puts the events, splits a shard on the way, and keeps the truth.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use squall::Clock;
use squall_kinesis::dev::{AdminError, PutEntry};

use super::events::Events;
use super::stage::Stage;
use super::truth::{Shared, place};

/// How often a batch is put.
const PERIOD: Duration = Duration::from_millis(100);

/// How much is put, and how fast.
pub(super) struct Plan {
    /// How many events; `None` is bounded by time alone.
    pub(super) n_events: Option<u64>,
    pub(super) rate_per_sec: u64,
    /// For how long.
    pub(super) limit: Option<Duration>,
    /// Says that no more is wanted.
    pub(super) stop: Arc<AtomicBool>,
    pub(super) clock: Arc<dyn Clock>,
}

/// Puts events until the plan is fulfilled; after a third of it splits a shard.
pub(super) async fn produce(
    stage: Stage,
    mut events: Events,
    plan: Plan,
    truth: Shared,
) -> Result<(), AdminError> {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let begin = plan.clock.now();
    let (mut n_put, mut is_split) = (0, false);
    loop {
        ticks.tick().await;
        let elapsed = plan.clock.now().since(begin);
        let n_due = plan.n_due(elapsed);
        let wanted = usize::try_from(n_due.saturating_sub(n_put)).unwrap_or(usize::MAX);
        let lines: Vec<String> = events.by_ref().take(wanted).collect();
        put(&stage, &lines, n_put, &truth).await?;
        n_put += lines.len() as u64;
        if lines.len() < wanted || plan.is_fulfilled(n_put, elapsed) {
            return Ok(());
        }
        if !is_split && plan.is_a_third(n_put, elapsed) {
            is_split = true;
            split(&stage).await?;
        }
    }
}

impl Plan {
    fn n_due(&self, elapsed: Duration) -> u64 {
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let by_rate = self.rate_per_sec.saturating_mul(millis) / 1000;
        self.n_events.map_or(by_rate, |bound| by_rate.min(bound))
    }

    fn is_fulfilled(&self, n_put: u64, elapsed: Duration) -> bool {
        self.stop.load(Ordering::Relaxed)
            || self.n_events.is_some_and(|bound| n_put >= bound)
            || self.limit.is_some_and(|limit| elapsed >= limit)
    }

    fn is_a_third(&self, n_put: u64, elapsed: Duration) -> bool {
        self.n_events.is_some_and(|bound| n_put * 3 >= bound)
            || self.limit.is_some_and(|limit| elapsed * 3 >= limit)
    }
}

async fn put(
    stage: &Stage,
    lines: &[String],
    first: u64,
    truth: &Shared,
) -> Result<(), AdminError> {
    let numbered = (first..).zip(lines);
    let entries: Vec<_> = numbered
        .map(|(number, line)| PutEntry {
            partition_key: format!("event-{number}"),
            data: line.as_bytes().to_vec(),
        })
        .collect();
    let places = stage.admin.put_records(&stage.stream, &entries).await?;
    let mut truth = truth.lock();
    for (line, at) in lines.iter().zip(places) {
        truth.put(line, place(at.shard.as_str(), &at.sequence));
    }
    Ok(())
}

/// Splits the first open shard; returns when the stream is active again.
async fn split(stage: &Stage) -> Result<(), AdminError> {
    let shards = stage.admin.list_shards(&stage.stream).await?;
    match shards.iter().find(|shard| !shard.closed) {
        Some(open) => stage.admin.split_shard(&stage.stream, &open.id).await,
        None => Ok(()),
    }
}
