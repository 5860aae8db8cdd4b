//! Which shards run: starts them, takes them back, forgets them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use squall_core::{Moment, StoreError};
use tokio::sync::{mpsc, oneshot};

use crate::api::ShardId;
use crate::coordinator::{Coordinator, Feed};
use crate::discovery::Plan;
use crate::problem::Problem;
use crate::shard::{Counters, Reader, ShardMetrics, ShardStatus, Shared, Task};
use crate::state::{StateError, Stored};

/// How much of a second goes by for each shard of a state before it is read again: a store is asked for a
/// thousand entries a second by each task, not more.
const LOAD_TIME_PER_SHARD: Duration = Duration::from_millis(1);
/// The most shards that one line names.
const MAX_NAMED: usize = 3;

impl Coordinator {
    /// Does what a plan says, as far as it needs no store.
    pub(super) fn assign(&mut self, plan: &Plan) {
        if !self.fresh {
            return;
        }
        for id in &plan.start {
            self.start(id);
        }
        for id in &plan.waiting {
            if self.waiting.insert(id.clone()) {
                self.metrics_of(id).show(ShardStatus::WaitingForParent);
            }
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
    pub(super) fn list_anew(&mut self) {
        self.listing = None;
        self.list_at = self.now();
    }

    /// Takes the state as it was read.
    pub(super) fn loaded(&mut self, result: Result<Stored, StateError>) {
        match result {
            Ok(stored) => {
                let ended = |id: &ShardId| self.stored.has_ended(id);
                if stored.ended().any(|id| !ended(id)) {
                    // Another task's: its children may be this one's.
                    self.list_anew();
                }
                self.stored = stored;
                self.fresh = true;
                self.loaded_at = self.now();
                self.deps.reporter.store_succeeded(Problem::StateUnreadable);
            }
            Err(error) => {
                self.fresh = false;
                self.store_at = self.now() + self.deps.settings.checkpoint_interval;
                let reporter = &self.deps.reporter;
                reporter.store_failed(Problem::StateUnreadable, &error);
            }
        }
    }

    /// Takes note that the store did not do what was asked, whatever it did.
    pub(super) fn store_failed(&mut self, problem: Problem, error: &dyn std::fmt::Display) {
        self.fresh = false;
        self.store_at = self.now() + self.deps.settings.checkpoint_interval;
        self.deps.reporter.store_failed(problem, error);
    }

    /// Takes back the shards whose readers died of a fault of ours: they are started again.
    pub(super) fn restart_dead(&mut self) {
        for id in self.saver.take_dead() {
            tracing::error!(
                target: "squall_kinesis", shard_id = %id,
                "the shard's reader has died: starting another"
            );
            self.taken.remove(&id);
            self.fresh = false;
            // One that dies at once would be started again and again.
            self.store_at = self.now() + self.deps.settings.checkpoint_interval;
        }
    }

    /// Gives up the shards that somebody else has written: those without a newer fence begin again where
    /// they were written, the others are not this task's any more.
    pub(super) fn lost(&mut self, overtaken: &[ShardId], fenced: &[ShardId]) {
        for id in overtaken {
            self.taken.remove(id);
            self.fresh = false;
        }
        for id in fenced {
            self.metrics_of(id).show(ShardStatus::Dropped);
        }
        let component = self.deps.ctx.component();
        if !overtaken.is_empty() {
            tracing::warn!(
                target: "squall_kinesis", n_shards = overtaken.len(), shards = %named(overtaken),
                "somebody else has written the checkpoints of {component}: going on from them"
            );
        }
        if !fenced.is_empty() {
            tracing::error!(
                target: "squall_kinesis", n_shards = fenced.len(), shards = %named(fenced),
                "a newer copy of {component} has taken shards over: nothing more of them is emitted here"
            );
        }
    }

    /// Forgets finished shards that were deleted from the state.
    pub(super) fn deleted(&mut self, ids: Vec<ShardId>, result: Result<(), StoreError>) {
        if let Err(error) = result {
            tracing::debug!(%error, "finished shards can't be forgotten");
            self.fresh = false;
            self.store_at = self.now() + self.deps.settings.checkpoint_interval;
            return;
        }
        for id in ids {
            self.stored.shards.remove(&id);
            self.stored.versions.remove(&id);
            ShardMetrics::remove(self.deps.ctx.metrics(), &id);
            tracing::debug!(shard_id = %id, "finished shard forgotten");
        }
    }

    /// Starts a reader from the stored checkpoint. When the spout has too many new shards to take, it says
    /// when it has taken them.
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
            reported: Counters::default(),
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

    /// Tells whether the state is to be read again for what other tasks write: each interval while one of
    /// their ends is waited for, and else as often as the size of the state allows.
    pub(super) fn is_load_due(&self, plan: &Plan, now: Moment) -> bool {
        if self.deps.ctx.n_tasks() == 1 {
            return false;
        }
        let settings = &self.deps.settings;
        let is_awaited = !plan.waiting.is_empty() || self.listed.values().all(|info| info.closed);
        let n_shards = u32::try_from(self.stored.shards.len()).unwrap_or(u32::MAX);
        let pause = (LOAD_TIME_PER_SHARD * n_shards).min(settings.discovery_interval);
        let pause = if is_awaited { Duration::ZERO } else { pause };
        now >= self.loaded_at + pause.max(settings.checkpoint_interval)
    }
}

/// Names the first few.
fn named(ids: &[ShardId]) -> String {
    let first: Vec<_> = ids.iter().take(MAX_NAMED).map(ShardId::as_str).collect();
    let more = if ids.len() > MAX_NAMED { ", …" } else { "" };
    format!("{}{more}", first.join(", "))
}
