//! What becomes of a spout whose checkpoint store is away for a while. In virtual time.

use std::time::Duration;

use squall_core::HumanDuration;

use crate::stores::Flaky;
use crate::world::{data, names, with, world};

#[tokio::test(start_paused = true)]
async fn a_start_waits_for_a_store_that_does_not_answer() {
    let (fake, store, setup) = world(1);
    fake.put_many(0, "r", 0..3);
    Flaky::set(&store.hangs, true);
    let mut driver = setup.start();
    assert!(driver.run_for(Duration::from_secs(60)).await.is_empty());
    // It is given up after ten seconds, and asked again soon.
    assert!((4..=7).contains(&store.n_calls()), "{}", store.n_calls());
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
