//! One tuple as a bolt sees it.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::batch::Batch;
use crate::error::RowError;
use crate::fields::Schema;
use crate::ids::{ComponentId, StreamId, TaskId};
use crate::value::{FromRow, Str, Value, append_clones, from_row};

/// A row of named values and where it came from.
///
/// The tuple that `execute` is handed looks into the batch it arrived in. A clone has a copy of its
/// own row, so that keeping one tuple doesn't keep its whole batch.
pub struct Tuple {
    rows: Rows,
    row_idx: usize,
}

/// Where a tuple's row lies.
enum Rows {
    /// In a batch, with others.
    Shared(Arc<Batch>),
    /// In a batch of its own, as the only one.
    Own(Box<Batch>),
}

/// A field that isn't there, or holds a value of another type.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FieldError {
    /// The stream has no such field.
    #[error("no field `{field}` in {source_id}/{stream_id}, which has: {}", .declared.join(", "))]
    Missing {
        /// What was asked for.
        field: String,
        /// The component that emits the stream.
        source_id: ComponentId,
        /// The stream.
        stream_id: StreamId,
        /// The fields that it has.
        declared: Vec<Str>,
    },
    /// The field holds a value of another type.
    #[error("field `{field}` holds {found}, not {expected}")]
    WrongType {
        /// The field.
        field: String,
        /// The type asked for.
        expected: &'static str,
        /// The type found.
        found: &'static str,
    },
}

impl Tuple {
    /// Looks at one row of a batch. Engine use.
    #[must_use]
    pub const fn new(batch: Arc<Batch>, row_idx: usize) -> Self {
        let rows = Rows::Shared(batch);
        Self { rows, row_idx }
    }

    /// Makes a tuple that holds one row itself. Engine use.
    ///
    /// The caller has checked that the row has as many values as the schema has fields.
    #[must_use]
    pub fn own(schema: Arc<Schema>, source: TaskId, mut row: Vec<Value>) -> Self {
        let mut batch = Batch::new(schema, source);
        batch.push(&mut row);
        let rows = Rows::Own(Box::new(batch));
        Self { rows, row_idx: 0 }
    }

    /// Exchanges the values of a tuple that holds its row itself for those of `row`, of the same length.
    /// Engine use: one tuple serves for many rows, and none of them is copied. Others it leaves as they are.
    #[inline]
    pub fn exchange(&mut self, row: &mut Vec<Value>) {
        if let Rows::Own(batch) = &mut self.rows {
            batch.exchange(row);
        }
    }

    /// Moves on to another row of the same batch. Engine use: saves a count of the batch per row.
    pub const fn seek(&mut self, row_idx: usize) {
        self.row_idx = row_idx;
    }

    /// Returns the values in the order of the stream's fields.
    #[must_use]
    #[inline]
    pub fn values(&self) -> &[Value] {
        self.batch().row(self.row_idx)
    }

    /// Returns the fields' names.
    #[must_use]
    pub fn fields(&self) -> &[Str] {
        &self.batch().schema().fields
    }

    /// Returns the stream's schema.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        self.batch().schema()
    }

    /// Returns the stream that the tuple was emitted to.
    #[must_use]
    pub fn stream(&self) -> &StreamId {
        &self.batch().schema().stream
    }

    /// Returns the component that emitted the tuple.
    #[must_use]
    pub fn source(&self) -> &ComponentId {
        &self.batch().schema().component
    }

    /// Returns the task that emitted the tuple.
    #[must_use]
    pub fn source_task(&self) -> TaskId {
        self.batch().source()
    }

    /// Returns a field's value, whatever its type.
    ///
    /// # Errors
    /// [`FieldError::Missing`].
    #[inline]
    pub fn get(&self, field: &str) -> Result<&Value, FieldError> {
        let schema = self.batch().schema();
        match schema.index_of(field) {
            Some(field_idx) => Ok(&self.values()[field_idx]),
            None => Err(FieldError::Missing {
                field: field.to_owned(),
                source_id: schema.component.clone(),
                stream_id: schema.stream.clone(),
                declared: schema.fields.clone(),
            }),
        }
    }

    /// Returns the text of a field.
    ///
    /// # Errors
    /// [`FieldError`] when the field is missing or no text.
    #[inline]
    pub fn str(&self, field: &str) -> Result<&str, FieldError> {
        self.typed(field, "str", Value::as_str)
    }

    /// Returns the integer of a field.
    ///
    /// # Errors
    /// [`FieldError`] when the field is missing or no `i64`.
    #[inline]
    pub fn i64(&self, field: &str) -> Result<i64, FieldError> {
        self.typed(field, "i64", Value::as_i64)
    }

    /// Returns the number of a field, integers converted.
    ///
    /// # Errors
    /// [`FieldError`] when the field is missing or no number.
    pub fn f64(&self, field: &str) -> Result<f64, FieldError> {
        self.typed(field, "f64", Value::as_f64)
    }

    /// Returns the truth value of a field.
    ///
    /// # Errors
    /// [`FieldError`] when the field is missing or no `bool`.
    pub fn bool(&self, field: &str) -> Result<bool, FieldError> {
        self.typed(field, "bool", Value::as_bool)
    }

    /// Returns the bytes of a field, or the UTF-8 bytes of a text field.
    ///
    /// # Errors
    /// [`FieldError`] when the field is missing or neither bytes nor text.
    pub fn bytes(&self, field: &str) -> Result<&[u8], FieldError> {
        self.typed(field, "bytes", Value::as_bytes)
    }

    /// Reads the whole tuple into a struct, field by field.
    ///
    /// # Errors
    /// [`RowError`] when a field that `T` needs is missing or of another type.
    pub fn to<T: FromRow>(&self) -> Result<T, RowError> {
        from_row(self.fields(), self.values())
    }

    #[inline]
    fn batch(&self) -> &Batch {
        match &self.rows {
            Rows::Shared(batch) => batch,
            Rows::Own(batch) => batch,
        }
    }

    fn typed<'t, T>(
        &'t self,
        field: &str,
        expected: &'static str,
        read: impl FnOnce(&'t Value) -> Option<T>,
    ) -> Result<T, FieldError> {
        let value = self.get(field)?;
        read(value).ok_or_else(|| FieldError::WrongType {
            field: field.to_owned(),
            expected,
            found: value.kind(),
        })
    }
}

/// Copies the row, so that the batch it came in can go.
impl Clone for Tuple {
    fn clone(&self) -> Self {
        let batch = self.batch();
        let row = self.values().to_vec();
        Self::own(batch.schema().clone(), batch.source(), row)
    }
}

/// Compares source, stream, fields and values.
impl PartialEq for Tuple {
    fn eq(&self, other: &Self) -> bool {
        self.schema() == other.schema() && self.values() == other.values()
    }
}

impl fmt::Debug for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} ", self.source(), self.stream())?;
        f.debug_map()
            .entries(self.fields().iter().zip(self.values()))
            .finish()
    }
}

/// What `emit` takes: arrays and Rust tuples of anything that becomes a [`Value`], or a list of values.
pub trait IntoRow {
    /// Appends the row's values.
    fn append_to(self, row: &mut Vec<Value>);
}

impl<T: Into<Value>, const N: usize> IntoRow for [T; N] {
    fn append_to(self, row: &mut Vec<Value>) {
        row.extend(self.into_iter().map(Into::into));
    }
}

impl IntoRow for Vec<Value> {
    fn append_to(mut self, row: &mut Vec<Value>) {
        row.append(&mut self);
    }
}

impl IntoRow for &[Value] {
    fn append_to(self, row: &mut Vec<Value>) {
        append_clones(row, self);
    }
}

impl IntoRow for () {
    fn append_to(self, _row: &mut Vec<Value>) {}
}

macro_rules! row_from_tuple {
    ($($name:ident)+) => {
        impl<$($name: Into<Value>),+> IntoRow for ($($name,)+) {
            #[expect(non_snake_case, reason = "one macro argument names both the type and the variable")]
            fn append_to(self, row: &mut Vec<Value>) {
                let ($($name,)+) = self;
                // An array of known length: one check for room instead of one for each value.
                row.extend([$($name.into()),+]);
            }
        }
    };
}

row_from_tuple!(A);
row_from_tuple!(A B);
row_from_tuple!(A B C);
row_from_tuple!(A B C D);
row_from_tuple!(A B C D E);
row_from_tuple!(A B C D E F);
row_from_tuple!(A B C D E F G);
row_from_tuple!(A B C D E F G H);
row_from_tuple!(A B C D E F G H I);
row_from_tuple!(A B C D E F G H I J);

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple() -> Tuple {
        let schema = Schema::new(
            "split".into(),
            StreamId::default(),
            vec!["word".into(), "count".into()],
        );
        let mut batch = Batch::new(schema, TaskId(3));
        for row in [("a", 1), ("b", 2)] {
            let mut values = Vec::new();
            row.append_to(&mut values);
            batch.push(&mut values);
        }
        Tuple::new(Arc::new(batch), 1)
    }

    #[test]
    fn reads_fields_by_name_and_type() {
        let tuple = tuple();
        assert_eq!(tuple.str("word"), Ok("b"));
        assert_eq!(tuple.i64("count"), Ok(2));
        assert_eq!(tuple.f64("count"), Ok(2.0));
        assert_eq!(tuple.source_task(), TaskId(3));
        assert_eq!(
            tuple.i64("word").unwrap_err().to_string(),
            "field `word` holds str, not i64"
        );
        assert_eq!(
            tuple.str("wrod").unwrap_err().to_string(),
            "no field `wrod` in split/default, which has: word, count"
        );
    }

    #[test]
    fn a_clone_keeps_its_row_alone() {
        let tuple = tuple();
        let kept = tuple.clone();
        assert_eq!(kept, tuple);
        assert_eq!(kept.batch().len(), 1);
    }

    #[test]
    fn a_row_is_exchanged_and_comes_back() {
        let shared = tuple();
        let mut own = shared.clone();
        let mut row = vec![Value::from("c"), Value::I64(3)];
        own.exchange(&mut row);
        assert_eq!((own.str("word"), own.i64("count")), (Ok("c"), Ok(3)));
        assert_eq!(row, shared.values());
        own.exchange(&mut row);
        assert_eq!(own, shared);
    }
}
