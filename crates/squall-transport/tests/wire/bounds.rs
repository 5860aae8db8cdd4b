//! Bounds on what is encoded and on what decoding may take.

use std::collections::BTreeMap;
use std::sync::Arc;

use squall_core::engine::{Anchor, Batch, Cursor, Delivery, RootId, Roots};
use squall_core::{Moment, Schema, TaskId, Value};
use squall_transport::wire::{
    EncodeError, Limits, MAX_ANCHORS_BYTES, MAX_DEPTH, Stop, WireError, begin_payload, decode_rows,
    encode_large, is_large, push_rows,
};

use crate::samples::{EDGE, at_row, column, schemas};

fn nested(depth: usize, in_maps: bool) -> Value {
    (0..depth).fold(Value::Null, |inner, _| {
        if in_maps {
            Value::from(BTreeMap::from([("k".into(), inner)]))
        } else {
            Value::from(vec![inner])
        }
    })
}

/// Encodes the first row of a delivery apart.
fn body_of(delivery: &Delivery, max_tuple_bytes: usize) -> Result<Vec<u8>, EncodeError> {
    let place = Cursor::new(delivery).peek(delivery).unwrap();
    let mut body = Vec::new();
    encode_large(&mut body, (delivery, &place), &schemas(), max_tuple_bytes)?;
    Ok(body)
}

#[test]
fn nesting_is_bounded_on_both_sides() {
    for in_maps in [false, true] {
        let body = body_of(&column([nested(MAX_DEPTH, in_maps)]), 1 << 20).unwrap();
        let (back, _) = decode_rows(&body, &schemas(), Moment::ZERO).unwrap();
        assert_eq!(back.batches[0].row(0), [nested(MAX_DEPTH, in_maps)]);
        assert_eq!(
            body_of(&column([nested(MAX_DEPTH + 1, in_maps)]), 1 << 20),
            Err(EncodeError::TooDeep)
        );
    }
    // A body that was made by hand: lists of one list each, far beyond what any stack could take.
    let mut body = vec![1, 1, 3, 1, 0, 0, 0, 0];
    for _ in 0..500_000 {
        body.extend_from_slice(&[7, 1]);
    }
    body.push(0);
    let refused = decode_rows(&body, &schemas(), Moment::ZERO).unwrap_err();
    assert_eq!(
        refused,
        WireError::TooDeep {
            at: 8 + 2 * MAX_DEPTH
        }
    );
}

#[test]
fn a_row_that_cannot_leave_stops_the_section_in_front_of_it() {
    let delivery = column([1i64.into(), nested(MAX_DEPTH + 1, false), 3i64.into()]);
    let limits = Limits {
        max_len: usize::MAX,
        max_cost: usize::MAX,
        free_first: false,
    };
    let mut payload = Vec::new();
    begin_payload(&mut payload);
    let push = |payload: &mut Vec<u8>, cursor: &mut Cursor| {
        push_rows(
            payload,
            EDGE,
            (&delivery, cursor),
            (&schemas(), limits),
            |_| {},
        )
    };
    let mut cursor = Cursor::new(&delivery);
    let written = push(&mut payload, &mut cursor);
    assert_eq!(written.n_rows, 1);
    assert_eq!(written.stop, Stop::Refused(EncodeError::TooDeep));
    let n_bytes = payload.len();
    let written = push(&mut payload, &mut cursor);
    assert_eq!(written.n_rows, 0);
    assert_eq!(written.stop, Stop::Refused(EncodeError::TooDeep));
    assert_eq!(payload.len(), n_bytes, "nothing of it is left behind");
    cursor.advance(&delivery);
    assert_eq!(push(&mut payload, &mut cursor).stop, Stop::End);
}

#[test]
fn large_rows_go_apart_and_have_a_bound() {
    let text = "x".repeat(40_000);
    let delivery = column([Value::from(text.as_str()), 1i64.into()]);
    let large = |row_idx| {
        is_large(
            &delivery,
            &at_row(&delivery, row_idx).peek(&delivery).unwrap(),
        )
    };
    assert!(large(0));
    assert!(!large(1));
    let max_tuple_bytes = 1 << 20;
    let bytes = vec![0u8; max_tuple_bytes + MAX_ANCHORS_BYTES];
    let refused = body_of(&column([Value::from(bytes)]), max_tuple_bytes);
    assert!(
        matches!(refused, Err(EncodeError::TooLarge { max_bytes, .. })
            if max_bytes == max_tuple_bytes + MAX_ANCHORS_BYTES),
        "{refused:?}"
    );
}

#[test]
fn a_row_of_many_trees_is_large() {
    let root = |slot| RootId {
        task: TaskId(1),
        slot,
        generation: 1 << 50,
    };
    let mut delivery = column([Value::Null]);
    delivery.runs[0].roots = Roots::Many((0..3000).map(root).collect());
    delivery.edges = (0..3000).collect();
    assert!(is_large(
        &delivery,
        &Cursor::new(&delivery).peek(&delivery).unwrap()
    ));
    let body = body_of(&delivery, 1024).unwrap();
    let (back, cost) = decode_rows(&body, &schemas(), Moment::ZERO).unwrap();
    assert_eq!((back.runs, back.edges), (delivery.runs, delivery.edges));
    assert!(cost > 3000 * size_of::<Anchor>());
}

#[test]
fn counts_beyond_the_bytes_are_refused_before_anything_is_allocated() {
    let huge = [0xFF, 0xFF, 0xFF, 0xFF, 0x0F];
    let check = |head: &[u8], what: &str| {
        let mut body = head.to_vec();
        body.extend_from_slice(&huge);
        body.extend_from_slice(&[0; 20]);
        match decode_rows(&body, &schemas(), Moment::ZERO).unwrap_err() {
            WireError::Truncated { what: found, .. } => assert_eq!(found, what),
            other => panic!("{what}: {other}"),
        }
    };
    check(&[], "batches");
    let one_row = [1, 1, 3, 1, 0, 0, 0];
    check(&[&one_row[..], &[0, 7]].concat(), "list");
    check(&[&one_row[..], &[0, 8]].concat(), "map");
    check(&[&one_row[..], &[0, 5]].concat(), "text");
    check(&[&one_row[..], &[0, 6]].concat(), "bytes");
    check(&[&one_row[..], &[3]].concat(), "roots");
    let rows = [1, 1, 3, 0xFF, 0xFF, 0xFF, 0xFF, 0];
    assert!(matches!(
        decode_rows(&rows, &schemas(), Moment::ZERO),
        Err(WireError::Truncated { what: "rows", .. })
    ));
}

#[test]
fn streams_and_rows_that_do_not_exist_are_refused() {
    let mut delivery = column([Value::Null]);
    delivery.runs[0].batch_idx = 1;
    let refused = body_of(&delivery, 1024);
    assert_eq!(refused, Err(EncodeError::NoSuchRow));
    let other = Schema::new("foreign".into(), "default".into(), Vec::new());
    delivery.batches[1] = Arc::new(Batch::new(other, TaskId(1)));
    let refused = body_of(&delivery, 1024);
    assert!(matches!(refused, Err(EncodeError::UnknownStream { .. })));
}
