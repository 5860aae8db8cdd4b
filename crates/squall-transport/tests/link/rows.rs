//! Rows that can be told apart, and a topology to send them in.

use std::sync::Arc;

use squall_core::engine::{Batch, ComponentIdx, Cursor, Delivery, EdgeId, RootId, Roots, Run};
use squall_core::{ComponentId, Moment, Schema, StreamId, TaskId, Value};
use squall_transport::wire::{ComponentSchemas, SchemaTable};

/// The tasks of the emitting component.
pub(crate) const SOURCES: [TaskId; 2] = [TaskId(1), TaskId(2)];

/// A component with one task, then the emitter with two.
pub(crate) fn schemas() -> Arc<SchemaTable> {
    let component = |name: &str, n_tasks, streams: &[&str]| ComponentSchemas {
        component: ComponentId::new(name),
        n_tasks,
        schemas: streams
            .iter()
            .map(|stream| {
                let fields = vec!["id".into(), "filler".into()];
                Schema::new(name.into(), StreamId::new(stream), fields)
            })
            .collect(),
    };
    Arc::new(SchemaTable::new(&[
        component("in", 1, &["default"]),
        component("split", 2, &["a", "b"]),
    ]))
}

/// Edges from the emitter to three tasks.
pub(crate) fn edges() -> Vec<EdgeId> {
    (3..6)
        .map(|task| EdgeId {
            emitter: ComponentIdx(1),
            reader: TaskId(task),
        })
        .collect()
}

/// The roots of a row: each row has its own, every seventh two of them.
pub(crate) fn roots_of(id: u32) -> Roots {
    let root = |task| RootId {
        task: TaskId(task),
        slot: id,
        generation: 1 << 50,
    };
    if id.is_multiple_of(7) {
        Roots::Many([root(0), root(9)].into())
    } else {
        Roots::One(root(0))
    }
}

/// Lays out rows of one source: their ids and the bytes that each has besides.
pub(crate) fn delivery(source: TaskId, rows: &[(u32, usize)]) -> Delivery {
    let table = schemas();
    let mut batches: Vec<Batch> = (1..3)
        .map(|schema| Batch::new(table.get(schema).unwrap().clone(), source))
        .collect();
    let (mut runs, mut edges) = (Vec::new(), Vec::new());
    for (id, n_bytes) in rows {
        let batch_idx = id % 2;
        let filler = Value::from(vec![7u8; *n_bytes]);
        batches[batch_idx as usize].push(&mut vec![Value::from(*id), filler]);
        let roots = roots_of(*id);
        edges.extend(roots.as_slice().iter().map(|_| u64::from(*id)));
        runs.push(Run {
            batch_idx,
            n_rows: 1,
            roots,
        });
    }
    let batches = batches.into_iter().map(Arc::new).collect();
    Delivery::new(batches, runs, edges, Moment::ZERO)
}

/// Reads the ids off a delivery, each with its source. Checks the rest of each row.
pub(crate) fn ids_of(delivery: &Delivery) -> Vec<(TaskId, u32)> {
    let mut cursor = Cursor::new(delivery);
    let mut ids = Vec::new();
    while let Some(place) = cursor.advance(delivery) {
        let batch = &delivery.batches[place.batch_idx];
        let [Value::I64(id), Value::Bytes(filler)] = batch.row(place.row_idx) else {
            panic!("not one of our rows");
        };
        let id = u32::try_from(*id).unwrap();
        assert!(filler.iter().all(|byte| *byte == 7));
        assert_eq!(*place.roots, roots_of(id));
        assert!(place.edges.iter().all(|edge| *edge == u64::from(id)));
        ids.push((batch.source(), id));
    }
    ids
}
