//! What the spout promises about its records: order, replay, checkpoints, restarts. In virtual time.

use std::sync::atomic::Ordering;
use std::time::Duration;

use squall_core::replay::OnExhausted;
use squall_core::{CheckpointStore, Failure, FailureReason, Fence, HumanDuration, Write};
use squall_kinesis::{InitialPosition, forget};

use crate::driver::Setup;
use crate::fake::Op;
use crate::rejected;
use crate::world::{SHARD, data, names, settle, stored, with, world};

#[tokio::test(start_paused = true)]
async fn emits_the_records_of_a_shard_in_order_with_all_fields() {
    let (fake, _, setup) = world(1);
    fake.put_many(0, "r", 0..100);
    let mut driver = setup.start();
    let emits = driver.emits(100).await;
    assert_eq!(data(&emits), names("r", 0..100));
    let first = &emits[0];
    assert_eq!(first.value("partition_key").as_str(), Some("key of r0"));
    assert_eq!(first.value("subsequence").as_i64(), Some(0));
    assert_eq!(first.shard(), SHARD);
    assert_eq!(first.value("stream").as_str(), Some("web"));
    assert_eq!(first.attempt(), 1);
    let arrival = first.value("approximate_arrival_ms").as_i64().unwrap();
    assert!(arrival >= 1_577_836_800_000);
    assert!(first.value("sequence").as_str().unwrap().len() >= 56);
    fake.assert_polite();
}

#[tokio::test(start_paused = true)]
async fn a_clean_restart_emits_what_is_above_the_checkpoint_and_nothing_else() {
    let (fake, _, setup) = world(1);
    fake.put_many(0, "r", 0..10);
    let mut driver = setup.start();
    let emits = driver.emits(10).await;
    // 0 to 3 are done, and so is 6, above the pending 4 and 5.
    driver.ack_all(&emits[..4]);
    driver.ack(&emits[6]);
    driver.close().await;
    let mut driver = setup.start();
    assert_eq!(data(&driver.emits(6).await), names("r", 4..10));
    assert!(driver.run_for(Duration::from_secs(5)).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn after_a_kill_only_what_was_not_saved_comes_again() {
    let (fake, store, setup) = world(1);
    fake.put_many(0, "r", 0..10);
    let mut driver = setup.start();
    let emits = driver.emits(10).await;
    driver.ack_all(&emits[..5]);
    settle(&mut driver).await;
    assert!(stored(&store).await.contains("after"));
    driver.ack_all(&emits[5..8]);
    driver.kill();
    let mut driver = setup.start();
    assert_eq!(data(&driver.emits(5).await), names("r", 5..10));
}

#[tokio::test(start_paused = true)]
async fn a_restart_before_the_first_ack_begins_again() {
    let (fake, _, setup) = world(1);
    fake.put_many(0, "r", 0..3);
    let mut driver = setup.start();
    driver.emits(3).await;
    driver.close().await;
    let mut driver = setup.start();
    assert_eq!(data(&driver.emits(3).await), names("r", 0..3));
}

#[tokio::test(start_paused = true)]
async fn latest_means_from_the_first_start_on_whatever_happens() {
    let (fake, _, setup) = world(1);
    fake.put_many(0, "old", 0..5);
    tokio::time::advance(Duration::from_secs(5)).await;
    let setup = with(&setup, |c| c.initial_position = InitialPosition::Latest);
    let mut driver = setup.start();
    assert!(driver.run_for(Duration::from_secs(3)).await.is_empty());
    driver.kill();
    // These come while nobody reads.
    fake.put_many(0, "new", 0..5);
    tokio::time::advance(Duration::from_secs(600)).await;
    let mut driver = setup.start();
    assert_eq!(data(&driver.emits(5).await), names("new", 0..5));
}

#[tokio::test(start_paused = true)]
async fn a_failed_record_comes_again_from_memory_under_the_same_id() {
    let (fake, _, setup) = world(1);
    fake.put_many(0, "r", 0..3);
    let mut driver = setup.start();
    let emits = driver.emits(3).await;
    driver.run_for(Duration::from_secs(1)).await;
    let n_seeks = fake.n_calls(Op::Iterator, None);
    driver.fail(&emits[1], &rejected());
    let again = driver.emits(1).await;
    assert_eq!((again[0].id, again[0].attempt()), (emits[1].id, 2));
    assert_eq!(again[0].data(), "r1");
    driver.fail(
        &again[0],
        &Failure::new(FailureReason::Lost, None, "a link broke"),
    );
    let again = driver.emits(1).await;
    assert_eq!(again[0].attempt(), 3);
    assert_eq!(fake.n_calls(Op::Iterator, None), n_seeks);
    assert_eq!(driver.metric("failed", SHARD), 2);
    assert_eq!(driver.metric("retried", SHARD), 2);
    assert_eq!(driver.metric("pending", SHARD), 3);
}

#[tokio::test(start_paused = true)]
async fn a_pending_record_holds_the_checkpoint_however_much_is_done_above_it() {
    let (fake, store, setup) = world(1);
    fake.put_many(0, "r", 0..500);
    let mut driver = setup.start();
    let emits = driver.emits(500).await;
    driver.ack_all(&emits[1..]);
    settle(&mut driver).await;
    assert!(stored(&store).await.contains("trim-horizon"));
    driver.ack(&emits[0]);
    settle(&mut driver).await;
    let last = emits[499].value("sequence").to_string();
    assert!(stored(&store).await.contains(&last));
}

fn exhausted(setup: &Setup, policy: OnExhausted) -> Setup {
    with(setup, |config| {
        config.replay.max_attempts = std::num::NonZeroU32::MIN;
        config.replay.on_exhausted = policy;
    })
}

#[tokio::test(start_paused = true)]
async fn an_exhausted_record_goes_to_the_dead_letters_before_it_is_done() {
    let (fake, store, setup) = world(1);
    fake.put_many(0, "r", 0..2);
    let setup = exhausted(&setup, OnExhausted::DeadLetter);
    let mut driver = setup.start();
    let emits = driver.emits(2).await;
    driver.ack(&emits[1]);
    driver.fail(&emits[0], &rejected());
    let letter = driver.emits(1).await.remove(0);
    assert_eq!(letter.stream, "dead-letters");
    assert_eq!((letter.data(), letter.attempt()), ("r0".to_owned(), 1));
    assert_eq!(letter.value("error").as_str(), Some("bolt: no luck"));
    settle(&mut driver).await;
    assert!(
        stored(&store).await.contains("trim-horizon"),
        "it isn't written yet"
    );
    // The first try to write it fails.
    driver.fail(&letter, &rejected());
    let letter = driver.emits(1).await.remove(0);
    assert_eq!(letter.stream, "dead-letters");
    driver.ack(&letter);
    settle(&mut driver).await;
    let last = emits[1].value("sequence").to_string();
    assert!(stored(&store).await.contains(&last));
    assert_eq!(driver.metric("dead", SHARD), 1);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_may_be_dropped_advances_the_checkpoint() {
    let (fake, store, setup) = world(1);
    fake.put_many(0, "r", 0..1);
    let setup = exhausted(&setup, OnExhausted::Drop);
    let mut driver = setup.start();
    let emits = driver.emits(1).await;
    driver.fail(&emits[0], &rejected());
    settle(&mut driver).await;
    assert!(stored(&store).await.contains("after"));
    assert_eq!(driver.metric("dead", SHARD), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_place_for_dead_letters_retries_go_on() {
    let (fake, store, setup) = world(1);
    fake.put_many(0, "r", 0..1);
    let setup = exhausted(&setup, OnExhausted::RetryAtCap);
    let mut driver = setup.start();
    let mut emits = driver.emits(1).await;
    for attempt in 2..10 {
        driver.fail(&emits[0], &rejected());
        emits = driver.emits(1).await;
        assert_eq!(emits[0].attempt(), attempt);
    }
    assert!(stored(&store).await.contains("trim-horizon"));
}

#[tokio::test(start_paused = true)]
async fn a_state_that_cannot_be_read_is_no_first_start() {
    let (fake, store, setup) = world(1);
    fake.put_many(0, "r", 0..10);
    let mut driver = setup.start();
    let emits = driver.emits(10).await;
    driver.ack_all(&emits[..5]);
    driver.close().await;
    store.no_reads.store(true, Ordering::SeqCst);
    let mut driver = setup.start();
    assert!(driver.run_for(Duration::from_secs(60)).await.is_empty());
    store.no_reads.store(false, Ordering::SeqCst);
    assert_eq!(data(&driver.emits(5).await), names("r", 5..10));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_stops_the_shard_at_the_bound_and_not_before() {
    let (fake, store, setup) = world(1);
    let setup = with(&setup, |config| {
        config.max_uncheckpointed = std::num::NonZeroU32::new(50).unwrap();
        config.replay.max_items = std::num::NonZeroU32::new(10).unwrap();
    });
    fake.put_many(0, "r", 0..200);
    let mut driver = setup.start();
    let first = driver.emits(1).await;
    store.no_writes.store(true, Ordering::SeqCst);
    driver.ack_all(&first);
    let mut n_emits = first.len();
    for _ in 0..50 {
        let emits = driver.run_for(Duration::from_millis(500)).await;
        driver.ack_all(&emits);
        n_emits += emits.len();
    }
    // What was pending when the bound was reached may go above it.
    assert!((50..=60).contains(&n_emits), "{n_emits}");
    assert_eq!(driver.metric("state", SHARD), 4, "blocked");
    store.no_writes.store(false, Ordering::SeqCst);
    while n_emits < 200 {
        let emits = driver.emits(1).await;
        driver.ack_all(&emits);
        n_emits += emits.len();
    }
    settle(&mut driver).await;
    assert_eq!(driver.metric("state", SHARD), 1, "reading");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_for_too_long_stops_the_shard() {
    let (fake, store, setup) = world(1);
    fake.put_many(0, "r", 0..1);
    let mut driver = setup.start();
    let emits = driver.emits(1).await;
    settle(&mut driver).await;
    store.no_writes.store(true, Ordering::SeqCst);
    driver.ack_all(&emits);
    driver.run_for(Duration::from_secs(30)).await;
    fake.put_many(0, "in time", 0..1);
    driver.emits(1).await;
    driver.run_for(Duration::from_secs(31)).await;
    fake.put_many(0, "too late", 0..1);
    assert!(driver.run_for(Duration::from_secs(30)).await.is_empty());
    assert!(driver.metric("checkpoint_age_ms", SHARD) > 60_000);
    store.no_writes.store(false, Ordering::SeqCst);
    assert_eq!(data(&driver.emits(1).await), ["too late0"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_the_store_that_was_lost_costs_nothing() {
    let (fake, store, setup) = world(1);
    fake.put_many(0, "r", 0..3);
    let mut driver = setup.start();
    let emits = driver.emits(3).await;
    settle(&mut driver).await;
    store.lost_answers.store(1, Ordering::SeqCst);
    driver.ack(&emits[0]);
    settle(&mut driver).await;
    driver.ack_all(&emits[1..]);
    settle(&mut driver).await;
    assert_eq!(driver.metric("state", SHARD), 1);
    let last = emits[2].value("sequence").to_string();
    assert!(stored(&store).await.contains(&last));
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_a_newer_copy_owns_is_dropped() {
    let (fake, store, setup) = world(1);
    fake.put_many(0, "r", 0..10);
    let mut old = setup.start();
    let emits = old.emits(10).await;
    old.ack_all(&emits[..2]);
    settle(&mut old).await;
    let mut newer = setup.clone();
    newer.fence = Fence {
        placement_epoch: 2,
        incarnation: 1,
    };
    let mut new = newer.start();
    let taken = new.emits(8).await;
    assert_eq!(data(&taken), names("r", 2..10));
    new.ack_all(&taken);
    settle(&mut new).await;
    let by_new = stored(&store).await;
    // The old copy goes on in good faith until it wants to save.
    old.ack_all(&emits[2..5]);
    settle(&mut old).await;
    old.fail(&emits[6], &rejected());
    fake.put_many(0, "later", 0..3);
    assert!(old.run_for(Duration::from_secs(60)).await.is_empty());
    assert_eq!(old.metric("state", SHARD), 6);
    assert_eq!(stored(&store).await, by_new, "never turned back");
    assert_eq!(data(&new.emits(3).await), names("later", 0..3));
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_was_written_under_the_same_fence_begins_again_from_there() {
    let (fake, store, setup) = world(1);
    fake.put_many(0, "r", 0..10);
    let mut driver = setup.start();
    let emits = driver.emits(10).await;
    driver.ack_all(&emits[..8]);
    settle(&mut driver).await;
    // An operator sets the position back.
    let key = format!("top/clicks/web/{SHARD}");
    let entry = store.inner.load(&key).await.unwrap().unwrap();
    let write = Write {
        key,
        expected: Some(entry.version),
        value: Some(br#"{"format":1,"checkpoint":"trim-horizon"}"#.to_vec()),
    };
    store.inner.commit(entry.fence, vec![write]).await.unwrap();
    driver.ack(&emits[8]);
    assert_eq!(data(&driver.emits(10).await), names("r", 0..10));
}

#[tokio::test(start_paused = true)]
async fn applications_read_a_stream_independently_and_one_can_be_forgotten() {
    let (fake, store, setup) = world(2);
    fake.put_many(0, "r", 0..3);
    fake.put_many(1, "r", 3..5);
    let other = with(&setup, |c| c.application = Some("other".to_owned()));
    for setup in [&setup, &other] {
        let mut driver = setup.start();
        let emits = driver.emits(5).await;
        driver.ack_all(&emits);
        driver.close().await;
        let mut driver = setup.start();
        assert!(driver.run_for(Duration::from_secs(5)).await.is_empty());
        driver.close().await;
    }
    assert_eq!(forget(&*store, "top/clicks", "web").await.unwrap(), 2);
    assert_eq!(setup.start().emits(5).await.len(), 5);
    let mut other = other.start();
    assert!(other.run_for(Duration::from_secs(5)).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_bound_on_what_is_in_flight_stops_emitting_and_then_reading() {
    let (fake, _, setup) = world(1);
    let setup = with(&setup, |config| {
        config.replay.max_items = std::num::NonZeroU32::new(10).unwrap();
        config.page_records = std::num::NonZeroU32::new(20).unwrap();
    });
    fake.put_many(0, "r", 0..200);
    let mut driver = setup.start();
    let emits = driver.run_for(Duration::from_secs(600)).await;
    assert_eq!(emits.len(), 10);
    // One page being emitted, one waiting, and no read for what can't be held.
    assert_eq!(fake.n_calls(Op::Records, None), 2);
    driver.ack_all(&emits);
    // The iterator has expired by now: reading goes on behind the last fetched record.
    let mut all = data(&emits);
    while all.len() < 200 {
        let emits = driver.emits(1).await;
        driver.ack_all(&emits);
        all.extend(data(&emits));
    }
    assert_eq!(all, names("r", 0..200));
    fake.assert_polite();
}

#[tokio::test(start_paused = true)]
async fn the_lag_is_that_of_the_oldest_record_that_is_not_done() {
    let (fake, _, setup) = world(1);
    let setup = with(&setup, |c| {
        c.checkpoint_interval = HumanDuration::from_millis(100);
    });
    fake.put_many(0, "r", 0..1);
    let mut driver = setup.start();
    let emits = driver.emits(1).await;
    driver.run_for(Duration::from_secs(20)).await;
    let lag = driver.metric("lag_ms", SHARD);
    assert!((19_000..22_000).contains(&lag), "{lag}");
    driver.ack_all(&emits);
    settle(&mut driver).await;
    assert_eq!(driver.metric("lag_ms", SHARD), 0);
}
