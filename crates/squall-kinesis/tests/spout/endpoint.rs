//! Against ferrokinesis over HTTP, through the AWS SDK, in real time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use squall_core::{ByteSize, CheckpointStore, HumanDuration};
use squall_kinesis::dev::{Admin, Endpoint, EndpointOptions, PutEntry, PutPlace};
use squall_kinesis::{Connection, KinesisConfig, OnInvalidPosition, ShardId};
use squall_store::{FileStore, MemoryStore};

use crate::driver::{Driver, Emitted, Setup};
use crate::fake::shard_id;

struct World {
    endpoint: Endpoint,
    admin: Admin,
    setup: Setup,
    n_put: usize,
}

impl World {
    async fn new(n_shards: u16, options: EndpointOptions) -> Self {
        let endpoint = Endpoint::start(options).await.unwrap();
        let connection = Connection {
            endpoint_url: Some(endpoint.url()),
            region: None,
        };
        let admin = Admin::connect(&connection).await;
        admin.create_stream("web", n_shards).await.unwrap();
        let config = KinesisConfig {
            endpoint_url: Some(endpoint.url()),
            poll_interval: HumanDuration::from_millis(200),
            tip_interval: HumanDuration::from_millis(200),
            checkpoint_interval: HumanDuration::from_millis(100),
            discovery_interval: HumanDuration::from_millis(500),
            prefetch_bytes: ByteSize::mib(10),
            ..KinesisConfig::new("web")
        };
        Self {
            endpoint,
            admin,
            setup: Setup::real(config, Arc::new(MemoryStore::new())),
            n_put: 0,
        }
    }

    /// Makes the stream again as soon as the old one is gone, in another second than the first.
    async fn create_again(&self) {
        let second = || UNIX_EPOCH.elapsed().unwrap().as_secs();
        let deleted = second();
        let mut poll = tokio::time::interval(Duration::from_millis(50));
        while second() == deleted || self.admin.create_stream("web", 1).await.is_err() {
            poll.tick().await;
        }
    }

    async fn put(&mut self, n: usize) -> Vec<PutPlace> {
        let numbers = self.n_put..self.n_put + n;
        self.n_put += n;
        let entry = |n: usize| PutEntry {
            partition_key: format!("key{}", n % 97),
            data: n.to_string().into_bytes(),
        };
        let entries: Vec<_> = numbers.map(entry).collect();
        self.admin.put_records("web", &entries).await.unwrap()
    }

    async fn shards_of(&self, parents: &[ShardId]) -> Vec<ShardId> {
        let shards = self.admin.list_shards("web").await.unwrap();
        let children = shards.into_iter().filter(|shard| shard.parents == parents);
        children.map(|shard| shard.id).collect()
    }
}

/// Takes `n` records, each once, and acks them.
async fn take(driver: &mut Driver, n: usize) -> Vec<Emitted> {
    let emits = driver.emits(n).await;
    driver.ack_all(&emits);
    assert_eq!(numbers(&emits).len(), emits.len(), "nothing twice");
    emits
}

fn numbers(emits: &[Emitted]) -> BTreeSet<usize> {
    emits
        .iter()
        .map(|emitted| emitted.data().parse().unwrap())
        .collect()
}

/// Checks that each key's records come in the order in which they were put.
fn assert_in_order_by_key(emits: &[Emitted]) {
    let mut last = std::collections::BTreeMap::new();
    for emitted in emits {
        let key = emitted.value("partition_key").to_string();
        let number: usize = emitted.data().parse().unwrap();
        let before = last.insert(key, number);
        assert!(before < Some(number), "{number} after {before:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_all_through_a_split_and_a_merge_in_order_of_keys() {
    let mut world = World::new(2, EndpointOptions::default()).await;
    world.put(1000).await;
    let mut driver = world.setup.start();
    let mut emits = take(&mut driver, 1000).await;
    world.admin.split_shard("web", &shard_id(0)).await.unwrap();
    world.put(1000).await;
    emits.extend(take(&mut driver, 1000).await);
    let children = world.shards_of(&[shard_id(0)]).await;
    assert_eq!(children.len(), 2);
    let admin = &world.admin;
    admin
        .merge_shards("web", &children[0], &children[1])
        .await
        .unwrap();
    world.put(1000).await;
    emits.extend(take(&mut driver, 1000).await);
    assert_eq!(numbers(&emits), (0..3000).collect());
    assert_in_order_by_key(&emits);
    let finished = |shard: &ShardId| driver.metric("state", shard.as_str()) == 3;
    assert!(finished(&shard_id(0)) && children.iter().all(finished));
    driver.close().await;
    world.endpoint.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn iterators_that_live_for_a_second_lose_and_repeat_nothing() {
    let options = EndpointOptions {
        iterator_ttl: Duration::from_secs(1),
        ..EndpointOptions::default()
    };
    let mut world = World::new(1, options).await;
    world.setup.config.tip_interval = HumanDuration::from_millis(2100);
    let mut driver = world.setup.start();
    let mut emits = Vec::new();
    for _ in 0..3 {
        world.put(100).await;
        emits.extend(take(&mut driver, 100).await);
    }
    assert_eq!(numbers(&emits), (0..300).collect());
    assert!(driver.metric("expired", "shardId-000000000000") > 0);
    driver.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_reads_every_record_behind_the_checkpoint_and_none_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.redb");
    let open = || Arc::new(FileStore::open(&path).unwrap()) as Arc<dyn CheckpointStore>;
    let mut world = World::new(2, EndpointOptions::default()).await;
    world.setup.store = open();
    world.put(500).await;
    let mut driver = world.setup.start();
    let first = driver.emits(500).await;
    let done: Vec<_> = first
        .iter()
        .filter(|e| e.data().parse::<usize>().unwrap() < 300)
        .cloned()
        .collect();
    driver.ack_all(&done);
    driver.close().await;
    // The file has to be closed before it can be opened again.
    world.setup.store = Arc::new(MemoryStore::new());
    world.setup.store = open();
    world.put(100).await;
    let mut driver = world.setup.start();
    let again = take(&mut driver, 300).await;
    assert_eq!(numbers(&again), (300..600).collect());
    // Sequence numbers are far beyond 128 bits.
    assert!(
        again
            .iter()
            .all(|e| e.value("sequence").as_str().unwrap().len() > 39)
    );
    driver.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_loses_nothing() {
    let mut world = World::new(2, EndpointOptions::default()).await;
    world.put(1000).await;
    let mut seen = BTreeSet::new();
    let mut driver = world.setup.start();
    while seen.len() < 1000 {
        let mut emits = driver.emits(1).await;
        emits.extend(driver.run_for(Duration::from_millis(5)).await);
        // Some stay pending; most are done, but not saved yet.
        emits.truncate(emits.len() - emits.len() / 10);
        driver.ack_all(&emits);
        seen.extend(numbers(&emits));
        driver.run_for(Duration::from_millis(100)).await;
        driver.kill();
        driver = world.setup.start();
    }
    assert_eq!(seen, (0..1000).collect());
    driver.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_made_anew_under_its_name_needs_an_operators_word() {
    let mut world = World::new(1, EndpointOptions::default()).await;
    world.put(10).await;
    let mut driver = world.setup.start();
    take(&mut driver, 10).await;
    driver.close().await;
    world.admin.delete_stream("web").await.unwrap();
    world.create_again().await;
    world.put(5).await;
    let mut driver = world.setup.start();
    let refused = driver.metrics.get("state", "shardId-000000000000");
    let emits = driver.run_until(|| refused.get() == 5).await;
    assert!(
        emits.is_empty(),
        "numbers of the old stream mean nothing in the new one"
    );
    driver.close().await;
    world.setup.config.on_invalid_position = OnInvalidPosition::TrimHorizon;
    let mut driver = world.setup.start();
    assert_eq!(numbers(&take(&mut driver, 5).await), (10..15).collect());
    driver.close().await;
}
