//! What must not happen when things go wrong at a bad moment. In virtual time.

use std::sync::atomic::Ordering;
use std::time::Duration;

use squall_core::replay::OnExhausted;
use squall_core::{Fence, Remedy};
use squall_kinesis::{ErrorClass, InitialPosition};

use crate::fake::{Fault, Op};
use crate::rejected;
use crate::world::{SHARD, data, stored, world};

#[tokio::test(start_paused = true)]
async fn progress_after_an_answer_that_was_lost_is_saved_and_nothing_comes_again() {
    let (fake, store, setup) = world(1);
    fake.put_many(0, "r", 0..3);
    let mut driver = setup.start();
    let emits = driver.emits(3).await;
    store.lost_answers.store(1, Ordering::SeqCst);
    driver.ack(&emits[0]);
    let lost = || store.lost_answers.load(Ordering::SeqCst) == 0;
    driver.run_until(lost).await;
    // What stands in the store now isn't what the next save would write.
    driver.ack(&emits[1]);
    assert!(driver.run_for(Duration::from_secs(5)).await.is_empty());
    let second = emits[1].value("sequence").to_string();
    assert!(stored(&store).await.contains(&second));
    // The same before the last save of all.
    store.lost_answers.store(1, Ordering::SeqCst);
    driver.ack(&emits[2]);
    driver.run_until(lost).await;
    fake.put(0, "r3");
    let emits = driver.emits(1).await;
    driver.ack_all(&emits);
    driver.close().await;
    let mut driver = setup.start();
    assert!(driver.run_for(Duration::from_secs(5)).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_panics_is_replaced_by_another() {
    let (fake, _, setup) = world(1);
    fake.put_many(0, "r", 0..3);
    let mut driver = setup.start();
    let emits = driver.emits(3).await;
    driver.ack_all(&emits);
    fake.fail_next(Op::Records, Some(0), Fault::Panic, 1);
    driver.run_for(Duration::from_secs(3)).await;
    fake.put_many(0, "later", 0..3);
    assert_eq!(data(&driver.emits(3).await), ["later0", "later1", "later2"]);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_panics_each_time_is_replaced_at_leisure() {
    let (fake, _, setup) = world(1);
    fake.fail_next(Op::Records, Some(0), Fault::Panic, 1000);
    let mut driver = setup.start();
    driver.run_for(Duration::from_secs(60)).await;
    let n_calls = fake.n_calls(Op::Records, None);
    assert!((30..=62).contains(&n_calls), "{n_calls} in a minute");
    fake.mend();
    fake.put(0, "r");
    assert_eq!(data(&driver.emits(1).await), ["r"]);
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_panics_asks_for_another_instance() {
    let (fake, _, setup) = world(1);
    fake.fail_next(Op::List, None, Fault::Panic, 1);
    let mut driver = setup.start();
    let error = driver.fails().await;
    assert_eq!(error.remedy(), Remedy::RestartTask, "{error}");
    drop(driver);
    fake.put(0, "r");
    assert_eq!(data(&setup.start().emits(1).await), ["r"]);
}

#[tokio::test(start_paused = true)]
async fn latest_means_the_first_start_even_if_the_stream_could_not_be_listed() {
    let (fake, _, mut setup) = world(1);
    fake.put(0, "old");
    tokio::time::advance(Duration::from_secs(5)).await;
    setup.config.initial_position = InitialPosition::Latest;
    let unreachable = Fault::Error(ErrorClass::Unreachable);
    fake.fail_next(Op::List, None, unreachable, 1000);
    let mut driver = setup.start();
    driver.run_for(Duration::from_secs(3)).await;
    driver.kill();
    fake.put(0, "new");
    tokio::time::advance(Duration::from_secs(600)).await;
    fake.mend();
    let mut driver = setup.start();
    assert_eq!(data(&driver.emits(1).await), ["new"]);
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_a_newer_copy_owns_gives_no_dead_letters() {
    let (fake, _, mut setup) = world(1);
    setup.config.replay.on_exhausted = OnExhausted::DeadLetter;
    setup.config.replay.max_attempts = std::num::NonZeroU32::MIN;
    fake.put_many(0, "r", 0..3);
    let mut old = setup.start();
    let emits = old.emits(3).await;
    setup.fence = Fence {
        placement_epoch: 2,
        incarnation: 1,
    };
    let mut new = setup.start();
    let taken = new.emits(3).await;
    new.ack(&taken[0]);
    new.run_for(Duration::from_secs(2)).await;
    old.ack(&emits[0]);
    old.run_for(Duration::from_secs(2)).await;
    assert_eq!(old.metric("state", SHARD), 6);
    old.fail(&emits[1], &rejected());
    assert!(old.run_for(Duration::from_secs(5)).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn children_that_are_listed_late_keep_the_stream_from_being_finished() {
    let (fake, _, setup) = world(1);
    fake.put(0, "p");
    let mut driver = setup.start();
    let emits = driver.emits(1).await;
    fake.close(0);
    // The listing shows the closed shard, and no other.
    driver.run_for(Duration::from_secs(40)).await;
    fake.add_shard(1, &[0]);
    fake.put(1, "c");
    driver.ack_all(&emits);
    assert_eq!(data(&driver.emits(1).await), ["c"]);
    assert!(!driver.said_finished);
}
