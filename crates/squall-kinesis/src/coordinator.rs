//! The asynchronous part of a spout: finds shards, starts their readers, saves their checkpoints.
//!
//! It decides nothing by itself: what to read comes from [`plan`], what to save from [`save::Saver`]. It
//! has one operation of the checkpoint store under way at most, and one listing, and waits for neither:
//! a store that is slow or away delays what needs it and nothing else. The spout gets each shard over a
//! channel, once.

mod assign;
mod begin;
mod lane;
mod report;
mod save;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use squall_core::{BoxFuture, Moment, StoreError, TaskContext};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::time::sleep;

use crate::api::{ApiError, KinesisApi, ShardId, ShardInfo};
use crate::checkpoint::StreamState;
use crate::config::{Limits, Resolved};
use crate::coordinator::lane::{Answer, Lane};
use crate::coordinator::report::Pauses;
use crate::coordinator::save::{Effect, Event, Outcome, Saver};
use crate::discovery::{Beginning, Plan, Share, View, plan};
use crate::listing::list_all;
use crate::problem::{Problem, Reporter};
use crate::shard::{Backoff, Fetched, SaveLimits, ShardMetrics, ShardStatus, Shared};
use crate::state::{StateStore, Stored};

/// The shortest time between two rounds of saving, whatever asks for them.
const MIN_SAVE_GAP: Duration = Duration::from_millis(100);

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
    lane: Lane,
    /// What the saver waits for the lane with.
    save_effect: Effect,
    budget: Arc<Semaphore>,
    /// When the application was first started, and what of the stream was there.
    stream: StreamState,
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
    /// When the state was last read.
    loaded_at: Moment,
    /// When the last round of saving was begun.
    save_begun: Moment,
    /// Another is wanted soon.
    save_wanted: bool,
    /// The last one could not be finished.
    save_failed: bool,
    /// Before this moment the store isn't asked for anything but saves: it has just failed.
    store_at: Moment,
    pauses: Pauses,
}

impl Coordinator {
    pub(crate) fn new(deps: Deps) -> Self {
        let ctx = &deps.ctx;
        Self {
            saver: Saver::new(deps.state.keys.clone(), deps.state.fence),
            lane: Lane::default(),
            save_effect: Effect::Rest,
            budget: Arc::new(Semaphore::new(deps.settings.prefetch_kib)),
            stream: StreamState::default(),
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
            loaded_at: Moment::ZERO,
            save_begun: Moment::ZERO,
            save_wanted: true,
            save_failed: false,
            store_at: Moment::ZERO,
            pauses: Pauses::new(ctx.metrics()),
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
        let saved = self.save_all().await;
        if let Ok(answer) = answer {
            let answered = answer.try_send(saved);
            tracing::debug!(in_time = answered.is_ok(), "last checkpoints saved");
        }
    }

    async fn work(&mut self) {
        if self.begin().await.is_none() {
            return;
        }
        loop {
            self.turn();
            self.pause().await;
        }
    }

    /// Looks what is to be done, and begins it.
    fn turn(&mut self) {
        self.restart_dead();
        self.save();
        let plan = self.plan();
        self.assign(&plan);
        self.ask_store(plan);
        self.report();
        if self.listing.is_none() && self.list_at <= self.now() {
            let api = Arc::clone(&self.deps.api);
            self.listing_after_end = self.all_ended;
            self.listing = Some(Box::pin(async move { list_all(&*api).await }));
        }
    }

    /// Waits for something to happen.
    async fn pause(&mut self) {
        let interval = self.now() + self.deps.settings.checkpoint_interval;
        let rest = if self.saver.is_busy() {
            interval
        } else {
            interval.min(self.save_due())
        };
        let rest = rest.since(self.now());
        let changed = Arc::clone(&self.deps.signals.changed);
        let listing = self.listing.as_mut();
        tokio::select! {
            biased;
            answer = self.lane.answer() => self.answered(answer),
            result = async { match listing { Some(listing) => listing.await, None => std::future::pending().await } } => {
                self.listing = None;
                self.take_listing(result);
            }
            () = changed.notified() => self.save_wanted = true,
            () = sleep(rest) => {}
        }
    }

    /// Begins a round of saving when it is due.
    fn save(&mut self) {
        let now = self.now();
        if now >= self.save_due() && !self.saver.is_busy() {
            self.save_begun = now;
            self.save_wanted = false;
            self.step_saver(Event::Wanted);
        }
    }

    /// Returns when the next round is due: at the interval; soon when it is wanted, but for a store that
    /// has just failed.
    fn save_due(&self) -> Moment {
        let soon = self.save_wanted && !self.save_failed;
        let interval = self.deps.settings.checkpoint_interval;
        self.save_begun
            + if soon {
                MIN_SAVE_GAP.min(interval)
            } else {
                interval
            }
    }

    fn step_saver(&mut self, event: Event) {
        let (effect, outcome) = self.saver.step(event, self.now());
        self.save_effect = effect;
        self.saved(outcome);
    }

    /// Gives the store its next operation, when it has none.
    fn ask_store(&mut self, plan: Plan) {
        if !self.lane.is_free() {
            return;
        }
        let state = &self.deps.state;
        match std::mem::replace(&mut self.save_effect, Effect::Rest) {
            Effect::Commit(writes) => return self.lane.commit(state, writes),
            Effect::Read => return self.lane.read(state),
            Effect::Rest => {}
        }
        let now = self.now();
        if now < self.store_at {
            return;
        }
        if !self.fresh || self.is_load_due(&plan, now) {
            self.lane.load(state);
        } else if !plan.create.is_empty() {
            self.lane.create(state, plan.create);
        } else if !plan.forget.is_empty() {
            let versions = plan.forget.into_iter().take(crate::state::MAX_WRITES);
            let versions = versions.filter_map(|id| {
                let version = *self.stored.versions.get(&id)?;
                Some((id, version))
            });
            self.lane.delete(state, versions.collect());
        }
    }

    fn answered(&mut self, answer: Answer) {
        match answer {
            Answer::Committed(result) => self.step_saver(Event::Committed(result)),
            Answer::Read(result) => self.step_saver(Event::Read(result)),
            Answer::Loaded(result) => self.loaded(result),
            Answer::Created(result) => {
                // Who has created them in our place has done so under other versions.
                self.fresh = false;
                if let Err(error) = result {
                    self.store_failed(Problem::StateUnwritable, &error);
                }
            }
            Answer::Deleted(ids, result) => self.deleted(ids, result),
        }
    }

    /// Takes what a step of the saver came to.
    fn saved(&mut self, outcome: Outcome) {
        if let Some(error) = outcome.failed {
            self.save_failed = true;
            self.save_begun = self.now();
            let reporter = &self.deps.reporter;
            reporter.store_failed(Problem::StateUnwritable, &error);
        }
        if !outcome.saved.is_empty() {
            self.save_failed = false;
            let reporter = &self.deps.reporter;
            reporter.store_succeeded(Problem::StateUnwritable);
            // A shard that was too far ahead of its checkpoint may go on.
            self.deps.ctx.waker().wake();
        }
        for (id, state, version) in outcome.saved {
            self.stored.shards.insert(id.clone(), state);
            self.stored.versions.insert(id, version);
        }
        for id in &outcome.finished {
            self.metrics_of(id).show(ShardStatus::Finished);
            self.taken.remove(id);
            tracing::info!(target: "squall_kinesis", shard_id = %id, "shard finished");
        }
        if !outcome.finished.is_empty() {
            // Their children are wanted now, and can't be known before they are listed.
            self.list_anew();
        }
        self.lost(&outcome.overtaken, &outcome.fenced);
    }

    /// Saves what has changed, and returns when it is saved or can't be. A save that is under way is
    /// finished first, for what it did decides on what is written next; its failure isn't the last word.
    async fn save_all(&mut self) -> Result<(), StoreError> {
        let is_saving = self.saver.is_busy() && self.save_effect == Effect::Rest;
        if !is_saving {
            self.lane.give_up();
        }
        if self.saver.is_busy() {
            let finished = self.finish_round().await;
            tracing::debug!(ok = finished.is_ok(), "the save under way has ended");
        }
        let (effect, _) = self.saver.step(Event::Wanted, self.now());
        self.save_effect = effect;
        self.finish_round().await
    }

    /// Goes on to the end of a round of saving, with nothing else.
    async fn finish_round(&mut self) -> Result<(), StoreError> {
        while self.saver.is_busy() {
            let state = &self.deps.state;
            match std::mem::replace(&mut self.save_effect, Effect::Rest) {
                Effect::Commit(writes) => self.lane.commit(state, writes),
                Effect::Read => self.lane.read(state),
                // It is under way.
                Effect::Rest => {}
            }
            let event = match self.lane.answer().await {
                Answer::Committed(result) => Event::Committed(result),
                Answer::Read(result) => Event::Read(result),
                Answer::Loaded(_) | Answer::Created(_) | Answer::Deleted(..) => continue,
            };
            let (effect, outcome) = self.saver.step(event, self.now());
            self.save_effect = effect;
            if let Some(error) = outcome.failed {
                return Err(error);
            }
        }
        Ok(())
    }

    fn now(&self) -> Moment {
        self.deps.ctx.clock().now()
    }

    fn metrics_of(&self, id: &ShardId) -> ShardMetrics {
        ShardMetrics::new(self.deps.ctx.metrics(), id)
    }

    fn plan(&self) -> Plan {
        if !self.fresh {
            return Plan::default();
        }
        plan(View {
            listed: &self.listed,
            stored: &self.stored.shards,
            taken: &self.taken,
            share: self.share(),
            beginning: self.beginning(),
        })
    }

    fn beginning(&self) -> Beginning<'_> {
        Beginning {
            initial: &self.deps.settings.initial,
            stream: &self.stream,
        }
    }

    fn share(&self) -> Share {
        Share {
            task_idx: self.deps.ctx.task_idx(),
            n_tasks: self.deps.ctx.n_tasks(),
        }
    }
}
