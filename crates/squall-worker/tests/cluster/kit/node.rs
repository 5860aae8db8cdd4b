//! One incarnation of a worker, in a runtime of its own that can be killed.

use std::sync::Arc;

use squall_core::Registry;
use squall_daemon::shutdown::{Scope, Shutdown, ShutdownBounds};
use squall_proto::Launch;
use squall_runtime::SystemClock;
use squall_worker::{Blueprint, ExitReason, Host, Worker};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::PATIENCE;

/// A worker that runs.
pub(crate) struct Node {
    runtime: Option<Runtime>,
    scope: Scope,
    reason: oneshot::Receiver<ExitReason>,
}

impl Node {
    /// Starts it.
    pub(crate) fn start(launch: Launch, registry: &Arc<Registry>) -> Self {
        let blueprint =
            Blueprint::new(&launch, registry, &|_| Err("built nowhere".into())).unwrap();
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let shutdown = Shutdown::new(ShutdownBounds::default());
        let scope = shutdown.scope().clone();
        let host = Host {
            scope: scope.clone(),
            clock: Arc::new(SystemClock::new()),
            seed: launch.fence.incarnation,
            components: runtime.handle().clone(),
        };
        let (tell, reason) = oneshot::channel();
        let registry = registry.clone();
        runtime.spawn(async move {
            let worker = Worker::start(launch, blueprint, &registry, host)
                .await
                .unwrap();
            tell.send(worker.run().await).ok();
        });
        Self {
            runtime: Some(runtime),
            scope,
            reason,
        }
    }

    /// Ends it as `kill -9` does: whatever is on its way is lost, and nobody is told.
    pub(crate) fn kill(mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }

    /// Tells it to end, as SIGTERM does.
    pub(crate) fn terminate(&self) {
        self.scope.drain();
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&mut self) -> ExitReason {
        let ended = timeout(PATIENCE, &mut self.reason).await;
        ended.expect("it ends").expect("it says why")
    }

    /// Tells whether it has not ended by itself.
    pub(crate) fn is_running(&mut self) -> bool {
        self.reason.try_recv().is_err()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
