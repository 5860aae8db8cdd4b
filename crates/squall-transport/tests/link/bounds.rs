//! What a single end does with windows, numbers and what it can't send.

use std::time::Duration;

use squall_core::engine::{ComponentIdx, EdgeId, Item, Mark, RootId};
use squall_core::{Fence, Moment, TaskId, Value};
use squall_transport::link::{AckReceiver, DataReceiver, DataSender, LinkError};
use squall_transport::wire::{EncodeError, begin_payload, push_first_piece, push_mark, push_piece};

use crate::rows::{SOURCES, delivery, edges, schemas};

const PEER: Fence = Fence {
    placement_epoch: 1,
    incarnation: 1,
};
const NOW: Moment = Moment::ZERO;

fn sender() -> DataSender {
    DataSender::new(&edges(), schemas(), 1 << 20)
}

fn receiver(window: usize) -> DataReceiver {
    DataReceiver::new(&edges(), schemas(), window, 1 << 20)
}

/// Sends items over edge 0 and lays out as many frames as there are.
fn frames(sender: &mut DataSender, items: Vec<Item>) -> Vec<Vec<u8>> {
    let mut items = items.into_iter();
    sender.wake(0);
    let mut frames = Vec::new();
    loop {
        let (mut payload, mut refused) = (Vec::new(), Vec::new());
        let take = |edge_idx| (edge_idx == 0).then(|| items.next()).flatten();
        if sender
            .next_frame(NOW, &mut payload, take, &mut refused)
            .is_none()
        {
            assert!(refused.is_empty());
            return frames;
        }
        frames.push(payload);
    }
}

fn rows(first: u32, n: u32, n_bytes: usize) -> Item {
    let rows: Vec<_> = (first..first + n).map(|id| (id, n_bytes)).collect();
    Item::Rows(delivery(SOURCES[0], &rows))
}

#[test]
fn nothing_is_sent_beyond_the_window_until_something_is_confirmed() {
    let mut sender = sender();
    sender.open(PEER, 1000);
    let items = (0..20).map(|nth| rows(nth, 1, 100)).collect();
    let n_sent = frames(&mut sender, items).len();
    assert_eq!(n_sent, 1);
    let sent = sender.load().unconfirmed_bytes;
    assert!(sent > 700 && sent <= 1000, "{sent}");
    assert!(frames(&mut sender, vec![rows(30, 1, 0)]).is_empty());
    sender.confirm(edges()[0], 1).unwrap();
    assert!(sender.load().unconfirmed_bytes < sent);
    assert_eq!(frames(&mut sender, Vec::new()).len(), 1);
}

#[test]
fn an_edge_that_waits_for_credit_holds_up_no_other() {
    let mut sender = sender();
    sender.open(PEER, 1000);
    frames(&mut sender, (0..9).map(|nth| rows(nth, 1, 300)).collect());
    sender.wake(1);
    let mut items = vec![rows(50, 1, 10)];
    let mut payload = Vec::new();
    let take = |edge_idx| (edge_idx == 1).then(|| items.pop()).flatten();
    assert!(
        sender
            .next_frame(NOW, &mut payload, take, &mut Vec::new())
            .is_some()
    );
}

#[test]
fn an_empty_edge_admits_one_tuple_of_any_size_in_pieces() {
    let mut sender = sender();
    sender.open(PEER, 1000);
    let frames = frames(&mut sender, vec![rows(1, 1, 300_000), rows(2, 1, 1)]);
    assert_eq!(frames.len(), 5);
    let mut receiver = receiver(1000);
    let stream = receiver.open(PEER);
    let mut queued = 0;
    for (payload, number) in frames.iter().zip(1..) {
        receiver.take_frame(stream, number, payload, NOW).unwrap();
        assert!(receiver.deliver(|_, item| {
            queued += item.bytes();
            Ok(())
        }));
    }
    assert!(queued > 300_000);
    let mut news = Vec::new();
    receiver.take_news(usize::MAX, &mut news);
    assert_eq!(news, [(edges()[0], 1)]);
    sender.confirm(edges()[0], 1).unwrap();
    assert_eq!(sender.load().unconfirmed_bytes, 0);
}

#[test]
fn a_tuple_that_is_still_going_out_cannot_be_confirmed() {
    let mut sender = sender();
    sender.open(PEER, 1000);
    sender.wake(0);
    let mut items = vec![rows(1, 1, 300_000)];
    let mut payload = Vec::new();
    sender.next_frame(NOW, &mut payload, |_| items.pop(), &mut Vec::new());
    assert_eq!(
        sender.confirm(edges()[0], 1),
        Err(LinkError::WrongConfirmation {
            confirmed: 1,
            sent: 1
        })
    );
    // What was begun is lost as a whole, and nothing of it goes out on the next stream.
    let mut lost = Vec::new();
    sender.close(&mut lost);
    assert_eq!(lost.len(), 1);
    sender.open(PEER, 1000);
    assert!(frames(&mut sender, Vec::new()).is_empty());
}

#[test]
fn a_sender_that_ignores_the_window_is_cut_off() {
    let mut sender = sender();
    sender.open(PEER, 1 << 20);
    let items = (0..5).map(|nth| rows(nth, 1, 400)).collect();
    let frames = frames(&mut sender, items);
    let mut receiver = receiver(1000);
    let stream = receiver.open(PEER);
    let refused = receiver.take_frame(stream, 1, &frames[0], NOW);
    assert!(
        matches!(refused, Err(LinkError::CreditExceeded { window: 1000, .. })),
        "{refused:?}"
    );
    assert!(receiver.waiting_bytes() <= 1000);
}

#[test]
fn frames_out_of_order_and_of_other_streams_are_refused() {
    let mut sender = sender();
    sender.open(PEER, 1 << 20);
    let frames = frames(&mut sender, vec![rows(1, 1, 1)]);
    let mut receiver = receiver(1 << 20);
    let first = receiver.open(PEER);
    let refused = receiver.take_frame(first, 2, &frames[0], NOW);
    assert_eq!(
        refused,
        Err(LinkError::WrongNumber {
            expected: 1,
            found: 2
        })
    );
    let second = receiver.open(PEER);
    let refused = receiver.take_frame(first, 1, &frames[0], NOW);
    assert_eq!(refused, Err(LinkError::StaleStream { number: 1 }));
    receiver.take_frame(second, 1, &frames[0], NOW).unwrap();
    // The old stream's end is not the new one's.
    receiver.close(first);
    assert!(receiver.is_open(second) && receiver.waiting_bytes() > 0);
    receiver.close(second);
    assert_eq!(receiver.waiting_bytes(), 0);
    let refused = receiver.take_frame(second, 2, &frames[0], NOW);
    assert_eq!(refused, Err(LinkError::StaleStream { number: 2 }));
}

#[test]
fn sections_that_make_no_sense_are_refused() {
    let edge = edges()[0];
    let check = |expected: LinkError, lay: &dyn Fn(&mut Vec<u8>)| {
        let mut receiver = receiver(1 << 20);
        let stream = receiver.open(PEER);
        let mut payload = Vec::new();
        begin_payload(&mut payload);
        lay(&mut payload);
        assert_eq!(receiver.take_frame(stream, 1, &payload, NOW), Err(expected));
    };
    let nowhere = EdgeId {
        emitter: ComponentIdx(0),
        reader: TaskId(3),
    };
    let end = Mark::End(SOURCES[0]);
    check(LinkError::UnknownEdge { edge: nowhere }, &|payload| {
        push_mark(payload, nowhere, end);
    });
    check(LinkError::WrongMark { edge }, &|payload| {
        push_mark(payload, edge, Mark::End(TaskId(3)));
    });
    let wrong = LinkError::WrongPiece { edge };
    check(wrong.clone(), &|payload| push_piece(payload, edge, b"abc"));
    check(wrong.clone(), &|payload| {
        push_first_piece(payload, edge, 2, b"abc");
    });
    check(wrong.clone(), &|payload| {
        push_first_piece(payload, edge, 1 << 30, b"abc");
    });
    check(wrong.clone(), &|payload| {
        push_first_piece(payload, edge, 9, b"abc");
        push_mark(payload, edge, end);
    });
    check(wrong, &|payload| push_first_piece(payload, edge, 9, b""));
}

#[test]
fn a_tuple_that_cannot_leave_is_given_up_and_the_rest_goes() {
    let mut sender = sender();
    sender.open(PEER, 1 << 20);
    let deep = (0..200).fold(Value::Null, |inner, _| Value::from(vec![inner]));
    let mut item = delivery(SOURCES[0], &[(1, 0), (3, 0), (5, 0)]);
    let batch = item.batches[1].clone();
    let mut values = squall_core::engine::Batch::new(batch.schema().clone(), batch.source());
    values.push(&mut batch.row(0).to_vec());
    values.push(&mut vec![deep, Value::Null]);
    values.push(&mut batch.row(2).to_vec());
    item.batches[1] = values.into();
    let mut items = vec![Item::Rows(item)];
    let (mut payload, mut refused) = (Vec::new(), Vec::new());
    sender.wake(0);
    let number = sender.next_frame(NOW, &mut payload, |_| items.pop(), &mut refused);
    assert_eq!(number, Some(1));
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].why, EncodeError::TooDeep);
    assert_eq!(refused[0].roots[0].slot, 3);
    let mut lost = Vec::new();
    sender.close(&mut lost);
    assert_eq!(
        lost.iter().map(|root| root.slot).collect::<Vec<_>>(),
        [1, 5]
    );
}

#[test]
fn trees_of_what_waits_are_named_once_it_is_old() {
    let mut sender = sender();
    sender.open(PEER, 500);
    frames(&mut sender, vec![rows(1, 2, 100), rows(3, 9, 100)]);
    let waiting = |sender: &DataSender, secs| {
        let mut roots: Vec<RootId> = Vec::new();
        let now = NOW + Duration::from_secs(secs);
        sender.waiting(now, Duration::from_secs(7), &mut roots);
        roots.len()
    };
    // Taken and not sent: waits from the beginning. Sent: once it has been under way for long.
    let n_unsent = waiting(&sender, 0);
    assert!(n_unsent > 5);
    assert_eq!(waiting(&sender, 6), n_unsent);
    assert_eq!(
        waiting(&sender, 7),
        12,
        "eleven rows, one of them of two trees"
    );
    let mut lost = Vec::new();
    sender.abandon(&mut lost);
    assert_eq!(lost.len(), 12);
    assert_eq!(sender.load(), Default::default());
}

#[test]
fn ack_frames_out_of_order_and_of_other_streams_are_refused() {
    let mut receiver = AckReceiver::new();
    let first = receiver.open();
    let mut payload = Vec::new();
    begin_payload(&mut payload);
    let mut into = Vec::new();
    let wrong = receiver.take_frame(first, 2, &payload, &mut into);
    assert!(matches!(wrong, Err(LinkError::WrongNumber { .. })));
    receiver.take_frame(first, 1, &payload, &mut into).unwrap();
    assert_eq!(receiver.n_taken(), 1);
    let wrong = receiver.take_frame(first, 2, &[1, 9], &mut into);
    assert!(matches!(wrong, Err(LinkError::Malformed { number: 2, .. })));
    let second = receiver.open();
    let wrong = receiver.take_frame(first, 2, &payload, &mut into);
    assert_eq!(wrong, Err(LinkError::StaleStream { number: 2 }));
    receiver.close(first);
    assert!(receiver.is_open(second));
}
