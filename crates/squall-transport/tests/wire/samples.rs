//! Values, deliveries and contributions of all kinds.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use squall_core::engine::{
    Batch, ComponentIdx, Contribution, Cursor, Delivery, EdgeId, RootId, Roots, Run, Word,
};
use squall_core::{
    ComponentId, Failure, FailureReason, Moment, Schema, Str, StreamId, TaskId, Value,
};
use squall_transport::wire::{ComponentSchemas, SchemaTable};

/// The streams of the samples, by the number of their fields.
pub(crate) fn schemas() -> SchemaTable {
    let schema = |component: &str, stream: &str, n_fields: usize| {
        let fields = (0..n_fields)
            .map(|nth| Str::from(format!("f{nth}")))
            .collect();
        Schema::new(component.into(), StreamId::new(stream), fields)
    };
    let component = |component: &str, schemas: Vec<Arc<Schema>>| ComponentSchemas {
        component: ComponentId::new(component),
        n_tasks: 4,
        schemas,
    };
    SchemaTable::new(&[
        component("in", vec![schema("in", "default", 1)]),
        component(
            "split",
            vec![
                schema("split", "default", 1),
                schema("split", "wide", 3),
                schema("split", "empty", 0),
            ],
        ),
    ])
}

pub(crate) const EDGE: EdgeId = EdgeId {
    emitter: ComponentIdx(1),
    reader: TaskId(300),
};

/// Any value but those that don't equal themselves.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::I64),
        (-300i64..300).prop_map(Value::I64),
        any::<f64>()
            .prop_filter("NaN differs from itself", |number| !number.is_nan())
            .prop_map(Value::F64),
        ".{0,40}".prop_map(|text| Value::from(text.as_str())),
        "[a-z]{120,140}".prop_map(|text| Value::from(text.as_str())),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map("[a-d]{0,3}", inner, 0..6).prop_map(|map| {
                let map: BTreeMap<Str, Value> = map
                    .into_iter()
                    .map(|(key, value)| (Str::from(key), value))
                    .collect();
                Value::from(map)
            }),
        ]
    })
}

fn root() -> impl Strategy<Value = RootId> + Clone {
    // Few of them, so that neighbours share one.
    (
        0u32..2,
        0u32..3,
        prop_oneof![Just(1u64 << 50), any::<u64>()],
    )
        .prop_map(|(task, slot, generation)| RootId {
            task: TaskId(task * 70_000),
            slot,
            generation,
        })
}

fn roots() -> impl Strategy<Value = Roots> {
    prop_oneof![
        1 => Just(Roots::None),
        4 => root().prop_map(Roots::One),
        1 => proptest::collection::vec(root(), 2..5).prop_map(|many| Roots::Many(many.into())),
    ]
}

/// A row: its batch, values and trees.
type Emitted = (u32, Vec<Value>, Roots);

/// A delivery of several streams, its rows in any order of them.
pub(crate) fn delivery() -> impl Strategy<Value = Delivery> {
    let row = (0u32..3, proptest::collection::vec(value(), 3), roots());
    let rows = proptest::collection::vec((row, 1usize..3), 1..9);
    rows.prop_map(|rows| {
        let repeat = |(row, times)| std::iter::repeat_n(row, times);
        lay_out(rows.into_iter().flat_map(repeat))
    })
}

/// Lays rows out as a runtime does.
fn lay_out(rows: impl Iterator<Item = Emitted>) -> Delivery {
    let table = schemas();
    let mut batches: Vec<Batch> = (1..4)
        .map(|id| Batch::new(table.get(id).unwrap().clone(), TaskId(7 + id)))
        .collect();
    let (mut runs, mut edges): (Vec<Run>, Vec<u64>) = Default::default();
    for (batch_idx, mut values, roots) in rows {
        let batch = &mut batches[batch_idx as usize];
        values.truncate(batch.schema().fields.len());
        batch.push(&mut values);
        let next_edge = 1000 + edges.len() as u64;
        edges.extend((next_edge..).take(roots.as_slice().len()));
        match runs.last_mut() {
            Some(run) if run.batch_idx == batch_idx && run.roots == roots => run.n_rows += 1,
            _ => runs.push(Run {
                batch_idx,
                n_rows: 1,
                roots,
            }),
        }
    }
    let batches = batches.into_iter().map(Arc::new).collect();
    Delivery::new(batches, runs, edges, Moment::ZERO)
}

/// A delivery of untracked rows of one stream with one field.
pub(crate) fn column(values: impl IntoIterator<Item = Value>) -> Delivery {
    let rows = values
        .into_iter()
        .map(|value| (0, vec![value], Roots::None));
    lay_out(rows)
}

/// What one row means: its stream, source, values, trees and edge ids.
pub(crate) type Meaning = (String, TaskId, Vec<Value>, Roots, Vec<u64>);

/// What a delivery means, row by row.
pub(crate) fn meaning(delivery: &Delivery) -> Vec<Meaning> {
    let mut cursor = Cursor::new(delivery);
    let rows = std::iter::from_fn(|| cursor.advance(delivery));
    rows.map(|place| {
        let batch = &delivery.batches[place.batch_idx];
        (
            format!("{}/{}", batch.schema().component, batch.schema().stream),
            batch.source(),
            batch.row(place.row_idx).to_vec(),
            place.roots.clone(),
            place.edges.to_vec(),
        )
    })
    .collect()
}

/// Places the cursor in front of a row.
pub(crate) fn at_row(delivery: &Delivery, row_idx: usize) -> Cursor {
    let mut cursor = Cursor::new(delivery);
    for _ in 0..row_idx {
        cursor.advance(delivery);
    }
    cursor
}

pub(crate) fn contribution() -> impl Strategy<Value = (TaskId, Contribution)> {
    let reason = prop_oneof![
        Just(FailureReason::Rejected),
        Just(FailureReason::TimedOut),
        Just(FailureReason::Lost),
        Just(FailureReason::Drained),
    ];
    let failure = (
        reason,
        proptest::option::of("[a-z]{1,9}"),
        ".{0,80}",
        any::<bool>(),
    );
    let word = prop_oneof![
        any::<u64>().prop_map(Word::Xor),
        Just(Word::Waiting),
        Just(Word::Hold),
        Just(Word::Release),
        failure.prop_map(|(reason, component, text, permanent)| {
            let component = component.map(ComponentId::new);
            Word::Fail(Box::new(Failure {
                permanent,
                ..Failure::new(reason, component, &text)
            }))
        }),
    ];
    (any::<u32>(), any::<u32>(), any::<u64>(), word).prop_map(|(task, slot, generation, word)| {
        let contribution = Contribution {
            slot,
            generation,
            word,
        };
        (TaskId(task), contribution)
    })
}
