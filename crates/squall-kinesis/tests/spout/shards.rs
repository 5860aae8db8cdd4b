//! How the spout follows the stream's shards, its errors and its other tasks. In virtual time.

use std::time::Duration;

use squall_core::{CheckpointStore, Fence};
use squall_kinesis::{ErrorClass, InitialPosition};

use crate::fake::{Fault, Op};
use crate::stores::Flaky;
use crate::world::{SHARD, data, names, settle, sorted, world};

const CHILD: &str = "shardId-000000000001";

async fn stored_shards(store: &Flaky) -> Vec<String> {
    let entries = store.inner.list("top/clicks/web/shardId").await.unwrap();
    let text = |(key, entry): (String, squall_core::Entry)| {
        let shard = key
            .rsplit('-')
            .next()
            .unwrap()
            .trim_start_matches('0')
            .to_owned();
        let end = String::from_utf8(entry.value)
            .unwrap()
            .contains("shard-end");
        format!("{shard}{}", if end { " ended" } else { "" })
    };
    entries.into_iter().map(text).collect()
}

#[tokio::test(start_paused = true)]
async fn children_follow_when_their_parent_is_done_and_not_before() {
    for tells_children in [true, false] {
        let (fake, store, setup) = world(1);
        if !tells_children {
            fake.hide_children();
        }
        fake.put_many(0, "p", 0..3);
        let mut driver = setup.start();
        let parents = driver.emits(3).await;
        fake.put_many(0, "p", 3..4);
        fake.reshard(&[0], &[1, 2]);
        fake.put_many(1, "a", 0..2);
        fake.put_many(2, "b", 0..2);
        // The last page has a record and no iterator.
        let last = driver.emits(1).await;
        assert_eq!(data(&last), ["p3"]);
        driver.ack_all(&parents);
        assert!(settle(&mut driver).await.is_empty(), "p3 is pending");
        assert_eq!(driver.metric("state", SHARD), 2, "draining");
        driver.ack_all(&last);
        let children = driver.emits(4).await;
        assert_eq!(sorted(&children), ["a0", "a1", "b0", "b1"]);
        assert_eq!(driver.metric("state", SHARD), 3, "finished");
        assert_eq!(stored_shards(&store).await, [" ended", "1", "2"]);
        fake.assert_polite();
    }
}

#[tokio::test(start_paused = true)]
async fn a_merged_shard_waits_for_both_of_its_parents() {
    let (fake, _, setup) = world(2);
    fake.put_many(0, "a", 0..2);
    fake.put_many(1, "b", 0..2);
    let mut driver = setup.start();
    let emits = driver.emits(4).await;
    fake.reshard(&[0, 1], &[2]);
    fake.put_many(2, "c", 0..2);
    let (of_a, of_b): (Vec<_>, Vec<_>) = emits.into_iter().partition(|e| e.data().starts_with('a'));
    driver.ack_all(&of_a);
    assert!(settle(&mut driver).await.is_empty());
    assert_eq!(driver.metric("state", "shardId-000000000002"), 0, "waiting");
    driver.ack_all(&of_b);
    assert_eq!(data(&driver.emits(2).await), ["c0", "c1"]);
}

#[tokio::test(start_paused = true)]
async fn children_begin_at_their_oldest_record_whatever_the_initial_position() {
    let (fake, _, mut setup) = world(1);
    setup.config.initial_position = InitialPosition::Latest;
    let mut driver = setup.start();
    settle(&mut driver).await;
    fake.reshard(&[0], &[1]);
    fake.put_many(1, "c", 0..3);
    assert_eq!(data(&driver.emits(3).await), names("c", 0..3));
}

#[tokio::test(start_paused = true)]
async fn a_restart_in_the_middle_of_a_reshard_goes_on_where_it_was() {
    let (fake, store, setup) = world(1);
    fake.put_many(0, "p", 0..3);
    let mut driver = setup.start();
    let parents = driver.emits(3).await;
    fake.reshard(&[0], &[1, 2]);
    fake.put_many(1, "a", 0..2);
    fake.put_many(2, "b", 0..2);
    driver.ack_all(&parents[..2]);
    settle(&mut driver).await;
    driver.kill();
    let mut driver = setup.start();
    let again = driver.emits(1).await;
    assert_eq!(data(&again), ["p2"]);
    driver.ack_all(&again);
    let children = driver.emits(4).await;
    assert_eq!(sorted(&children), ["a0", "a1", "b0", "b1"]);
    driver.ack_all(&children[..1]);
    settle(&mut driver).await;
    driver.kill();
    // The finished parent is not read again.
    let n_reads = fake.n_calls(Op::Records, Some(0));
    let mut driver = setup.start();
    assert_eq!(driver.emits(3).await.len(), 3);
    assert_eq!(fake.n_calls(Op::Records, Some(0)), n_reads);
    assert_eq!(stored_shards(&store).await, [" ended", "1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn a_finished_parent_is_forgotten_when_it_is_gone_and_its_children_go_on() {
    let (fake, store, setup) = world(1);
    fake.put_many(0, "p", 0..1);
    let mut driver = setup.start();
    let parents = driver.emits(1).await;
    driver.ack_all(&parents);
    fake.reshard(&[0], &[1]);
    settle(&mut driver).await;
    fake.remove(0);
    driver.run_for(Duration::from_secs(60)).await;
    assert_eq!(stored_shards(&store).await, [" ended", "1"]);
    fake.put_many(1, "c", 0..1);
    let children = driver.emits(1).await;
    driver.ack_all(&children);
    driver.run_for(Duration::from_secs(60)).await;
    assert_eq!(stored_shards(&store).await, ["1"]);
    driver.close().await;
    let mut driver = setup.start();
    assert!(settle(&mut driver).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn tasks_share_the_shards_and_hand_over_at_a_reshard() {
    let (fake, _, setup) = world(4);
    for shard in 0..4 {
        fake.put_many(shard, &format!("s{shard}r"), 0..3);
    }
    let mut tasks: Vec<_> = (0..2)
        .map(|task_idx| {
            let mut setup = setup.clone();
            setup.task_idx = task_idx;
            setup.n_tasks = 2;
            setup.start()
        })
        .collect();
    let even = tasks[0].emits(6).await;
    let odd = tasks[1].emits(6).await;
    assert!(
        even.iter()
            .all(|e| e.shard().ends_with('0') || e.shard().ends_with('2'))
    );
    assert!(
        odd.iter()
            .all(|e| e.shard().ends_with('1') || e.shard().ends_with('3'))
    );
    tasks[1].ack_all(&odd);
    // Shard 0 is the first task's, its child 5 the second's.
    fake.reshard(&[0], &[5]);
    fake.put_many(5, "c", 0..2);
    let (mut first, mut second) = (tasks.remove(0), tasks.remove(0));
    let (_, early) = tokio::join!(settle(&mut first), settle(&mut second));
    assert!(early.is_empty(), "the parent is pending");
    first.ack_all(&even);
    let (_, children) = tokio::join!(settle(&mut first), settle(&mut second));
    assert_eq!(data(&children), ["c0", "c1"], "within three seconds");
    fake.assert_polite();
}

#[tokio::test(start_paused = true)]
async fn tasks_of_workers_with_different_fences_keep_out_of_each_others_way() {
    let (fake, store, setup) = world(4);
    for shard in 0..4 {
        fake.put_many(shard, &format!("s{shard}r"), 0..3);
    }
    // Whichever of them was there first, and whatever moved or was restarted since.
    let mut tasks: Vec<_> = [(0, 3, 1), (1, 1, 9)]
        .into_iter()
        .map(|(task_idx, placement_epoch, incarnation)| {
            let mut setup = setup.clone();
            setup.task_idx = task_idx;
            setup.n_tasks = 2;
            setup.fence = Fence {
                placement_epoch,
                incarnation,
            };
            setup.start()
        })
        .collect();
    let (mut first, mut second) = (tasks.remove(0), tasks.remove(0));
    let (of_first, of_second) = tokio::join!(settle(&mut first), settle(&mut second));
    assert_eq!((of_first.len(), of_second.len()), (6, 6));
    first.ack_all(&of_first);
    second.ack_all(&of_second);
    fake.reshard(&[0], &[5]);
    fake.put_many(5, "c", 0..2);
    let (_, children) = tokio::join!(settle(&mut first), settle(&mut second));
    assert_eq!(data(&children), ["c0", "c1"]);
    second.ack_all(&children);
    tokio::join!(settle(&mut first), settle(&mut second));
    for task in [&first, &second] {
        let states = (0..6).map(|n| task.metric("state", crate::fake::shard_id(n).as_str()));
        assert!(states.into_iter().all(|state| state < 4), "none is dropped");
    }
    let entries = store.inner.list("top/clicks/web/shardId").await.unwrap();
    let by_first = |entry: &squall_core::Entry| entry.fence.placement_epoch == 3;
    assert_eq!(
        entries.iter().filter(|(_, entry)| by_first(entry)).count(),
        2
    );
}

#[tokio::test(start_paused = true)]
async fn more_tasks_than_shards_leave_some_idle() {
    let (fake, _, mut setup) = world(1);
    fake.put_many(0, "r", 0..1);
    setup.n_tasks = 3;
    setup.task_idx = 2;
    let mut idle = setup.start();
    assert!(settle(&mut idle).await.is_empty());
    setup.task_idx = 0;
    assert_eq!(setup.start().emits(1).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_or_failing_shard_delays_no_other() {
    let (fake, _, setup) = world(3);
    fake.set_latency(0, Duration::from_secs(3600));
    fake.fail_next(
        Op::Records,
        Some(1),
        Fault::Error(ErrorClass::Throttled),
        1000,
    );
    fake.put_many(2, "r", 0..5);
    let mut driver = setup.start();
    let emits = driver.run_for(Duration::from_secs(2)).await;
    assert_eq!(data(&emits), names("r", 0..5));
    driver.run_for(Duration::from_secs(60)).await;
    let throttled = driver.metric("throttled", CHILD);
    assert!(
        (5..=60).contains(&throttled),
        "{throttled} calls in a minute"
    );
    assert!(driver.metric("read_age_ms", SHARD) > 60_000);
    fake.assert_polite();
}

#[tokio::test(start_paused = true)]
async fn a_flood_in_one_shard_leaves_the_others_their_turn() {
    let (fake, _, setup) = world(2);
    fake.put_many(0, "flood", 0..5000);
    fake.put_many(1, "drop", 0..10);
    let mut driver = setup.start();
    driver
        .run_until(|| fake.n_calls(Op::Records, Some(1)) > 0)
        .await;
    let emits = driver.emits(40).await;
    let drops = emits
        .iter()
        .take(40)
        .filter(|e| e.data().starts_with("drop"));
    assert_eq!(drops.count(), 10);
}

#[tokio::test(start_paused = true)]
async fn iterators_that_expire_lose_and_repeat_nothing() {
    let (fake, _, mut setup) = world(1);
    // Each one is too old by the time of the next read at the tip.
    fake.set_iterator_life(Duration::from_millis(500));
    setup.config.page_records = std::num::NonZeroU32::new(7).unwrap();
    let mut driver = setup.start();
    let mut all = Vec::new();
    for n in 0..20 {
        fake.put_many(0, "r", n * 10..(n + 1) * 10);
        let emits = driver.run_for(Duration::from_secs(2)).await;
        driver.ack_all(&emits);
        all.extend(data(&emits));
    }
    all.extend(data(&settle(&mut driver).await));
    assert_eq!(all, names("r", 0..200));
    assert!(driver.metric("expired", SHARD) >= 10);
    fake.assert_polite();
}

#[tokio::test(start_paused = true)]
async fn a_null_iterator_of_an_open_shard_is_not_its_end() {
    let (fake, store, setup) = world(1);
    fake.put_many(0, "r", 0..3);
    fake.fail_next(Op::Records, Some(0), Fault::NullIterator, 1);
    let mut driver = setup.start();
    let emits = driver.emits(3).await;
    driver.ack_all(&emits);
    settle(&mut driver).await;
    fake.put_many(0, "r", 3..6);
    assert_eq!(data(&driver.emits(3).await), names("r", 3..6));
    assert_eq!(stored_shards(&store).await, [""]);
}

#[tokio::test(start_paused = true)]
async fn errors_of_every_call_are_got_over() {
    let (fake, _, setup) = world(2);
    for class in [
        ErrorClass::Transient,
        ErrorClass::Throttled,
        ErrorClass::Unreachable,
    ] {
        for op in [Op::List, Op::Iterator, Op::Records] {
            fake.fail_next(op, None, Fault::Error(class), 2);
        }
    }
    fake.fail_next(Op::List, None, Fault::Error(ErrorClass::ExpiredToken), 2);
    fake.put_many(0, "a", 0..3);
    fake.put_many(1, "b", 0..3);
    let mut driver = setup.start();
    let emits = driver.run_for(Duration::from_secs(300)).await;
    assert_eq!(sorted(&emits), ["a0", "a1", "a2", "b0", "b1", "b2"]);
    fake.assert_polite();
}

#[tokio::test(start_paused = true)]
async fn a_listing_in_many_pages_that_repeat_each_other_is_one() {
    let (fake, store, setup) = world(25);
    fake.set_list_page(4);
    for shard in 0..25 {
        fake.put_many(shard, &format!("s{shard:02}r"), 0..1);
    }
    let mut driver = setup.start();
    let emits = driver.emits(25).await;
    assert_eq!(sorted(&emits).len(), 25);
    assert!(settle(&mut driver).await.is_empty());
    assert_eq!(stored_shards(&store).await.len(), 25);
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_vanishes_is_finished_with_a_loss_and_its_children_follow() {
    let (fake, _, setup) = world(1);
    fake.put_many(0, "p", 0..1);
    let mut driver = setup.start();
    let emits = driver.emits(1).await;
    driver.ack_all(&emits);
    fake.reshard(&[0], &[1]);
    fake.put_many(1, "c", 0..1);
    fake.remove(0);
    assert_eq!(data(&driver.emits(1).await), ["c0"]);
    assert_eq!(driver.metric("losses", SHARD), 1);
}

#[tokio::test(start_paused = true)]
async fn a_trimmed_position_stops_the_shard_unless_told_otherwise() {
    let (fake, _, mut setup) = world(1);
    fake.put_many(0, "r", 0..10);
    let mut driver = setup.start();
    let emits = driver.emits(10).await;
    driver.ack_all(&emits[..2]);
    driver.close().await;
    fake.trim(0, 5);
    let mut driver = setup.start();
    assert!(settle(&mut driver).await.is_empty());
    assert_eq!(driver.metric("state", SHARD), 5);
    driver.close().await;
    setup.config.on_invalid_position = squall_kinesis::OnInvalidPosition::TrimHorizon;
    let mut driver = setup.start();
    assert_eq!(data(&driver.emits(5).await), names("r", 5..10));
    assert_eq!(driver.metric("losses", SHARD), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_shards_are_all_closed_and_done_is_finished() {
    let (fake, _, setup) = world(2);
    fake.put_many(0, "r", 0..2);
    let mut driver = setup.start();
    let emits = driver.emits(2).await;
    fake.close(0);
    fake.close(1);
    driver.ack_all(&emits);
    driver.finish().await;
    driver.close().await;
    let mut again = setup.start();
    again.finish().await;
}
