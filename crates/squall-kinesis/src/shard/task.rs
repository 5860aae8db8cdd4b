//! The shell around a [`Reader`]: makes its calls, waits its waits, hands its pages over.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use squall_core::{Clock, Moment};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::sleep;

use crate::api::{ApiError, Call, ErrorClass, KinesisApi, Page, Record};
use crate::listing::list_all;
use crate::problem::Reporter;
use crate::shard::progress::Shared;
use crate::shard::reader::{Counters, Effect, End, Event, Listing, Reader};

/// What one read may give, in KiB: the unit of the task's budget of fetched bytes.
const MAX_PAGE_KIB: u32 = 10 << 10;

/// Records on their way to the spout, and the place that they take in the task's budget.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// The records, in order.
    pub(crate) records: Vec<Record>,
    /// Given back when the last record was emitted.
    pub(crate) budget: Option<OwnedSemaphorePermit>,
}

/// One shard's async task.
pub(crate) struct Task {
    pub(crate) api: Arc<dyn KinesisApi>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) shard: Arc<Shared>,
    /// Takes one page. While it is full the shard isn't read, and its iterator made anew afterwards.
    pub(crate) pages: mpsc::Sender<Fetched>,
    /// The task's budget for bytes that aren't emitted, in KiB; one page's worth at least.
    pub(crate) budget: Arc<Semaphore>,
    /// Wakes the spout.
    pub(crate) waker: Waker,
    /// Hears how each call went.
    pub(crate) reporter: Arc<Reporter>,
    /// Tells the coordinator that the reader has ended.
    pub(crate) ended: Arc<Notify>,
    /// When the shard was last read from, for the coordinator.
    pub(crate) reported: Counters,
}

impl Task {
    /// Reads the shard to its end. Dropped at any await, it has lost nothing that was emitted.
    pub(crate) async fn run(mut self, mut reader: Reader) {
        let mut event = Event::Ready;
        let mut held = None;
        loop {
            let now = self.clock.now();
            let effect = reader.step(event, now);
            self.report(&reader);
            event = match effect {
                Effect::Wait(until) => self.wait(until.since(now)).await,
                Effect::Seek(start) => {
                    let answer = self.api.shard_iterator(&self.shard.id, &start).await;
                    self.note(Call::GetShardIterator, answer.as_ref().err());
                    Event::Iterator(answer)
                }
                Effect::Read(iterator, limit) => {
                    let Some(place) = self.place().await else {
                        return;
                    };
                    let (called_at, answer) = self.read(&iterator, limit).await;
                    held = Some(shrink(place, &answer));
                    Event::Page(called_at, answer)
                }
                Effect::Deliver(records, behind_ms) => {
                    self.deliver(records, behind_ms, held.take()).await
                }
                Effect::Check => Event::Checked(self.look_up().await),
                Effect::Stop(end) => return self.stop(end),
            };
        }
    }

    fn stop(self, end: End) {
        let shard_id = &self.shard.id;
        match &end {
            End::Finished => tracing::debug!(%shard_id, "shard read to its end"),
            End::Gone => tracing::error!(%shard_id, "shard is gone from the stream"),
            End::NotAccepted(error) => tracing::error!(
                %shard_id, %error,
                "the stream doesn't accept the position: shard stopped (see on_invalid_position)"
            ),
        }
        self.shard.lock().end = Some(end);
        // First of all, for the spout has to find the channel closed when it wakes.
        drop(self.pages);
        self.ended.notify_one();
        self.waker.wake();
    }

    async fn wait(&self, time: Duration) -> Event {
        sleep(time).await;
        Event::Ready
    }

    /// Waits until a page can be held; `None` when the spout is gone.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        // One page waits in the channel at most; only this task sends, so the place stays free.
        drop(self.pages.reserve().await.ok()?);
        let budget = Arc::clone(&self.budget);
        budget.acquire_many_owned(MAX_PAGE_KIB).await.ok()
    }

    async fn read(&self, iterator: &str, limit: u32) -> (Moment, Result<Page, ApiError>) {
        let called_at = self.clock.now();
        let answer = self.api.records(iterator, limit).await;
        let now = self.clock.now();
        let metrics = &self.shard.metrics;
        metrics.calls.add(1);
        metrics.read_latency_ms.set(millis(now.since(called_at)));
        if let Ok(page) = &answer {
            self.shard.lock().read_at = now;
            metrics.fetched.add(count(page.records.len()));
            metrics.fetched_bytes.add(count(page.bytes()));
        }
        self.note(Call::GetRecords, answer.as_ref().err());
        (called_at, answer)
    }

    async fn deliver(
        &self,
        records: Vec<Record>,
        behind_ms: Option<u64>,
        budget: Option<OwnedSemaphorePermit>,
    ) -> Event {
        let behind = behind_ms.and_then(|ms| i64::try_from(ms).ok());
        self.shard.metrics.behind_ms.set(behind.unwrap_or(0));
        if !records.is_empty() {
            // It fails only when the spout is gone; then the next read ends this task.
            drop(self.pages.send(Fetched { records, budget }).await);
            self.waker.wake_by_ref();
        }
        Event::Ready
    }

    async fn look_up(&self) -> Result<Listing, ApiError> {
        let listed = list_all(&*self.api).await;
        self.note(Call::ListShards, listed.as_ref().err());
        match listed {
            Ok(shards) => Ok(Listing::of(&self.shard.id, &shards)),
            Err(error) if error.class == ErrorClass::NotFound => Ok(Listing::NoStream),
            Err(error) => Err(error),
        }
    }

    fn note(&self, call: Call, error: Option<&ApiError>) {
        match error {
            Some(error) => self.reporter.failed(call, error),
            None => self.reporter.succeeded(call),
        }
    }

    /// Adds what is new in the reader's counters to the metrics.
    fn report(&mut self, reader: &Reader) {
        let counters = reader.counters();
        let metrics = &self.shard.metrics;
        let before = std::mem::replace(&mut self.reported, counters);
        metrics.throttled.add(counters.throttled - before.throttled);
        metrics.expired.add(counters.expired - before.expired);
        metrics.faults.add(counters.faults - before.faults);
        if counters.losses > before.losses {
            metrics.losses.add(counters.losses - before.losses);
            let behind = reader.lost_behind().map(ToString::to_string);
            let shard_id = &self.shard.id;
            tracing::error!(%shard_id, behind, "records may have been lost in the stream");
        }
    }
}

/// Gives back what a page doesn't need of the place that was kept for it.
fn shrink(
    mut place: OwnedSemaphorePermit,
    answer: &Result<Page, ApiError>,
) -> OwnedSemaphorePermit {
    let bytes = answer.as_ref().map_or(0, Page::bytes);
    let kib = bytes.div_ceil(1 << 10);
    if let Some(surplus) = place.num_permits().checked_sub(kib) {
        drop(place.split(surplus));
    }
    place
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
