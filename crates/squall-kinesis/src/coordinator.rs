//! The asynchronous part of a spout: finds shards, starts their readers, saves their checkpoints.
//!
//! It decides nothing by itself: what to read comes from [`plan`], what to save from the shards'
//! progress. The spout gets each shard over a channel, once.

mod begin;
mod report;
mod save;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use squall_core::{BoxFuture, Moment, StoreError, TaskContext};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::time::sleep;

use crate::api::{ApiError, KinesisApi, ShardId, ShardInfo};
use crate::config::{Limits, Resolved};
use crate::coordinator::save::Saver;
use crate::discovery::{Share, View, plan};
use crate::listing::list_all;
use crate::problem::{Problem, Reporter};
use crate::shard::{Backoff, Fetched, Reader, SaveLimits, ShardMetrics, ShardStatus, Shared, Task};
use crate::state::{StateStore, Stored};

/// What the coordinator works with.
pub(crate) struct Deps {
    pub(crate) ctx: TaskContext,
    pub(crate) api: Arc<dyn KinesisApi>,
    pub(crate) state: StateStore,
    /// Hears how each call went.
    pub(crate) reporter: Arc<Reporter>,
    /// Takes the shards that are read from now on.
    pub(crate) to_spout: mpsc::Sender<Feed>,
    pub(crate) signals: Arc<Signals>,
    pub(crate) settings: Settings,
}

/// The coordinator's part of the config.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    pub(crate) save_limits: SaveLimits,
    pub(crate) initial: Resolved,
    pub(crate) discovery_interval: Duration,
    pub(crate) checkpoint_interval: Duration,
    pub(crate) prefetch_kib: usize,
}

/// What spout, readers and coordinator tell each other without words.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// A reader ended, a shard is done, or a save is wanted: don't wait for the interval.
    pub(crate) changed: Arc<Notify>,
    /// Nothing will ever come again.
    pub(crate) finished: AtomicBool,
}

/// A shard that the spout emits from now on.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) shard: Arc<Shared>,
    pub(crate) pages: mpsc::Receiver<Fetched>,
}

/// A wish to stop: answered when everything is saved, or with what keeps it from being so.
pub(crate) type Stop = oneshot::Receiver<std::sync::mpsc::SyncSender<Result<(), StoreError>>>;

type Listing = BoxFuture<'static, Result<Vec<ShardInfo>, ApiError>>;

/// See the module.
pub(crate) struct Coordinator {
    deps: Deps,
    saver: Saver,
    budget: Arc<Semaphore>,
    stored: Stored,
    listed: BTreeMap<ShardId, ShardInfo>,
    /// The shards that run, and those that were given up.
    taken: BTreeSet<ShardId>,
    /// The shards that are shown as waiting.
    waiting: BTreeSet<ShardId>,
    listing: Option<Listing>,
    list_at: Moment,
    /// All shards that are listed have ended.
    all_ended: bool,
    /// They had when the last listing was begun, and the one under way: it would know their children.
    listed_after_end: bool,
    listing_after_end: bool,
    backoff: Backoff,
    /// The state was read since something may have changed.
    fresh: bool,
}

impl Coordinator {
    pub(crate) fn new(deps: Deps) -> Self {
        let ctx = &deps.ctx;
        let clock = Arc::clone(ctx.clock());
        let reporter = Arc::clone(&deps.reporter);
        let saver = Saver::new(deps.state.clone(), clock, ctx.fence(), reporter);
        Self {
            saver,
            budget: Arc::new(Semaphore::new(deps.settings.prefetch_kib)),
            stored: Stored::default(),
            listed: BTreeMap::new(),
            taken: BTreeSet::new(),
            waiting: BTreeSet::new(),
            listing: None,
            list_at: Moment::ZERO,
            all_ended: false,
            listed_after_end: false,
            listing_after_end: false,
            backoff: Backoff::new(ctx.seed()),
            fresh: false,
            deps,
        }
    }

    /// Runs until it is told to stop, then saves for the last time and answers.
    pub(crate) async fn run(mut self, stop: Stop) {
        let answer = tokio::select! {
            biased;
            answer = stop => answer,
            () = self.work() => return,
        };
        let outcome = self.saver.save().await;
        if let Ok(answer) = answer {
            let saved = outcome.failed.map_or(Ok(()), Err);
            let answered = answer.try_send(saved);
            tracing::debug!(in_time = answered.is_ok(), "last checkpoints saved");
        }
    }

    async fn work(&mut self) {
        if self.begin().await.is_none() {
            return;
        }
        loop {
            self.turn().await;
            self.pause().await;
        }
    }

    /// Saves, looks what is to be read, and starts it.
    async fn turn(&mut self) {
        self.save().await;
        self.refresh().await;
        self.assign().await;
        self.report();
        if self.listing.is_none() && self.list_at <= self.now() {
            let api = Arc::clone(&self.deps.api);
            self.listing_after_end = self.all_ended;
            self.listing = Some(Box::pin(async move { list_all(&*api).await }));
        }
    }

    /// Waits for the next turn. A listing that takes its time holds up no save.
    async fn pause(&mut self) {
        let interval = self.deps.settings.checkpoint_interval;
        let changed = Arc::clone(&self.deps.signals.changed);
        let listing = self.listing.as_mut();
        tokio::select! {
            biased;
            result = async { match listing { Some(listing) => listing.await, None => std::future::pending().await } } => {
                self.listing = None;
                self.take_listing(result);
            }
            () = changed.notified() => {}
            () = sleep(interval) => {}
        }
    }

    async fn save(&mut self) {
        let outcome = self.saver.save().await;
        if !outcome.saved.is_empty() {
            // A shard that was too far ahead of its checkpoint may go on.
            self.deps.ctx.waker().wake();
        }
        for (id, state, version) in outcome.saved {
            self.stored.shards.insert(id.clone(), state);
            self.stored.versions.insert(id, version);
        }
        for id in outcome.finished {
            // Its children are wanted now, and can't be known before they are listed.
            self.list_anew();
            self.metrics_of(&id).show(ShardStatus::Finished);
            self.taken.remove(&id);
            tracing::info!(shard_id = %id, "shard finished");
        }
        let dead = self.saver.take_dead();
        for id in outcome.overtaken.into_iter().chain(dead) {
            self.taken.remove(&id);
            self.fresh = false;
        }
        for id in outcome.fenced {
            self.metrics_of(&id).show(ShardStatus::Dropped);
        }
    }

    /// Reads the state again where others write it too, or it was changed.
    async fn refresh(&mut self) {
        if self.fresh && self.deps.ctx.n_tasks() == 1 {
            return;
        }
        match self.deps.state.load().await {
            Ok(stored) => {
                self.stored = stored;
                self.fresh = true;
                let reporter = &self.deps.reporter;
                reporter.store_succeeded(Problem::StateUnreadable);
            }
            Err(error) => {
                self.fresh = false;
                let reporter = &self.deps.reporter;
                reporter.store_failed(Problem::StateUnreadable, &error);
            }
        }
    }

    async fn assign(&mut self) {
        if !self.fresh {
            return;
        }
        let mut plan = self.plan();
        if !plan.create.is_empty() {
            match self.deps.state.create(plan.create).await {
                Ok(()) => self.fresh = false,
                Err(error) => {
                    let reporter = &self.deps.reporter;
                    reporter.store_failed(Problem::StateUnwritable, &error);
                }
            }
            self.refresh().await;
            if !self.fresh {
                return;
            }
            plan = self.plan();
        }
        for id in plan.start {
            self.start(&id);
        }
        for id in plan.waiting {
            if self.waiting.insert(id.clone()) {
                self.metrics_of(&id).show(ShardStatus::WaitingForParent);
            }
        }
        for id in plan.forget {
            self.forget(&id).await;
        }
        if plan.finished && !self.all_ended {
            // A child of the last one may come to light.
            self.list_anew();
        }
        self.all_ended = plan.finished;
        if plan.finished && self.listed_after_end && self.saver.shards().next().is_none() {
            self.deps.signals.finished.store(true, Ordering::Release);
            self.deps.ctx.waker().wake();
        }
    }

    /// Lists the shards at once; a listing that is under way may not know the newest.
    fn list_anew(&mut self) {
        self.listing = None;
        self.list_at = self.now();
    }

    fn plan(&self) -> crate::discovery::Plan {
        plan(View {
            listed: &self.listed,
            stored: &self.stored.shards,
            taken: &self.taken,
            share: Share {
                task_idx: self.deps.ctx.task_idx(),
                n_tasks: self.deps.ctx.n_tasks(),
            },
        })
    }

    /// Starts a reader from the stored checkpoint. When the spout has too many new shards to take, the
    /// next turn will do.
    fn start(&mut self, id: &ShardId) {
        let found = (self.stored.shards.get(id), self.stored.versions.get(id));
        let (Some(state), Some(version)) = found else {
            return;
        };
        let Ok(to_spout) = self.deps.to_spout.try_reserve() else {
            return;
        };
        let ctx = &self.deps.ctx;
        let shard = Arc::new(Shared::new(id.clone(), self.metrics_of(id), self.now()));
        shard.metrics.show(ShardStatus::Reading);
        let seed = ctx.seed() ^ id.number().unwrap_or(0).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let reader = Reader::new(&state.checkpoint, self.deps.settings.limits, seed);
        // One page waits here; the reader fetches no other before it is taken.
        let (pages, taken) = mpsc::channel(1);
        let task = Task {
            api: Arc::clone(&self.deps.api),
            clock: Arc::clone(ctx.clock()),
            shard: Arc::clone(&shard),
            pages,
            budget: Arc::clone(&self.budget),
            waker: ctx.waker(),
            reporter: Arc::clone(&self.deps.reporter),
            ended: Arc::clone(&self.deps.signals.changed),
            reported: crate::shard::Counters::default(),
        };
        tracing::debug!(shard_id = %id, from = %state.checkpoint, "reading shard");
        let (alive, ended) = oneshot::channel();
        let stored = (state.clone(), *version);
        self.saver.add(Arc::clone(&shard), stored, alive);
        to_spout.send(Feed {
            shard,
            pages: taken,
        });
        ctx.spawn(&format!("kinesis {id}"), async move {
            tokio::select! {
                biased;
                _ = ended => {}
                () = task.run(reader) => {}
            }
        });
        ctx.waker().wake();
        self.taken.insert(id.clone());
        self.waiting.remove(id);
    }

    async fn forget(&mut self, id: &ShardId) {
        let Some(version) = self.stored.versions.get(id) else {
            return;
        };
        let fence = self.deps.ctx.fence();
        if let Err(error) = self.deps.state.delete(id, *version, fence).await {
            tracing::debug!(shard_id = %id, %error, "finished shard can't be forgotten");
            return;
        }
        self.stored.shards.remove(id);
        self.stored.versions.remove(id);
        ShardMetrics::remove(self.deps.ctx.metrics(), id);
        tracing::debug!(shard_id = %id, "finished shard forgotten");
    }

    fn now(&self) -> Moment {
        self.deps.ctx.clock().now()
    }

    fn metrics_of(&self, id: &ShardId) -> ShardMetrics {
        ShardMetrics::new(self.deps.ctx.metrics(), id)
    }
}
