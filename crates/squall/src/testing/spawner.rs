//! Asynchronous work of a test: runs when the test says so, on the test's own thread.

use std::time::Duration;

use squall_core::{BoxFuture, Spawner};
use tokio::runtime::{Builder, Runtime};

/// How often every async task gets a turn in one call of [`TestSpawner::settle`].
const N_TURNS: usize = 64;

/// A spawner whose async tasks run only within [`TestSpawner::settle`], in the order of their start.
///
/// It is a tokio runtime of one thread whose own clock stands still. It can't be used inside another
/// runtime: write plain `#[test]` functions.
pub struct TestSpawner {
    runtime: Runtime,
}

impl TestSpawner {
    /// Makes one.
    ///
    /// # Panics
    /// When the system has no file descriptor left for it.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test that can't begin has to fail")]
    pub fn new() -> Self {
        let mut builder = Builder::new_current_thread();
        builder.enable_all().start_paused(true);
        Self {
            runtime: builder.build().expect("a runtime for the test"),
        }
    }

    /// Gives every async task its turns, without waiting for anything.
    pub fn settle(&self) {
        self.runtime.block_on(async {
            for _ in 0..N_TURNS {
                tokio::task::yield_now().await;
            }
        });
    }

    /// Returns how many async tasks have not ended.
    #[must_use]
    pub fn n_alive(&self) -> usize {
        self.runtime.metrics().num_alive_tasks()
    }

    /// Moves tokio's clock on, firing the timers that are due.
    pub fn advance(&self, by: Duration) {
        self.runtime.block_on(tokio::time::advance(by));
        self.settle();
    }
}

impl Default for TestSpawner {
    fn default() -> Self {
        Self::new()
    }
}

impl Spawner for TestSpawner {
    fn spawn(&self, _name: &str, future: BoxFuture<'static, ()>) {
        // The runtime owns the async task: dropping the runtime drops it.
        drop(self.runtime.spawn(future));
    }
}
