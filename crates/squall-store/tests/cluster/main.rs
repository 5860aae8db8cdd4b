//! What every cluster store has to do, run against each of ours.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod commits;
mod listing;
mod model;
mod watches;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use squall_store::cluster::{
    ClusterStore, FileCluster, FileClusterConfig, LeaderEpoch, MemoryCluster, Outcome, Revision,
    Txn, Watch, WatchItem,
};
use tempfile::TempDir;

/// With its key a bit less than 1 MiB.
const BIG: usize = (1 << 20) - 10;
/// Small, so that a test can fill it.
const MAX_BYTES: u64 = 64 << 20;

/// Runs a check against each store, on a runtime of its own, led by its first leader.
fn check<F: Future<Output = ()>>(test: impl Fn(Arc<dyn ClusterStore>, LeaderEpoch) -> F) {
    let led = |store: Arc<dyn ClusterStore>| {
        block_on(async {
            let epoch = store.raise_leader_epoch().await.unwrap();
            assert_eq!(epoch, LeaderEpoch(1));
            test(store, epoch).await;
        });
    };
    led(Arc::new(MemoryCluster::with_max_bytes(MAX_BYTES)));
    let dir = TempDir::new().unwrap();
    let config = FileClusterConfig {
        max_bytes: MAX_BYTES,
        ..FileClusterConfig::default()
    };
    let path = dir.path().join("deep/er/nimbus.redb");
    led(Arc::new(FileCluster::open(path, config).unwrap()));
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

/// Commits what has to succeed.
async fn done(store: &Arc<dyn ClusterStore>, txn: Txn) -> Revision {
    match store.commit(txn).await.unwrap() {
        Outcome::Committed { revision } => revision,
        refused => panic!("{refused:?}"),
    }
}

/// What a watch has to say right now.
async fn heard(watch: &mut Watch) -> Option<WatchItem> {
    poll_fn(|cx| match watch.poll_next(cx) {
        Poll::Ready(item) => Poll::Ready(item),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
