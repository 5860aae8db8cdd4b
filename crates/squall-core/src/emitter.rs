//! How author code emits. The engine and the test harness stand behind [`Output`].

use thiserror::Error;

use crate::ids::{MessageId, StreamId, TaskId};
use crate::token::AckToken;
use crate::tuple::IntoRow;
use crate::value::{Str, ToRow, Value, to_row};

/// What an emit is tied to.
#[derive(Clone, Copy, Debug)]
pub enum Anchoring<'a> {
    /// The tuple in hand: the child's tree is its input's. Untracked where there is no input.
    Input,
    /// The trees of these deferred tuples.
    Tokens(&'a [&'a AckToken]),
    /// No tree: nobody hears what becomes of it.
    Unanchored,
    /// A new tree of the emitting task's own, whose verdict comes back under this id.
    Root(MessageId),
}

/// Where an emit goes.
#[derive(Clone, Copy, Debug)]
pub struct EmitTo<'a> {
    /// The stream's name; `None` is the default stream.
    pub stream: Option<&'a str>,
    /// The one task that gets the tuple, for subscribers with a direct grouping.
    pub task: Option<TaskId>,
    /// What the tuple is tied to.
    pub anchoring: Anchoring<'a>,
}

/// The engine's side of an emitter.
pub trait Output {
    /// Returns the row under construction, empty.
    fn row(&mut self) -> &mut Vec<Value>;

    /// Sends the row under construction and leaves it empty, also on error. Never blocks: what the
    /// edges can't take waits in the executor's outbox, and the executor parks after this tuple.
    ///
    /// # Errors
    /// See [`EmitError`]; nothing was sent. In a box: an answer for each tuple had better fit a register.
    fn send(&mut self, to: EmitTo<'_>) -> Result<(), Box<EmitError>>;

    /// Returns a stream's fields.
    ///
    /// # Errors
    /// [`EmitError::UnknownStream`].
    fn fields(&self, stream: Option<&str>) -> Result<&[Str], EmitError>;

    /// Makes a token for the tuple in hand.
    fn defer(&mut self) -> AckToken;
}

/// An emit that can't be.
#[derive(Debug, Error)]
pub enum EmitError {
    /// The component doesn't declare this stream.
    #[error("the component declares no stream `{stream}`; it declares: {}", list(.declared))]
    UnknownStream {
        /// The stream asked for.
        stream: String,
        /// The streams there are.
        declared: Vec<StreamId>,
    },
    /// The row has more or fewer values than the stream has fields.
    #[error("{n_values} values for stream `{stream}`, whose fields are: {}", .fields.join(", "))]
    WrongArity {
        /// The stream.
        stream: StreamId,
        /// The values given.
        n_values: usize,
        /// The stream's fields.
        fields: Vec<Str>,
    },
    /// A direct emit to a task that doesn't subscribe to the stream with a direct grouping.
    #[error("task {task} doesn't subscribe to stream `{stream}` with a direct grouping")]
    NotSubscribed {
        /// The stream.
        stream: StreamId,
        /// The task asked for.
        task: TaskId,
    },
    /// The tuple is larger than any edge or frame takes.
    #[error("a tuple of {bytes} bytes is above max_tuple_bytes, {max_tuple_bytes}")]
    TooLarge {
        /// The tuple's size in bytes.
        bytes: usize,
        /// The bound.
        max_tuple_bytes: usize,
    },
    /// A row that serde could not lay out.
    #[error(transparent)]
    Row(#[from] crate::error::RowError),
}

fn list(streams: &[StreamId]) -> String {
    if streams.is_empty() {
        return "none".to_owned();
    }
    streams
        .iter()
        .map(StreamId::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

/// One emit in the making: `out.stream("late").unanchored().emit(["a"])?`.
#[must_use = "nothing is emitted before `emit` or `emit_row`"]
pub struct Emit<'a> {
    output: &'a mut dyn Output,
    to: EmitTo<'a>,
}

impl<'a> Emit<'a> {
    /// Names the stream; without it the default stream is meant.
    pub const fn stream(mut self, name: &'a str) -> Self {
        self.to.stream = Some(name);
        self
    }

    /// Names the one task that gets the tuple, for subscribers with a direct grouping.
    pub const fn direct(mut self, task: TaskId) -> Self {
        self.to.task = Some(task);
        self
    }

    /// Emits a row of values, one for each field of the stream.
    ///
    /// # Errors
    /// See [`EmitError`]; nothing was emitted.
    pub fn emit(self, row: impl IntoRow) -> Result<(), EmitError> {
        row.append_to(self.output.row());
        self.output.send(self.to).map_err(|error| *error)
    }

    /// Emits a struct, its fields matched to the stream's by name.
    ///
    /// # Errors
    /// See [`EmitError`]; nothing was emitted.
    pub fn emit_row(self, row: &(impl ToRow + ?Sized)) -> Result<(), EmitError> {
        let mut values = Vec::new();
        to_row(row, self.output.fields(self.to.stream)?, &mut values)?;
        self.emit(values)
    }
}

/// What a bolt emits with. Emits are anchored to the tuple in hand unless said otherwise.
pub struct Emitter<'a> {
    output: &'a mut dyn Output,
}

impl<'a> Emitter<'a> {
    /// Wraps an engine's output. Engine use.
    pub const fn new(output: &'a mut dyn Output) -> Self {
        Self { output }
    }

    /// Emits to the default stream, anchored to the tuple in hand.
    ///
    /// # Errors
    /// See [`EmitError`]; nothing was emitted.
    pub fn emit(&mut self, row: impl IntoRow) -> Result<(), EmitError> {
        self.begin(Anchoring::Input).emit(row)
    }

    /// Emits a struct to the default stream, its fields matched to the stream's by name.
    ///
    /// # Errors
    /// See [`EmitError`]; nothing was emitted.
    pub fn emit_row(&mut self, row: &(impl ToRow + ?Sized)) -> Result<(), EmitError> {
        self.begin(Anchoring::Input).emit_row(row)
    }

    /// Begins an emit to another stream than the default one.
    pub fn stream<'b>(&'b mut self, name: &'b str) -> Emit<'b> {
        self.begin(Anchoring::Input).stream(name)
    }

    /// Begins an emit to one task, for subscribers with a direct grouping.
    pub fn direct(&mut self, task: TaskId) -> Emit<'_> {
        self.begin(Anchoring::Input).direct(task)
    }

    /// Begins an emit that is anchored to these deferred tuples instead of the one in hand.
    pub fn anchored<'b>(&'b mut self, tokens: &'b [&'b AckToken]) -> Emit<'b> {
        self.begin(Anchoring::Tokens(tokens))
    }

    /// Begins an emit that belongs to no tree.
    pub fn unanchored(&mut self) -> Emit<'_> {
        self.begin(Anchoring::Unanchored)
    }

    /// Begins an emit under a root of the bolt's own: its end comes back to [`crate::Bolt::verdict`].
    pub fn tracked(&mut self, id: MessageId) -> Emit<'_> {
        self.begin(Anchoring::Root(id))
    }

    /// Takes the tuple in hand out of this call: it ends when the token does, not with `execute`.
    ///
    /// Outside `execute` there is no tuple in hand, and the token ends nothing.
    pub fn defer(&mut self) -> AckToken {
        self.output.defer()
    }

    fn begin<'b>(&'b mut self, anchoring: Anchoring<'b>) -> Emit<'b> {
        Emit {
            output: &mut *self.output,
            to: EmitTo {
                stream: None,
                task: None,
                anchoring,
            },
        }
    }
}

/// What a spout emits with.
pub struct SpoutEmitter<'a> {
    output: &'a mut dyn Output,
}

impl<'a> SpoutEmitter<'a> {
    /// Wraps an engine's output. Engine use.
    pub const fn new(output: &'a mut dyn Output) -> Self {
        Self { output }
    }

    /// Emits to the default stream without tracking: nobody hears what becomes of it.
    ///
    /// # Errors
    /// See [`EmitError`]; nothing was emitted.
    pub fn emit(&mut self, row: impl IntoRow) -> Result<(), EmitError> {
        self.untracked().emit(row)
    }

    /// Begins an emit without tracking.
    pub fn untracked(&mut self) -> Emit<'_> {
        self.begin(Anchoring::Unanchored)
    }

    /// Begins an emit whose verdict comes back under `id`, by [`crate::Spout::ack`] or
    /// [`crate::Spout::fail`], exactly once.
    pub fn tracked(&mut self, id: MessageId) -> Emit<'_> {
        self.begin(Anchoring::Root(id))
    }

    fn begin<'b>(&'b mut self, anchoring: Anchoring<'b>) -> Emit<'b> {
        Emit {
            output: &mut *self.output,
            to: EmitTo {
                stream: None,
                task: None,
                anchoring,
            },
        }
    }
}
