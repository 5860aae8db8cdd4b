//! Asynchronous work of components, in the process's tree of tasks.

use squall_core::{BoxFuture, Spawner};
use squall_daemon::shutdown::Scope;
use tokio::runtime::Handle;

/// Hands async tasks to tokio. The engine ends each with the component's task; what is left then ends with the
/// process.
pub(crate) struct ScopedSpawner {
    scope: Scope,
    tokio: Handle,
}

impl ScopedSpawner {
    /// Makes it for a scope, and the runtime that the work goes to.
    pub(crate) const fn new(scope: Scope, tokio: Handle) -> Self {
        Self { scope, tokio }
    }
}

impl Spawner for ScopedSpawner {
    fn spawn(&self, name: &str, future: BoxFuture<'static, ()>) {
        // Called on the threads of the loops, which know no runtime.
        let _runtime = self.tokio.enter();
        tracing::debug!(name, "async task started");
        self.scope.spawn(name, future);
    }
}
