//! Rows that travel together: what an emit appends to and a tuple looks into.
//!
//! A batch holds the values of one stream of one task on their way to one reader, row after row in one
//! vector. Once it is sent it never changes. Fan-out lays clones of the values into each reader's batch:
//! 24 bytes each, whatever they hold.

use std::sync::Arc;

use crate::fields::Schema;
use crate::ids::TaskId;
use crate::value::{Value, append_clones};

/// The rows that one task emitted to one stream, for one reader, between two flushes.
#[derive(Clone, Debug)]
pub struct Batch {
    schema: Arc<Schema>,
    source: TaskId,
    values: Vec<Value>,
    /// The number of fields.
    width: usize,
    n_rows: usize,
    bytes: usize,
}

impl Batch {
    /// Makes an empty batch of the stream `schema`, as emitted by the task `source`.
    #[must_use]
    pub fn new(schema: Arc<Schema>, source: TaskId) -> Self {
        Self {
            width: schema.fields.len(),
            schema,
            source,
            values: Vec::new(),
            n_rows: 0,
            bytes: 0,
        }
    }

    /// Makes room for `n_rows` more rows.
    pub fn reserve(&mut self, n_rows: usize) {
        self.values.reserve(n_rows * self.width);
    }

    /// Moves one row out of `row`, whose length is the number of fields.
    ///
    /// The caller has checked the length: a row of another one shifts all that follow.
    pub fn push(&mut self, row: &mut Vec<Value>) {
        let bytes = row_bytes(row);
        self.push_measured(row, bytes);
    }

    /// Moves one row whose [`row_bytes`] are known already.
    #[inline]
    pub fn push_measured(&mut self, row: &mut Vec<Value>, bytes: usize) {
        debug_assert_eq!(row.len(), self.width);
        self.values.append(row);
        self.n_rows += 1;
        self.bytes += bytes;
    }

    /// Copies one row whose [`row_bytes`] are known already.
    #[inline]
    pub fn push_cloned(&mut self, row: &[Value], bytes: usize) {
        debug_assert_eq!(row.len(), self.width);
        append_clones(&mut self.values, row);
        self.n_rows += 1;
        self.bytes += bytes;
    }

    /// Exchanges all values for those of `row`. What they take outside isn't counted anew.
    #[inline]
    pub(crate) fn exchange(&mut self, row: &mut Vec<Value>) {
        debug_assert_eq!(row.len(), self.values.len());
        std::mem::swap(&mut self.values, row);
    }

    /// Returns the values of a row, in the order of the schema's fields.
    ///
    /// # Panics
    /// When `row_idx` is not below [`Batch::len`].
    #[must_use]
    #[inline]
    pub fn row(&self, row_idx: usize) -> &[Value] {
        &self.values[row_idx * self.width..(row_idx + 1) * self.width]
    }

    /// Returns the stream's schema.
    #[must_use]
    pub const fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Returns the task that emitted the rows.
    #[must_use]
    pub const fn source(&self) -> TaskId {
        self.source
    }

    /// Returns the number of rows.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.n_rows
    }

    /// Tells whether there is no row.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.n_rows == 0
    }

    /// Returns the bytes of all rows, as [`row_bytes`] counts them.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Returns the memory that a row takes: 24 bytes a value and what the values keep outside.
#[must_use]
#[inline]
pub fn row_bytes(row: &[Value]) -> usize {
    row.iter()
        .map(|value| size_of::<Value>() + value.heap_bytes())
        .sum()
}
