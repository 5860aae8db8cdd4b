//! The layout, byte by byte: who changes it changes the version.

use std::sync::Arc;

use squall_core::engine::{Batch, Contribution, Cursor, Delivery, Mark, RootId, Roots, Run, Word};
use squall_core::{Failure, FailureReason, Moment, TaskId, Value};
use squall_transport::wire::{Limits, begin_payload, encode_contribution, push_mark, push_rows};

use crate::samples::{EDGE, schemas};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn data_is_laid_out_as_documented() {
    let table = schemas();
    let mut batch = Batch::new(table.get(1).unwrap().clone(), TaskId(300));
    batch.push(&mut vec![Value::from("word")]);
    batch.push(&mut vec![Value::I64(-2)]);
    let root = RootId {
        task: TaskId(0),
        slot: 5,
        generation: 0x0102_0304_0506_0708,
    };
    let run = Run {
        batch_idx: 0,
        n_rows: 2,
        roots: Roots::One(root),
    };
    let delivery = Delivery::new(vec![Arc::new(batch)], vec![run], vec![1, 2], Moment::ZERO);
    let mut payload = Vec::new();
    begin_payload(&mut payload);
    let limits = Limits {
        max_len: 1000,
        max_cost: 1000,
        free_first: false,
    };
    push_rows(
        &mut payload,
        EDGE,
        (&delivery, &mut Cursor::new(&delivery)),
        (&table, limits),
        |_| {},
    );
    push_mark(&mut payload, EDGE, Mark::End(TaskId(300)));
    let expected = [
        "01",                                         // version
        "01 01 ac02 2b000000", // rows, from component 1 to task 300, 43 bytes
        "01 01 ac02",          // one batch: stream 1, source 300
        "02000000",            // two rows
        "01 00 05 0807060504030201 0100000000000000", // one root: task 0, slot 5; edge 1
        "84 776f7264",         // "word"
        "02 0200000000000000", // the same root; edge 2
        "03 03",               // -2
        "02 01 ac02 0b000000", // mark, 11 bytes
        "01 ac02 0000000000000000", // task 300 has ended
    ];
    assert_eq!(hex(&payload), expected.concat().replace(' ', ""));
}

#[test]
fn acks_are_laid_out_as_documented() {
    let contribution = |word| Contribution {
        slot: 300,
        generation: 1,
        word,
    };
    let failure = Failure {
        permanent: true,
        ..Failure::new(FailureReason::Lost, Some("split".into()), "gone")
    };
    let mut payload = Vec::new();
    begin_payload(&mut payload);
    for word in [
        Word::Xor(2),
        Word::Waiting,
        Word::Hold,
        Word::Release,
        Word::Fail(Box::new(failure)),
    ] {
        encode_contribution(&mut payload, TaskId(4), &contribution(word));
    }
    let root = "04 ac02 0100000000000000";
    let expected = format!(
        "01 01 {root} 0200000000000000 02 {root} 03 {root} 04 {root} 05 {root} 82 05 73706c6974 04 676f6e65"
    );
    assert_eq!(hex(&payload), expected.replace(' ', ""));
}

#[test]
fn the_fingerprint_stays_what_it_is() {
    assert_eq!(schemas().fingerprint(), 1_628_205_574_543_831_890);
}
