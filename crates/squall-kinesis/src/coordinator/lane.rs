//! What the coordinator asks the checkpoint store for: one operation at a time.
//!
//! One at a time, so that what is read is never older than what was written before: a snapshot that was
//! taken beside a save would bring a finished shard back to life.

use std::collections::BTreeMap;

use squall_core::{BoxFuture, Entry, StoreError, Write};

use crate::api::ShardId;
use crate::checkpoint::ShardState;
use crate::state::{StateError, StateStore, Stored};

/// What an operation gave.
pub(super) enum Answer {
    /// A chunk of checkpoints was written.
    Committed(Result<Vec<u64>, StoreError>),
    /// What stands where a chunk was refused.
    Read(Result<BTreeMap<ShardId, Entry>, StoreError>),
    /// The whole state was read.
    Loaded(Result<Stored, StateError>),
    /// New shards were stored.
    Created(Result<(), StateError>),
    /// These finished shards were deleted.
    Deleted(Vec<ShardId>, Result<(), StoreError>),
}

/// The operation that is under way, if there is one. None takes longer than fifteen seconds.
#[derive(Default)]
pub(super) struct Lane(Option<BoxFuture<'static, Answer>>);

impl Lane {
    pub(super) const fn is_free(&self) -> bool {
        self.0.is_none()
    }

    /// Waits for the answer of what is under way; for ever when nothing is. May be dropped and called
    /// again.
    pub(super) async fn answer(&mut self) -> Answer {
        match &mut self.0 {
            Some(operation) => {
                let answer = operation.await;
                self.0 = None;
                answer
            }
            None => std::future::pending().await,
        }
    }

    /// Gives up what is under way; it may be done all the same.
    pub(super) fn give_up(&mut self) {
        self.0 = None;
    }

    pub(super) fn commit(&mut self, state: &StateStore, writes: Vec<Write>) {
        let state = state.clone();
        self.begin(async move { Answer::Committed(state.commit(writes).await) });
    }

    pub(super) fn read(&mut self, state: &StateStore) {
        let state = state.clone();
        self.begin(async move { Answer::Read(state.entries().await) });
    }

    pub(super) fn load(&mut self, state: &StateStore) {
        let state = state.clone();
        self.begin(async move { Answer::Loaded(state.load().await) });
    }

    pub(super) fn create(&mut self, state: &StateStore, shards: Vec<(ShardId, ShardState)>) {
        let state = state.clone();
        self.begin(async move { Answer::Created(state.create(shards).await) });
    }

    pub(super) fn delete(&mut self, state: &StateStore, shards: Vec<(ShardId, u64)>) {
        let state = state.clone();
        self.begin(async move {
            let done = state.delete(&shards).await;
            let ids = shards.into_iter().map(|(id, _)| id).collect();
            Answer::Deleted(ids, done)
        });
    }

    fn begin(&mut self, operation: impl Future<Output = Answer> + Send + 'static) {
        debug_assert!(self.is_free());
        self.0 = Some(Box::pin(operation));
    }
}
