//! What becomes of a spout whose checkpoint store is away, slow, or another's. In virtual time.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use squall_core::{CheckpointStore, Fence, HumanDuration, Write};

use squall_store::cluster::{ClusterCheckpoints, ClusterStore, MemoryCluster};

use crate::driver::{Driver, Emitted, Setup};
use crate::fake::{Op, shard_id};
use crate::stores::Flaky;
use crate::world::{SHARD, data, names, settle, sorted, stored, with, world};

/// A setup whose shards pause soon.
fn impatient(setup: &Setup) -> Setup {
    with(setup, |config| {
        config.max_uncheckpointed = NonZeroU32::new(50).unwrap();
        config.replay.max_items = NonZeroU32::new(10).unwrap();
    })
}

/// Acks all that comes, for so long; returns it.
async fn work(driver: &mut Driver, time: Duration) -> Vec<Emitted> {
    let until = tokio::time::Instant::now() + time;
    let mut all = Vec::new();
    while tokio::time::Instant::now() < until {
        let emits = driver.run_for(Duration::from_millis(250)).await;
        driver.ack_all(&emits);
        all.extend(emits);
    }
    all
}

#[tokio::test(start_paused = true)]
async fn a_start_waits_for_a_store_that_does_not_answer() {
    let (fake, store, setup) = world(1);
    fake.put_many(0, "r", 0..3);
    Flaky::set(&store.hangs, true);
    let mut driver = setup.start();
    assert!(driver.run_for(Duration::from_secs(60)).await.is_empty());
    // It is given up after fifteen seconds, and asked again soon.
    assert!((3..=6).contains(&store.n_calls()), "{}", store.n_calls());
    Flaky::set(&store.hangs, false);
    assert_eq!(data(&driver.emits(3).await), names("r", 0..3));
}

#[tokio::test(start_paused = true)]
async fn the_end_does_not_wait_for_ever_for_a_store_that_does_not_answer() {
    let (fake, store, setup) = world(1);
    let setup = with(&setup, |config| {
        config.close_timeout = HumanDuration::from_millis(50);
    });
    fake.put_many(0, "r", 0..3);
    let mut driver = setup.start();
    let emits = driver.emits(3).await;
    driver.ack_all(&emits);
    Flaky::set(&store.hangs, true);
    driver.close().await;
    Flaky::set(&store.hangs, false);
    let mut driver = setup.start();
    assert_eq!(data(&driver.emits(3).await), names("r", 0..3));
}

#[tokio::test(start_paused = true)]
async fn sources_go_on_up_to_the_bound_then_pause_and_resume_with_nothing_lost_or_repeated() {
    let (fake, store, setup) = world(2);
    let mut driver = impatient(&setup).start();
    settle(&mut driver).await;
    fake.put_many(0, "a", 0..200);
    fake.put_many(1, "b", 0..20);
    Flaky::set(&store.no_writes, true);
    let n_commits = store.n_commits();
    let mut all = work(&mut driver, Duration::from_secs(50)).await;
    // The one shard has reached the bound, the other has nothing more to give.
    let (a, b): (Vec<_>, Vec<_>) = data(&all).into_iter().partition(|d| d.starts_with('a'));
    assert!((50..=60).contains(&a.len()), "{}", a.len());
    assert_eq!(b, names("b", 0..20));
    assert_eq!(driver.metric("paused_shards", ""), 1);
    assert_eq!(driver.metric("state", SHARD), 4);
    assert_eq!(driver.metric("uncheckpointed", shard_id(1).as_str()), 20);
    let n_commits = store.n_commits() - n_commits;
    assert!(n_commits <= 52, "{n_commits} tries: one a second");
    Flaky::set(&store.no_writes, false);
    all.extend(work(&mut driver, Duration::from_secs(30)).await);
    let a = data(&all).into_iter().filter(|d| d.starts_with('a'));
    assert_eq!(a.collect::<Vec<_>>(), names("a", 0..200));
    assert_eq!(driver.metric("paused_shards", ""), 0);
    assert_eq!(driver.metric("uncheckpointed", SHARD), 0);
    driver.close().await;
    let mut driver = setup.start();
    assert!(settle(&mut driver).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_answers_late_delays_nothing_but_what_needs_it() {
    let (fake, store, setup) = world(2);
    let mut driver = setup.start();
    settle(&mut driver).await;
    store.late_ms.store(7000, Ordering::SeqCst);
    let mut all = Vec::new();
    for n in 0..60 {
        fake.put_many(0, "r", n * 10..(n + 1) * 10);
        all.extend(work(&mut driver, Duration::from_secs(1)).await);
        let age = driver.metric("read_age_ms", SHARD);
        assert!(age < 2500, "the numbers stand still for {age} ms");
    }
    assert_eq!(data(&all), names("r", 0..600));
    assert_eq!(driver.metric("losses", SHARD), 0);
    // A shard that ends, and its child, which the store has to know of first.
    fake.reshard(&[1], &[2]);
    fake.put_many(2, "c", 0..3);
    let began = tokio::time::Instant::now();
    assert_eq!(data(&driver.emits(3).await), names("c", 0..3));
    assert!(began.elapsed() < Duration::from_secs(45));
    assert!(fake.n_calls(Op::List, None) < 20);
}

#[tokio::test(start_paused = true)]
async fn the_store_of_a_cluster_will_do() {
    let (fake, _, mut setup) = world(3);
    let cluster = Arc::new(MemoryCluster::new());
    let leader_epoch = cluster.raise_leader_epoch().await.unwrap();
    setup.store = Arc::new(ClusterCheckpoints::new(cluster, leader_epoch));
    fake.put_many(0, "r", 0..3);
    let mut driver = setup.start();
    let emits = driver.emits(3).await;
    driver.ack_all(&emits[..2]);
    fake.reshard(&[1], &[3]);
    fake.put_many(3, "c", 0..1);
    assert_eq!(data(&settle(&mut driver).await), ["c0"]);
    driver.close().await;
    setup.fence.incarnation += 1;
    let mut driver = setup.start();
    assert_eq!(sorted(&driver.emits(2).await), ["c0", "r2"]);
}

#[tokio::test(start_paused = true)]
async fn all_shards_are_saved_in_one_commit_a_second() {
    let (fake, store, setup) = world(50);
    let mut driver = setup.start();
    settle(&mut driver).await;
    let n_commits = store.n_commits();
    for n in 0..30 {
        for shard in 0..50 {
            fake.put(shard, &format!("s{shard}r{n}"));
        }
        work(&mut driver, Duration::from_secs(1)).await;
    }
    let n_commits = store.n_commits() - n_commits;
    assert!((25..=32).contains(&n_commits), "{n_commits} commits");
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_a_newer_copy_has_taken_is_silent_and_the_others_go_on() {
    let (fake, store, setup) = world(2);
    fake.put_many(0, "a", 0..10);
    fake.put_many(1, "b", 0..10);
    let mut driver = setup.start();
    let emits = driver.emits(20).await;
    let key = format!("top/clicks/web/{SHARD}");
    let entry = store.inner.load(&key).await.unwrap().unwrap();
    let write = Write {
        key,
        expected: Some(entry.version),
        value: Some(entry.value),
    };
    let newer = Fence {
        placement_epoch: 9,
        incarnation: 1,
    };
    store.inner.commit(newer, vec![write]).await.unwrap();
    let by_newer = stored(&store).await;
    driver.ack_all(&emits);
    settle(&mut driver).await;
    assert_eq!(driver.metric("state", SHARD), 6, "dropped");
    fake.put_many(0, "a", 10..20);
    fake.put_many(1, "b", 10..20);
    let emits = work(&mut driver, Duration::from_secs(120)).await;
    assert_eq!(data(&emits), names("b", 10..20));
    assert_eq!(stored(&store).await, by_newer, "never turned back");
}

/// Closes the spout while its first save is under way, whose answer then comes or is lost.
async fn close_in_the_middle(answer_is_lost: bool) {
    let (fake, store, setup) = world(1);
    let mut driver = setup.start();
    settle(&mut driver).await;
    fake.put_many(0, "r", 0..4);
    let emits = driver.emits(4).await;
    let n_before = store.n_commits();
    store.gate.shut();
    store
        .lost_answers
        .store(usize::from(answer_is_lost), Ordering::SeqCst);
    driver.ack(&emits[0]);
    driver.run_until(|| store.n_commits() > n_before).await;
    // These come while the store has the first.
    driver.ack_all(&emits[1..3]);
    let open = async {
        // By then the spout waits for its end.
        for _ in 0..5000 {
            tokio::task::yield_now().await;
        }
        store.gate.open();
    };
    tokio::join!(driver.close(), open);
    let last = emits[2].value("sequence").to_string();
    assert!(stored(&store).await.contains(&last));
    let n_commits = store.n_commits() - n_before;
    // What was lost is written once more, and found to stand there.
    let expected = if answer_is_lost { 3 } else { 2 };
    assert_eq!(n_commits, expected, "no write is under way twice");
    let mut driver = setup.start();
    assert_eq!(data(&driver.emits(1).await), ["r3"]);
}

#[tokio::test(start_paused = true)]
async fn an_end_while_a_save_is_under_way_waits_for_it_and_saves_the_rest() {
    close_in_the_middle(false).await;
}

#[tokio::test(start_paused = true)]
async fn an_end_while_a_save_is_under_way_gets_over_its_lost_answer() {
    close_in_the_middle(true).await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_while_a_save_is_under_way_loses_and_skips_nothing() {
    let (fake, store, setup) = world(1);
    let mut driver = setup.start();
    settle(&mut driver).await;
    fake.put_many(0, "r", 0..4);
    let emits = driver.emits(4).await;
    let before = stored(&store).await;
    store.gate.shut();
    let n_before = store.n_commits();
    driver.ack_all(&emits[..2]);
    driver.run_until(|| store.n_commits() > n_before).await;
    driver.kill();
    // It was done, though nobody heard of it.
    assert_ne!(stored(&store).await, before);
    store.gate.open();
    let mut driver = setup.start();
    assert_eq!(data(&driver.emits(2).await), ["r2", "r3"]);
}
