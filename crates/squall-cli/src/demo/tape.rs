//! Writes down which events were processed: an event is processed when its tuple tree is acked.
//!
//! The tape is a spout around the Kinesis spout. It passes everything on and notes shard, sequence and
//! attempt of each emit until its verdict comes.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use squall_core::engine::{Anchoring, EmitTo, Output};
use squall_core::{
    AckToken, Activity, EmitError, Failure, MessageId, Outputs, Result, Spout, SpoutEmitter, Str,
    StreamId, TaskContext, Value,
};

use super::truth::{Place, place};

/// What was processed; clones share it.
#[derive(Clone, Default)]
pub(super) struct Tape(Arc<Mutex<Processed>>);

#[derive(Default)]
struct Processed {
    n_processed: u64,
    /// How often each event was processed.
    places: HashMap<Place, u32>,
    shards: BTreeSet<String>,
    record: Option<BufWriter<File>>,
    /// The record could not be written.
    failure: Option<std::io::Error>,
}

/// One event, as it is recorded.
#[derive(Serialize)]
struct Event {
    shard: String,
    sequence: String,
    attempt: i64,
    data: String,
}

impl Tape {
    /// Makes a tape that also writes a line of JSON for each event.
    pub(super) fn recording(path: &Path) -> std::io::Result<Self> {
        let tape = Self::default();
        tape.lock().record = Some(BufWriter::new(File::create(path)?));
        Ok(tape)
    }

    /// Returns how many events were processed, repeats included.
    pub(super) fn n_processed(&self) -> u64 {
        self.lock().n_processed
    }

    /// Returns how many different events were processed.
    pub(super) fn n_distinct(&self) -> u64 {
        self.lock().places.len() as u64
    }

    /// Returns how many shards they came from.
    pub(super) fn n_shards(&self) -> usize {
        self.lock().shards.len()
    }

    /// Returns how many of `places` were never processed.
    pub(super) fn n_missing<'p>(&self, places: impl IntoIterator<Item = &'p Place>) -> u64 {
        let processed = self.lock();
        let missing = places
            .into_iter()
            .filter(|place| !processed.places.contains_key(place));
        missing.count() as u64
    }

    /// Ends the record.
    ///
    /// # Errors
    /// When it could not be written in full.
    pub(super) fn close(&self) -> std::io::Result<()> {
        let mut processed = self.lock();
        if let Some(failure) = processed.failure.take() {
            return Err(failure);
        }
        processed
            .record
            .take()
            .map_or(Ok(()), |mut record| record.flush())
    }

    fn note(&self, event: &Event) {
        let mut processed = self.lock();
        processed.n_processed += 1;
        let place = place(&event.shard, &event.sequence);
        *processed.places.entry(place).or_default() += 1;
        if !processed.shards.contains(&event.shard) {
            processed.shards.insert(event.shard.clone());
        }
        if let Some(record) = &mut processed.record
            && let Err(error) = write_line(record, event)
        {
            (processed.record, processed.failure) = (None, Some(error));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Processed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_line(to: &mut impl Write, event: &Event) -> std::io::Result<()> {
    serde_json::to_writer(&mut *to, event)?;
    to.write_all(b"\n")
}

/// A spout that notes on the tape what its inner spout emits and hears.
pub(super) struct Taped<S> {
    inner: S,
    tape: Tape,
    in_flight: HashMap<MessageId, Event>,
}

impl<S: Spout> Taped<S> {
    pub(super) fn new(inner: S, tape: Tape) -> Self {
        Self {
            inner,
            tape,
            in_flight: HashMap::new(),
        }
    }

    /// Sends one emit of the inner spout on, and remembers it where it is tracked.
    fn pass_on(&mut self, emit: Emitted, fields: &[Str], out: &mut SpoutEmitter<'_>) -> Result<()> {
        let stream = emit.stream.as_str();
        let Some(id) = emit.root else {
            return Ok(out.untracked().stream(stream).emit(emit.values)?);
        };
        if stream == StreamId::DEFAULT {
            self.in_flight.insert(id, Event::new(fields, &emit.values));
        }
        Ok(out.tracked(id).stream(stream).emit(emit.values)?)
    }
}

impl Event {
    fn new(fields: &[Str], values: &[Value]) -> Self {
        let get = |name: &str| {
            let mut row = fields.iter().zip(values);
            row.find_map(|(field, value)| (field == name).then_some(value))
        };
        let text = |name| get(name).map(ToString::to_string).unwrap_or_default();
        Self {
            shard: text("shard_id"),
            sequence: text("sequence"),
            attempt: get("attempt").and_then(Value::as_i64).unwrap_or_default(),
            data: text("data"),
        }
    }
}

impl<S: Spout> Spout for Taped<S> {
    fn outputs(&self) -> Outputs {
        self.inner.outputs()
    }

    fn open(&mut self, ctx: &mut TaskContext) -> Result<()> {
        self.inner.open(ctx)
    }

    fn next_tuple(&mut self, out: &mut SpoutEmitter<'_>) -> Result<Activity> {
        let mut buffer = Buffer::new(self.inner.outputs());
        let activity = self.inner.next_tuple(&mut SpoutEmitter::new(&mut buffer));
        let fields = buffer.fields(None).map(<[Str]>::to_vec).unwrap_or_default();
        for emit in buffer.emits {
            self.pass_on(emit, &fields, out)?;
        }
        activity
    }

    fn ack(&mut self, id: MessageId) {
        if let Some(event) = self.in_flight.remove(&id) {
            self.tape.note(&event);
        }
        self.inner.ack(id);
    }

    fn fail(&mut self, id: MessageId, why: &Failure) {
        self.in_flight.remove(&id);
        self.inner.fail(id, why);
    }

    fn held(&mut self, id: MessageId) {
        self.inner.held(id);
    }

    fn activate(&mut self) {
        self.inner.activate();
    }

    fn deactivate(&mut self) {
        self.inner.deactivate();
    }

    fn close(&mut self) {
        self.inner.close();
    }
}

/// Takes a spout's emits, to be looked at before they go on.
struct Buffer {
    outputs: Outputs,
    row: Vec<Value>,
    emits: Vec<Emitted>,
}

struct Emitted {
    stream: StreamId,
    root: Option<MessageId>,
    values: Vec<Value>,
}

impl Buffer {
    const fn new(outputs: Outputs) -> Self {
        Self {
            outputs,
            row: Vec::new(),
            emits: Vec::new(),
        }
    }
}

impl Output for Buffer {
    fn row(&mut self) -> &mut Vec<Value> {
        self.row.clear();
        &mut self.row
    }

    fn send(&mut self, to: EmitTo<'_>) -> Result<(), Box<EmitError>> {
        self.emits.push(Emitted {
            stream: to.stream.map_or_else(StreamId::default, StreamId::new),
            root: match to.anchoring {
                Anchoring::Root(id) => Some(id),
                Anchoring::Input | Anchoring::Tokens(_) | Anchoring::Unanchored => None,
            },
            values: std::mem::take(&mut self.row),
        });
        Ok(())
    }

    fn fields(&self, stream: Option<&str>) -> Result<&[Str], EmitError> {
        let stream = stream.unwrap_or(StreamId::DEFAULT);
        self.outputs
            .get(stream)
            .ok_or_else(|| EmitError::UnknownStream {
                stream: stream.to_owned(),
                declared: self
                    .outputs
                    .iter()
                    .map(|(stream, _)| stream.clone())
                    .collect(),
            })
    }

    fn defer(&mut self) -> AckToken {
        struct Nobody;
        impl squall_core::engine::TokenSink for Nobody {
            fn report(&self, _: squall_core::engine::Anchors, _: squall_core::engine::TokenReport) {
            }
        }
        AckToken::new(squall_core::engine::Anchors::None, Arc::new(Nobody))
    }
}
