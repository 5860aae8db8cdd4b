//! Rows: there and back.

use proptest::prelude::*;

use squall_core::engine::{Cursor, Delivery, Mark, RootId};
use squall_core::{Moment, TaskId, Value};
use squall_transport::wire::{
    Limits, SectionBody, Sections, Stop, Written, begin_payload, decode_rows, encode_large,
    push_first_piece, push_mark, push_piece, push_rows,
};

use crate::samples::{EDGE, at_row, column, delivery, meaning, schemas};

const FREE: Limits = Limits {
    max_len: usize::MAX,
    max_cost: usize::MAX,
    free_first: false,
};

/// Encodes a delivery into one payload; returns it, what was written and the roots that were kept.
fn encode(
    delivery: &Delivery,
    cursor: &mut Cursor,
    limits: Limits,
) -> (Vec<u8>, Written, Vec<RootId>) {
    let (mut payload, mut roots) = (Vec::new(), Vec::new());
    begin_payload(&mut payload);
    let written = push_rows(
        &mut payload,
        EDGE,
        (delivery, cursor),
        (&schemas(), limits),
        |root| roots.push(root),
    );
    (payload, written, roots)
}

/// Decodes the one rows section of a payload.
fn decode(payload: &[u8]) -> (Delivery, usize) {
    let sections: Vec<_> = Sections::new(payload)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(sections.len(), 1);
    assert_eq!(sections[0].edge, EDGE);
    let SectionBody::Rows(body) = sections[0].body else {
        panic!("{:?}", sections[0]);
    };
    decode_rows(body, &schemas(), Moment::from_nanos(5)).unwrap()
}

fn roots_of(delivery: &Delivery) -> Vec<RootId> {
    let mut roots = Vec::new();
    delivery.for_each_root(0, |root| roots.push(root));
    roots
}

proptest! {
    #[test]
    fn rows_come_back_as_they_were(delivery in delivery()) {
        let (payload, written, roots) = encode(&delivery, &mut Cursor::new(&delivery), FREE);
        prop_assert_eq!(written.stop, Stop::End);
        prop_assert_eq!(written.n_rows, delivery.n_rows());
        prop_assert_eq!(roots, roots_of(&delivery));
        let (back, cost) = decode(&payload);
        prop_assert_eq!(meaning(&back), meaning(&delivery));
        prop_assert_eq!(&back.runs, &delivery.runs);
        prop_assert_eq!(back.bytes, delivery.bytes);
        prop_assert_eq!(back.sent, Moment::from_nanos(5));
        // Both ends come to the same cost, and it covers what the receiver keeps.
        prop_assert_eq!(cost, written.cost);
        prop_assert!(back.bytes <= cost, "{} bytes at a cost of {cost}", back.bytes);
    }

    #[test]
    fn rows_that_hit_a_limit_go_on_in_the_next_payload(
        delivery in delivery(),
        max_len in 300usize..2000,
        max_cost in 1000usize..6000,
    ) {
        let limits = Limits { max_len, max_cost, free_first: false };
        let one_row = Limits { max_cost: 0, free_first: true, ..FREE };
        let (mut cursor, mut got) = (Cursor::new(&delivery), Vec::new());
        while !cursor.is_at_end(&delivery) {
            let n_read = cursor.n_read();
            let (mut payload, mut written, mut roots) = encode(&delivery, &mut cursor, limits);
            prop_assert!(payload.len() <= max_len && written.cost <= max_cost);
            if written.n_rows == 0 {
                // Only a row that is too large by itself stops it at the start.
                prop_assert_eq!((payload.len(), cursor.n_read()), (1, n_read));
                (payload, written, roots) = encode(&delivery, &mut cursor, one_row);
                prop_assert_eq!(written.n_rows, 1);
                prop_assert!(payload.len() > max_len || written.cost > max_cost);
            }
            prop_assert_eq!(cursor.n_read(), n_read + written.n_rows);
            let (part, cost) = decode(&payload);
            prop_assert_eq!(cost, written.cost);
            prop_assert_eq!(part.n_rows(), written.n_rows);
            prop_assert_eq!(roots, roots_of(&part));
            got.extend(meaning(&part));
        }
        prop_assert_eq!(got, meaning(&delivery));
    }

    #[test]
    fn a_row_encoded_apart_is_the_same_row(delivery in delivery(), at in any::<proptest::sample::Index>()) {
        let row_idx = at.index(delivery.n_rows());
        let place = at_row(&delivery, row_idx).peek(&delivery).unwrap();
        let mut body = Vec::new();
        let cost = encode_large(&mut body, (&delivery, &place), &schemas(), 1 << 20).unwrap();
        let (back, decoded_cost) = decode_rows(&body, &schemas(), Moment::ZERO).unwrap();
        prop_assert_eq!(&meaning(&back)[..], &meaning(&delivery)[row_idx..=row_idx]);
        prop_assert_eq!(decoded_cost, cost);
    }
}

#[test]
fn floats_keep_their_bits() {
    for bits in [
        0x7FF8_0000_0000_0001,
        0xFFF0_0000_0000_0000,
        0x8000_0000_0000_0000,
        1,
    ] {
        let delivery = column([Value::F64(f64::from_bits(bits))]);
        let (payload, ..) = encode(&delivery, &mut Cursor::new(&delivery), FREE);
        let (back, _) = decode(&payload);
        match back.batches[0].row(0) {
            [Value::F64(number)] => assert_eq!(number.to_bits(), bits),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn sections_of_all_kinds_follow_each_other() {
    let mut payload = Vec::new();
    begin_payload(&mut payload);
    push_mark(&mut payload, EDGE, Mark::End(TaskId(9)));
    push_first_piece(&mut payload, EDGE, 5, b"abc");
    push_piece(&mut payload, EDGE, b"de");
    let bodies: Vec<_> = Sections::new(&payload)
        .unwrap()
        .map(|section| section.unwrap().body)
        .collect();
    let expected = [
        SectionBody::Mark(Mark::End(TaskId(9))),
        SectionBody::FirstPiece {
            total: 5,
            bytes: b"abc",
        },
        SectionBody::Piece(b"de"),
    ];
    assert_eq!(bodies, expected);
}
