//! What most tests begin with: a scripted stream, a store with switches, and a spout that may be started.

use std::sync::Arc;
use std::time::Duration;

use squall_core::CheckpointStore;
use squall_kinesis::KinesisConfig;

use crate::driver::{Driver, Emitted, Setup};
use crate::fake::Fake;
use crate::stores::Flaky;

/// The first shard's name.
pub(crate) const SHARD: &str = "shardId-000000000000";

/// Makes a stream `web` of so many shards, and a setup that reads it as `top/clicks`.
pub(crate) fn world(n_shards: u64) -> (Arc<Fake>, Arc<Flaky>, Setup) {
    let fake = Arc::new(Fake::new(n_shards));
    let store = Arc::new(Flaky::default());
    let setup = Setup::fake(&fake, Arc::clone(&store) as Arc<dyn CheckpointStore>);
    (fake, store, setup)
}

/// Returns a setup with another config.
pub(crate) fn with(setup: &Setup, change: impl FnOnce(&mut KinesisConfig)) -> Setup {
    let mut setup = setup.clone();
    change(&mut setup.config);
    setup
}

/// Returns the data of the records, as they were emitted.
pub(crate) fn data(emits: &[Emitted]) -> Vec<String> {
    emits.iter().map(Emitted::data).collect()
}

/// Returns the data of the records in the order of their letters.
pub(crate) fn sorted(emits: &[Emitted]) -> Vec<String> {
    let mut data = data(emits);
    data.sort();
    data
}

/// Returns what `Fake::put_many` puts.
pub(crate) fn names(name: &str, range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|n| format!("{name}{n}")).collect()
}

/// Waits until everything that was acked is saved; returns what was emitted meanwhile.
pub(crate) async fn settle(driver: &mut Driver) -> Vec<Emitted> {
    driver.run_for(Duration::from_secs(3)).await
}

/// Returns what is stored of the first shard.
pub(crate) async fn stored(store: &Flaky) -> String {
    let key = format!("top/clicks/web/{SHARD}");
    let entry = store.inner.load(&key).await.unwrap().unwrap();
    String::from_utf8(entry.value).unwrap()
}
