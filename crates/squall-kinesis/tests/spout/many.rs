//! A stream of more shards than one commit takes. In virtual time.

use std::sync::atomic::Ordering;
use std::time::Duration;

use squall_core::{CheckpointStore, HumanDuration};
use squall_kinesis::{InitialPosition, forget};

use crate::fake::shard_id;
use crate::world::{data, settle, sorted, with, world};

const N_SHARDS: usize = 12_000;
/// Every so-manieth shard has a record.
const STEP: usize = 400;

#[tokio::test(start_paused = true)]
async fn twelve_thousand_shards_are_begun_read_saved_and_forgotten() {
    let (fake, store, setup) = world(N_SHARDS as u64);
    // So many empty reads a second take their time.
    let setup = with(&setup, |c| {
        c.tip_interval = HumanDuration::from_millis(60_000);
    });
    let put = |name: &str| {
        for shard in (0..N_SHARDS as u64).step_by(STEP) {
            fake.put(shard, &format!("{name}{shard:05}"));
        }
    };
    put("first");
    let mut driver = setup.start();
    let n_records = N_SHARDS / STEP;
    let emits = driver.emits(n_records).await;
    assert_eq!(emits.len(), n_records);
    driver.ack_all(&emits);
    settle(&mut driver).await;
    let entries = store.inner.list("top/clicks/web/shardId").await.unwrap();
    assert_eq!(entries.len(), N_SHARDS);
    let is_done = |value: &[u8]| String::from_utf8_lossy(value).contains("after");
    let n_done = entries.iter().filter(|(_, entry)| is_done(&entry.value));
    assert_eq!(n_done.count(), n_records);
    assert!(store.max_writes.load(Ordering::SeqCst) <= 1001);
    driver.close().await;

    put("second");
    let mut driver = setup.start();
    let emits = driver.emits(n_records).await;
    assert!(data(&emits).iter().all(|data| data.starts_with("second")));
    driver.kill();
    let n_forgotten = forget(&*store, "top/clicks", "web").await.unwrap();
    assert_eq!(n_forgotten, N_SHARDS);
    assert!(store.inner.list("top/").await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_first_start_that_is_broken_off_between_chunks_is_finished_by_the_next() {
    let (fake, store, setup) = world(3000);
    let setup = with(&setup, |c| c.initial_position = InitialPosition::Latest);
    for shard in [0, 2999] {
        fake.put(shard, "old");
    }
    tokio::time::advance(Duration::from_secs(5)).await;
    // The notes of the first start and of the first listing, and one chunk.
    store.n_commits_left.store(3, Ordering::SeqCst);
    let mut driver = setup.start();
    driver.run_for(Duration::from_secs(5)).await;
    driver.kill();
    let entries = store.inner.list("top/clicks/web/shardId").await.unwrap();
    assert_eq!(entries.len(), 1000);
    // A shard is split while nobody reads.
    fake.put(0, "new0");
    fake.put(2999, "new2999");
    fake.reshard(&[2999], &[3000]);
    fake.put(3000, "new3000");
    tokio::time::advance(Duration::from_secs(600)).await;
    store.n_commits_left.store(usize::MAX, Ordering::SeqCst);
    let mut driver = setup.start();
    let mut emits = driver.emits(2).await;
    driver.ack_all(&emits);
    emits.extend(driver.emits(1).await);
    assert_eq!(sorted(&emits), ["new0", "new2999", "new3000"]);
    let child = driver.metric("state", shard_id(3000).as_str());
    assert_eq!(child, 1);
}
