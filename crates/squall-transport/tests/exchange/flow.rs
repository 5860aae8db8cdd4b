//! What flows while nothing breaks.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use squall_core::engine::{Batch, Delivery, Item, Mark, RootId, Roots, Run};
use squall_core::{FailureReason, Fence, Moment, Value};

use crate::spout::Spout;
use crate::world::{SPOUT, Setup, WINDOW, link, schemas, until};

/// An untracked row with so many bytes, or one under a root.
fn row(n_bytes: usize, roots: Roots) -> Item {
    let mut batch = Batch::new(schemas(&[]).get(0).unwrap().clone(), SPOUT);
    batch.push(&mut vec![Value::I64(0), Value::from(vec![5u8; n_bytes])]);
    let edges = roots.as_slice().iter().map(|_| 9).collect();
    let run = Run {
        batch_idx: 0,
        n_rows: 1,
        roots,
    };
    let delivery = Delivery::new(vec![Arc::new(batch)], vec![run], edges, Moment::ZERO);
    Item::Rows(delivery)
}

fn root(slot: u32) -> Roots {
    Roots::One(RootId {
        task: SPOUT,
        slot,
        generation: 1,
    })
}

#[tokio::test]
async fn every_message_arrives_once_in_order_and_is_acked() {
    let (source, sink) = (
        Setup::new(0, 1).start().await,
        Setup::new(1, 1).start().await,
    );
    link(&source, &sink).await;
    let mut spout = Spout::new(&source, 30_000, 20);
    until("all is acked", || {
        spout.read(&sink, usize::MAX);
        spout.turn(&source)
    })
    .await;
    assert_eq!(spout.account(), (0, 0));
    assert_eq!(spout.n_failed, 0);
    until("nothing is under way", || {
        source.link().is_idle() && sink.link().is_idle()
    })
    .await;
    let (there, back) = (source.link(), sink.link());
    assert_eq!(
        (there.n_breaks, there.bad_frames, there.last_error),
        (0, 0, None)
    );
    assert_eq!(there.unconfirmed_bytes, 0);
    assert!(there.frames_sent > 10 && there.bytes_sent > 30_000 * 30);
    assert_eq!(back.bytes_received, there.bytes_sent);
    assert_eq!(there.bytes_received, back.bytes_sent);
    source.kill().await;
    sink.kill().await;
}

#[tokio::test]
async fn a_slow_reader_holds_up_its_own_edge_within_its_window() {
    let (source, sink) = (
        Setup::new(0, 1).start().await,
        Setup::new(1, 1).start().await,
    );
    link(&source, &sink).await;
    sink.inlets[0].set_capacity(0);
    for _ in 0..500 {
        source.outlets[0].push(row(1000, Roots::None));
        source.outlets[1].push(row(1000, Roots::None));
    }
    let mut n_read = 0;
    until("the other reader gets everything", || {
        n_read += std::iter::from_fn(|| sink.inlets[1].take()).count();
        n_read == 500
    })
    .await;
    let waiting = sink.link().waiting_bytes;
    assert!(waiting > 0 && waiting <= WINDOW as u64, "{waiting}");
    assert!(
        source.outlets[0].len() > 400,
        "the rest waits at the source"
    );
    assert_eq!(sink.inlets[0].queue.len(), 0);
    sink.inlets[0].set_capacity(16);
    let mut n_read = 0;
    until("the slow reader goes on", || {
        n_read += std::iter::from_fn(|| sink.inlets[0].take()).count();
        n_read == 500
    })
    .await;
    until("nothing is under way", || source.link().is_idle()).await;
}

#[tokio::test]
async fn tuples_larger_than_frame_and_window_arrive() {
    let (source, sink) = (
        Setup::new(0, 1).start().await,
        Setup::new(1, 1).start().await,
    );
    link(&source, &sink).await;
    let sizes = [10, 15 << 20, 100_000, 70_000, 3, 5 << 20];
    for n_bytes in sizes {
        source.outlets[0].push(row(n_bytes, Roots::None));
    }
    let mut got = Vec::new();
    until("all have arrived", || {
        while let Some(item) = sink.inlets[0].take() {
            let Item::Rows(delivery) = item else { continue };
            match delivery.batches[0].row(0) {
                [_, Value::Bytes(bytes)] => got.push(bytes.len()),
                other => panic!("{other:?}"),
            }
        }
        got.len() == sizes.len()
    })
    .await;
    assert_eq!(got, sizes);
}

#[tokio::test]
async fn an_end_arrives_behind_the_rows_before_it() {
    let (source, sink) = (
        Setup::new(0, 1).start().await,
        Setup::new(1, 1).start().await,
    );
    link(&source, &sink).await;
    for _ in 0..3 {
        source.outlets[1].push(row(10, Roots::None));
    }
    source.outlets[1].push(Item::Mark(Mark::End(SPOUT)));
    until("the end has arrived", || sink.inlets[1].queue.len() == 4).await;
    let items: Vec<Item> = std::iter::from_fn(|| sink.inlets[1].take()).collect();
    assert!(matches!(items[3], Item::Mark(Mark::End(SPOUT))));
}

#[tokio::test]
async fn an_end_is_said_again_to_a_worker_that_had_no_place_for_a_while() {
    let (source, sink) = (
        Setup::new(0, 1).start().await,
        Setup::new(1, 1).start().await,
    );
    link(&source, &sink).await;
    source.outlets[1].push(Item::Mark(Mark::End(SPOUT)));
    until("the end has arrived", || sink.inlets[1].queue.len() == 1).await;
    source.links.set_peers(&[]);
    let placed = Setup {
        fence: Fence {
            placement_epoch: 2,
            incarnation: 1,
        },
        ..Setup::new(1, 1)
    };
    let placed = placed.start().await;
    link(&source, &placed).await;
    until("the end has arrived", || placed.inlets[1].queue.len() == 1).await;
    let item = placed.inlets[1].take();
    assert!(matches!(item, Some(Item::Mark(Mark::End(SPOUT)))));
    assert_eq!(
        placed.inlets[0].queue.len(),
        0,
        "of the other edge nothing was said"
    );
}

#[tokio::test]
async fn rows_for_a_reader_that_has_ended_are_lost_at_once() {
    let (source, sink) = (
        Setup::new(0, 1).start().await,
        Setup::new(1, 1).start().await,
    );
    link(&source, &sink).await;
    sink.inlets[0].closed.store(true, Ordering::SeqCst);
    source.outlets[0].push(row(10, root(3)));
    until("the owner hears of it", || {
        source.events.ack_inlets[&SPOUT].len() == 1
    })
    .await;
    let lost = sink.events.lost.lock().unwrap().clone();
    assert_eq!(lost.len(), 1);
    assert_eq!((lost[0].0.slot, lost[0].1.reason), (3, FailureReason::Lost));
    until("it counts as confirmed", || source.link().is_idle()).await;
}

#[tokio::test]
async fn a_tuple_that_no_frame_can_carry_fails_for_good() {
    let (source, sink) = (
        Setup::new(0, 1).start().await,
        Setup::new(1, 1).start().await,
    );
    link(&source, &sink).await;
    source.outlets[0].push(row(30 << 20, root(4)));
    source.outlets[0].push(row(1, root(5)));
    until("the next one arrives", || sink.inlets[0].queue.len() == 1).await;
    until("the first one failed", || {
        !source.events.lost.lock().unwrap().is_empty()
    })
    .await;
    let lost = source.events.lost.lock().unwrap().clone();
    assert_eq!((lost[0].0.slot, lost.len()), (4, 1));
    assert_eq!(lost[0].1.reason, FailureReason::Rejected);
    assert!(lost[0].1.permanent, "no retry will help");
}

#[tokio::test]
async fn trees_of_what_waits_for_a_peer_are_told_so() {
    let touch_every = Duration::from_millis(20);
    let setup = |idx| Setup {
        touch_every,
        ..Setup::new(idx, 1)
    };
    let (source, sink) = (setup(0).start().await, setup(1).start().await);
    link(&source, &sink).await;
    sink.inlets[0].set_capacity(0);
    // The clock stands still: only what couldn't be sent is known to wait.
    for slot in 0..100 {
        source.outlets[0].push(row(2000, root(slot)));
    }
    until("roots are told", || {
        source.events.n_waits.load(Ordering::SeqCst) > 0
    })
    .await;
}
