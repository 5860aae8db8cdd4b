//! What a component puts out: its streams and their fields, as data.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{ComponentId, StreamId};
use crate::value::Str;

/// The streams that a component declares, in the order of declaration.
///
/// ```
/// # use squall_core::Outputs;
/// let outputs = Outputs::fields(["word"]).stream("late", ["word", "arrived_ms"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    streams: Vec<(StreamId, Vec<Str>)>,
}

impl Outputs {
    /// Declares no stream: a sink.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            streams: Vec::new(),
        }
    }

    /// Declares the default stream with these fields.
    #[must_use]
    pub fn fields<F: AsRef<str>>(fields: impl IntoIterator<Item = F>) -> Self {
        Self::none().stream(StreamId::DEFAULT, fields)
    }

    /// Adds a stream; one of the same name is replaced.
    #[must_use]
    pub fn stream<F: AsRef<str>>(
        mut self,
        name: &str,
        fields: impl IntoIterator<Item = F>,
    ) -> Self {
        let fields = fields.into_iter().map(Str::new).collect();
        self.streams.retain(|(stream, _)| stream != name);
        self.streams.push((StreamId::new(name), fields));
        self
    }

    /// Iterates over the streams and their fields in the order of declaration.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&StreamId, &[Str])> {
        self.streams
            .iter()
            .map(|(stream, fields)| (stream, fields.as_slice()))
    }

    /// Returns the fields of a stream, or `None` where it isn't declared.
    #[must_use]
    pub fn get(&self, stream: &str) -> Option<&[Str]> {
        self.iter()
            .find_map(|(name, fields)| (name == stream).then_some(fields))
    }

    /// Tells whether no stream is declared.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }
}

/// Where a tuple comes from and what its fields are called; one per stream, shared by all its tuples.
#[derive(Debug, PartialEq, Eq)]
pub struct Schema {
    /// The component that emits the stream.
    pub component: ComponentId,
    /// The stream's name.
    pub stream: StreamId,
    /// The fields' names, in the order of a tuple's values.
    pub fields: Vec<Str>,
}

impl Schema {
    /// Makes the shared schema of one stream.
    #[must_use]
    pub fn new(component: ComponentId, stream: StreamId, fields: Vec<Str>) -> Arc<Self> {
        Arc::new(Self {
            component,
            stream,
            fields,
        })
    }

    /// Returns the index of a field, or `None` where the stream doesn't have it.
    #[must_use]
    #[inline]
    pub fn index_of(&self, field: &str) -> Option<usize> {
        self.fields.iter().position(|name| name == field)
    }
}
