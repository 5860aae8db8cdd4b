//! The first turn: reads the state, or begins it, and says where the application goes on.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::sleep;

use crate::api::{ApiError, Call, ErrorClass, ShardInfo};
use crate::checkpoint::Checkpoint;
use crate::coordinator::Coordinator;
use crate::listing::list_all;
use crate::problem::Problem;
use crate::state::StateError;

/// The most shards that are named when a run resumes.
const MAX_NAMED: usize = 3;

/// What keeps a run from beginning.
enum Obstacle {
    State(StateError),
    Listing(ApiError),
}

impl Coordinator {
    /// Tries until it succeeds, or until the spout has to give up: then `None`. A state that can't be read
    /// is never taken for none.
    pub(super) async fn begin(&mut self) -> Option<()> {
        // `latest` means from here on, whenever the first listing succeeds: in a later run, maybe.
        let started_ms = self.deps.ctx.clock().unix_ms();
        let reporter = Arc::clone(&self.deps.reporter);
        loop {
            let begun = self.try_begin(started_ms);
            let waits_for = "the checkpoint store, or for Kinesis to answer";
            let Err(obstacle) = reporter.watch(waits_for, begun).await else {
                break;
            };
            let wait = match obstacle {
                Obstacle::State(error) => {
                    reporter.store_failed(Problem::StateUnreadable, &error);
                    self.backoff.after(ErrorClass::Transient)
                }
                Obstacle::Listing(error) => self.listing_failed(&error),
            };
            if reporter.fatal().is_some() {
                return None;
            }
            sleep(wait).await;
        }
        reporter.store_succeeded(Problem::StateUnreadable);
        self.backoff.reset();
        Some(())
    }

    async fn try_begin(&mut self, started_ms: u64) -> Result<(), Obstacle> {
        let state = self.deps.state.clone();
        let mut stored = state.load().await.map_err(Obstacle::State)?;
        if stored.has_progress() {
            self.deps.reporter.prove();
        }
        let noted = state.note_start(stored.stream.take(), started_ms).await;
        let noted = noted.map_err(Obstacle::State)?;
        let listed = list_all(&*self.deps.api).await;
        let listed = listed.map_err(Obstacle::Listing)?;
        let resumes = !noted.0.unlisted;
        let stream = state.note_listing(noted, &listed).await;
        self.stream = stream.map_err(Obstacle::State)?;
        self.stored = stored;
        self.fresh = true;
        self.take_listing(Ok(listed));
        self.loaded_at = self.now();
        self.announce(resumes);
        Ok(())
    }

    /// Takes what is listed, and says when to list again.
    pub(super) fn take_listing(&mut self, result: Result<Vec<ShardInfo>, ApiError>) {
        let wait = match result {
            Ok(shards) => {
                self.backoff.reset();
                self.deps.reporter.succeeded(Call::ListShards);
                let by_id = |info: ShardInfo| (info.id.clone(), info);
                self.listed = shards.into_iter().map(by_id).collect();
                self.listed_after_end = self.listing_after_end;
                self.deps.settings.discovery_interval
            }
            Err(error) => self.listing_failed(&error),
        };
        self.list_at = self.now() + wait;
    }

    fn listing_failed(&mut self, error: &ApiError) -> std::time::Duration {
        self.deps.reporter.failed(Call::ListShards, error);
        match error.class {
            ErrorClass::NotFound | ErrorClass::InvalidArgument => self.backoff.slow(),
            class => self.backoff.after(class),
        }
    }

    fn announce(&self, resumes: bool) {
        let ctx = &self.deps.ctx;
        let component = ctx.component();
        let location = self.deps.state.store.location();
        let share = self.share();
        // What is about to be stored counts as well.
        let new = self.plan().create.into_iter();
        let mut shards: BTreeMap<_, _> = new.map(|(id, state)| (id, state.checkpoint)).collect();
        let stored = self.stored.shards.iter();
        shards.extend(stored.map(|(id, state)| (id.clone(), state.checkpoint.clone())));
        shards.retain(|id, checkpoint| share.owns(id) && *checkpoint != Checkpoint::ShardEnd);
        let named: Vec<_> = shards
            .iter()
            .map(|(id, checkpoint)| format!("{id} {checkpoint}"))
            .collect();
        let mut summary = named
            .iter()
            .take(MAX_NAMED)
            .cloned()
            .collect::<Vec<_>>()
            .join(", ");
        if let Some(more @ 1..) = named.len().checked_sub(MAX_NAMED) {
            summary = format!("{summary} and {more} more");
        }
        if summary.is_empty() {
            "no open shard".clone_into(&mut summary);
        }
        if resumes {
            tracing::info!(
                target: "squall_kinesis", state = %location,
                "resuming {component} from {summary} (--fresh to start over)"
            );
        } else {
            tracing::info!(
                target: "squall_kinesis", state = %location,
                "starting {component} at {summary}"
            );
        }
    }
}
