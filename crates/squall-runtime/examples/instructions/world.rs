//! A world with nothing in it: the components of these cases need neither async work nor checkpoints.

use std::sync::Arc;

use squall_core::{
    BoxFuture, CheckpointStore, Entry, Fence, ManualClock, Result, Spawner, StoreError, Write,
};
use squall_runtime::Services;

/// Returns the services of a simulation.
pub(crate) fn services() -> Services {
    Services {
        clock: Arc::new(ManualClock::new()),
        spawner: Arc::new(Nothing),
        checkpoints: Arc::new(Nothing),
        fence: Fence::default(),
    }
}

/// Drops async work, and refuses checkpoints.
struct Nothing;

impl Spawner for Nothing {
    fn spawn(&self, _: &str, _: BoxFuture<'static, ()>) {}
}

impl CheckpointStore for Nothing {
    fn load<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
        refuse()
    }

    fn list<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<(String, Entry)>, StoreError>> {
        refuse()
    }

    fn commit(&self, _: Fence, _: Vec<Write>) -> BoxFuture<'_, Result<Vec<u64>, StoreError>> {
        refuse()
    }

    fn location(&self) -> String {
        "nowhere".to_owned()
    }
}

fn refuse<'a, T>() -> BoxFuture<'a, Result<T, StoreError>> {
    Box::pin(async { Err(StoreError::Unavailable("there is no store".into())) })
}
