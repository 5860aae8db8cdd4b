//! Asynchronous work of tasks, on the program's tokio runtime.

use tokio::runtime::Handle;

use squall_core::{BoxFuture, Spawner};

/// Hands async tasks to tokio. The engine ends them with their task; the runtime's end drops the rest.
pub(super) struct TokioSpawner(Handle);

impl TokioSpawner {
    pub(super) const fn new(tokio: Handle) -> Self {
        Self(tokio)
    }
}

impl Spawner for TokioSpawner {
    fn spawn(&self, name: &str, future: BoxFuture<'static, ()>) {
        tracing::debug!(name, "async task started");
        drop(self.0.spawn(future));
    }
}
