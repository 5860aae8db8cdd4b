//! Tuples out of thin air: [`tuple!`](crate::tuple) and where they are said to come from.

use std::sync::Arc;

use squall_core::engine::Batch;
use squall_core::{InputSpec, Schema, Str, StreamId, TaskId, Tuple, Value};

/// The component that tuples of [`tuple!`](crate::tuple) come from, and that a harness runs.
pub const COMPONENT: &str = "test";

/// Makes a tuple of the default stream: `tuple! { word: "a", count: 2 }`.
///
/// Anything that becomes a [`Value`] is a value. The tuple equals what a bolt of the same fields emits
/// in a [`BoltHarness`](crate::testing::BoltHarness), so the two can be compared.
#[macro_export]
macro_rules! tuple {
    ($($field:ident : $value:expr),* $(,)?) => {
        $crate::testing::tuple_of([$((stringify!($field), $crate::Value::from($value))),*])
    };
}

/// Makes a tuple of the default stream from pairs of field and value.
#[must_use]
pub fn tuple_of<'f>(row: impl IntoIterator<Item = (&'f str, Value)>) -> Tuple {
    let (fields, values) = row
        .into_iter()
        .map(|(field, value)| (Str::new(field), value))
        .unzip();
    let schema = Schema::new(COMPONENT.into(), StreamId::default(), fields);
    tuple_in(schema, values)
}

/// Says of a tuple that it comes from `component` or `component/stream`.
#[must_use]
pub fn sent_by(source: &str, tuple: &Tuple) -> Tuple {
    let InputSpec {
        component, stream, ..
    } = InputSpec::from_text(source, squall_core::Grouping::default());
    let schema = Schema::new(component, stream, tuple.fields().to_vec());
    tuple_in(schema, tuple.values().to_vec())
}

/// Makes a tuple of a stream; the values fit the schema.
pub(super) fn tuple_in(schema: Arc<Schema>, mut values: Vec<Value>) -> Tuple {
    let mut batch = Batch::new(schema, TaskId(0));
    batch.push(&mut values);
    Tuple::new(Arc::new(batch), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tuple_has_its_fields_and_source() {
        let tuple = tuple! { word: "a", count: 2 };
        assert_eq!(tuple.str("word"), Ok("a"));
        assert_eq!(tuple.i64("count"), Ok(2));
        let late = sent_by("parse/late", &tuple);
        assert_eq!(
            (late.source().as_str(), late.stream().as_str()),
            ("parse", "late")
        );
        assert_eq!(late.values(), tuple.values());
    }
}
