//! Rows: from a delivery to the body of a section, and back.

use std::sync::Arc;

use squall_core::engine::{Batch, Cursor, Delivery, EdgeId, Place, RootId, Roots, Run, row_bytes};
use squall_core::{Moment, TaskId, Value};

use super::cost::Cost;
use super::error::{EncodeError, WireError};
use super::reader::Reader;
use super::schemas::SchemaTable;
use super::section::{ROWS, begin_section, end_section, fill_u32};
use super::value::{put_value, read_value};
use super::varint::{as_u32, put_varint};
use super::{MAX_ANCHORS_BYTES, TARGET_PAYLOAD_BYTES};

const NO_ROOT: u8 = 0;
const ONE_ROOT: u8 = 1;
const SAME_ROOTS: u8 = 2;
const MANY_ROOTS: u8 = 3;
/// This batch index in a tag means that it follows.
const BATCH_FOLLOWS: u32 = 63;

/// The fewest bytes of a root and its edge id.
const MIN_ANCHOR_BYTES: usize = 18;
/// The most bytes of them.
const MAX_ANCHOR_BYTES: usize = 26;

/// How far [`push_rows`] may go.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The payload's length after the section, in bytes.
    pub max_len: usize,
    /// The section's cost, in bytes.
    pub max_cost: usize,
    /// One row may cost more: the edge is empty.
    pub free_first: bool,
}

/// What [`push_rows`] did.
#[derive(Debug, PartialEq, Eq)]
pub struct Written {
    /// How many rows the section has; without any there is no section.
    pub n_rows: usize,
    /// What it costs.
    pub cost: usize,
    /// Why it has no more.
    pub stop: Stop,
}

/// Why a section ends.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    /// The delivery has no more rows.
    End,
    /// The next row doesn't fit the payload.
    Payload,
    /// The next row doesn't fit the credit.
    Credit,
    /// The next row can't be sent at all.
    Refused(EncodeError),
    /// The next row is to go by [`encode_large`].
    Large,
}

/// Appends a section with the rows of a delivery from the cursor on, as far as the limits allow, and moves
/// the cursor behind them. Calls `keep` with their roots, once for rows that share them.
pub fn push_rows(
    out: &mut Vec<u8>,
    edge: EdgeId,
    (delivery, cursor): (&Delivery, &mut Cursor),
    (schemas, limits): (&SchemaTable, Limits),
    mut keep: impl FnMut(RootId),
) -> Written {
    let start = out.len();
    let section = begin_section(out, ROWS, edge);
    let mut body = match Body::begin(out, delivery, schemas) {
        Ok(body) => body,
        Err(refused) => {
            out.truncate(start);
            return Written::nothing(Stop::Refused(refused));
        }
    };
    let stop = loop {
        let Some(place) = cursor.peek(delivery) else {
            break Stop::End;
        };
        if is_large(delivery, &place) {
            break Stop::Large;
        }
        let (before, n_before) = (body, out.len());
        let pushed = body.push(out, delivery, &place);
        let cost = body.cost_with(out.len() - section.body());
        let dear = cost > limits.max_cost && !(limits.free_first && body.n_rows == 1);
        if pushed.is_ok() && out.len() <= limits.max_len && !dear {
            if !body.said_before {
                place.roots.as_slice().iter().copied().for_each(&mut keep);
            }
            cursor.advance(delivery);
            continue;
        }
        let too_long = out.len() > limits.max_len;
        out.truncate(n_before);
        body = before;
        break match pushed {
            Err(refused) => Stop::Refused(refused),
            Ok(()) if too_long => Stop::Payload,
            Ok(()) => Stop::Credit,
        };
    };
    if body.n_rows == 0 {
        out.truncate(start);
        return Written::nothing(stop);
    }
    body.end(out);
    end_section(out, section);
    Written {
        n_rows: body.n_rows,
        cost: body.cost_with(out.len() - section.body()),
        stop,
    }
}

impl Written {
    const fn nothing(stop: Stop) -> Self {
        Self {
            n_rows: 0,
            cost: 0,
            stop,
        }
    }
}

/// Tells whether a row may fill a payload all by itself, and so is encoded apart.
#[must_use]
#[inline]
pub fn is_large(delivery: &Delivery, place: &Place<'_>) -> bool {
    const LARGE: usize = TARGET_PAYLOAD_BYTES / 2;
    if place.edges.len() > LARGE / MAX_ANCHOR_BYTES {
        return true;
    }
    // Measured only where it may be: a batch of small rows is small.
    let batch = delivery.batches.get(place.batch_idx);
    batch.is_some_and(|batch| batch.bytes() > LARGE)
        && values_of(delivery, place).is_ok_and(|values| row_bytes(values) > LARGE)
}

/// Encodes one row as a body of its own, to be sent in pieces; returns what it costs.
///
/// # Errors
/// [`EncodeError`] when the row can't be sent.
pub fn encode_large(
    out: &mut Vec<u8>,
    (delivery, place): (&Delivery, &Place<'_>),
    schemas: &SchemaTable,
    max_tuple_bytes: usize,
) -> Result<usize, EncodeError> {
    out.clear();
    let mut body = Body::begin(out, delivery, schemas)?;
    body.push(out, delivery, place)?;
    body.end(out);
    let max_bytes = max_body_bytes(max_tuple_bytes);
    if out.len() > max_bytes {
        return Err(EncodeError::TooLarge {
            n_bytes: out.len(),
            max_bytes,
        });
    }
    Ok(body.cost_with(out.len()))
}

/// Returns how long a body in pieces may be.
pub(crate) const fn max_body_bytes(max_tuple_bytes: usize) -> usize {
    max_tuple_bytes.saturating_add(MAX_ANCHORS_BYTES)
}

#[inline]
fn values_of<'d>(delivery: &'d Delivery, place: &Place<'_>) -> Result<&'d [Value], EncodeError> {
    match delivery.batches.get(place.batch_idx) {
        Some(batch) if place.row_idx < batch.len() => Ok(batch.row(place.row_idx)),
        _ => Err(EncodeError::NoSuchRow),
    }
}

/// A body under construction.
#[derive(Clone, Copy)]
struct Body<'d> {
    /// Where the number of rows goes.
    n_rows_at: usize,
    n_rows: usize,
    /// The trees of the last row and its batch,
    last: (&'d Roots, usize),
    /// which were those of the row before it.
    said_before: bool,
    cost: Cost,
}

impl<'d> Body<'d> {
    fn begin(
        out: &mut Vec<u8>,
        delivery: &Delivery,
        schemas: &SchemaTable,
    ) -> Result<Self, EncodeError> {
        put_varint(out, delivery.batches.len() as u64);
        for batch in &delivery.batches {
            let schema = batch.schema();
            let Some(id) = schemas.id_of(schema) else {
                return Err(EncodeError::UnknownStream {
                    component: schema.component.to_string(),
                    stream: schema.stream.to_string(),
                });
            };
            put_varint(out, u64::from(id));
            put_varint(out, u64::from(batch.source().0));
        }
        let n_rows_at = out.len();
        out.extend_from_slice(&[0; 4]);
        Ok(Self {
            n_rows_at,
            n_rows: 0,
            last: (&Roots::None, 0),
            said_before: false,
            cost: Cost::default(),
        })
    }

    #[inline]
    fn push(
        &mut self,
        out: &mut Vec<u8>,
        delivery: &'d Delivery,
        place: &Place<'d>,
    ) -> Result<(), EncodeError> {
        let values = values_of(delivery, place)?;
        self.n_rows += 1;
        self.cost.add_row();
        let run = (place.roots, place.batch_idx);
        self.said_before = run == self.last;
        self.last = run;
        let kind = match place.roots {
            Roots::None => NO_ROOT,
            _ if self.said_before => SAME_ROOTS,
            Roots::One(_) => ONE_ROOT,
            Roots::Many(_) => MANY_ROOTS,
        };
        put_tag(out, kind, as_u32(place.batch_idx));
        match place.roots {
            Roots::One(root) if kind == ONE_ROOT => put_root(out, *root),
            Roots::Many(roots) if kind == MANY_ROOTS => {
                self.cost.add_anchors(roots.len());
                put_varint(out, roots.len() as u64);
                roots.iter().for_each(|root| put_root(out, *root));
            }
            _ => {}
        }
        place.edges.iter().for_each(|edge| put_u64(out, *edge));
        values
            .iter()
            .try_for_each(|value| put_value(out, value, 0, &mut self.cost))
    }

    /// Returns the cost of the body with its bytes.
    const fn cost_with(&self, n_bytes: usize) -> usize {
        let mut cost = self.cost;
        cost.add_bytes(n_bytes);
        cost.bytes()
    }

    fn end(&self, out: &mut [u8]) {
        fill_u32(out, self.n_rows_at, as_u32(self.n_rows));
    }
}

#[inline]
fn put_tag(out: &mut Vec<u8>, kind: u8, batch_idx: u32) {
    match u8::try_from(batch_idx) {
        Ok(idx) if u32::from(idx) < BATCH_FOLLOWS => out.push(kind | idx << 2),
        _ => {
            out.push(kind | 63 << 2);
            put_varint(out, u64::from(batch_idx));
        }
    }
}

#[inline]
fn put_root(out: &mut Vec<u8>, root: RootId) {
    put_varint(out, u64::from(root.task.0));
    put_varint(out, u64::from(root.slot));
    put_u64(out, root.generation);
}

#[inline]
fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Decodes the body of a rows section; returns the delivery, as sent at `sent`, and what it costs.
///
/// # Errors
/// [`WireError`] when the body isn't one.
pub fn decode_rows(
    body: &[u8],
    schemas: &SchemaTable,
    sent: Moment,
) -> Result<(Delivery, usize), WireError> {
    let mut reader = Reader::new(body);
    let mut batches = read_batches(&mut reader, schemas)?;
    let n_rows = reader.u32("rows")?;
    let n_rows = reader.check_count(n_rows, 1, "rows")?;
    if n_rows == 0 {
        return Err(WireError::NoRows);
    }
    if let [batch] = batches.as_mut_slice() {
        let width = batch.schema().fields.len();
        batch.reserve(n_rows.min(reader.n_left() / (1 + width)));
    }
    let mut decoder = Decoder {
        cost: Cost::default(),
        runs: Vec::new(),
        edges: Vec::with_capacity(n_rows.min(reader.n_left() / size_of::<u64>())),
        values: Vec::new(),
    };
    decoder.cost.add_bytes(body.len());
    for _ in 0..n_rows {
        decoder.read_row(&mut reader, &mut batches)?;
    }
    reader.finish()?;
    let batches = batches.into_iter().map(Arc::new).collect();
    let delivery = Delivery::new(batches, decoder.runs, decoder.edges, sent);
    Ok((delivery, decoder.cost.bytes()))
}

fn read_batches(reader: &mut Reader<'_>, schemas: &SchemaTable) -> Result<Vec<Batch>, WireError> {
    let n_batches = reader.count(2, "batches")?;
    let mut batches = Vec::with_capacity(n_batches);
    for _ in 0..n_batches {
        let at = reader.at();
        let id = reader.varint32("schema")?;
        let Some(schema) = schemas.get(id) else {
            return Err(WireError::OutOfRange {
                what: "schema",
                at,
                found: u64::from(id),
                limit: schemas.len() as u64,
            });
        };
        let source = TaskId(reader.varint32("source")?);
        batches.push(Batch::new(schema.clone(), source));
    }
    Ok(batches)
}

struct Decoder {
    cost: Cost,
    runs: Vec<Run>,
    edges: Vec<u64>,
    /// The row under construction.
    values: Vec<Value>,
}

impl Decoder {
    #[inline]
    fn read_row(
        &mut self,
        reader: &mut Reader<'_>,
        batches: &mut [Batch],
    ) -> Result<(), WireError> {
        let at = reader.at();
        self.cost.add_row();
        let tag = reader.u8("row")?;
        let mut batch_idx = u32::from(tag >> 2);
        if batch_idx == BATCH_FOLLOWS {
            batch_idx = reader.varint32("batch")?;
        }
        let limit = batches.len() as u64;
        let Some(batch) = batches.get_mut(batch_idx as usize) else {
            return Err(WireError::OutOfRange {
                what: "batch",
                at,
                found: u64::from(batch_idx),
                limit,
            });
        };
        self.read_roots(reader, tag & 3, batch_idx)
            .ok_or(WireError::NoRoot { at })??;
        let n_edges = self.runs.last().map_or(0, |run| run.roots.as_slice().len());
        for _ in 0..n_edges {
            self.edges.push(reader.u64("edge id")?);
        }
        let width = batch.schema().fields.len();
        for _ in 0..width {
            self.values.push(read_value(reader, 0, &mut self.cost)?);
        }
        batch.push(&mut self.values);
        Ok(())
    }

    /// Reads a row's trees, and adds the row to the run of the row before it or begins another. `None`
    /// if it refers to a run that isn't there, or to one without trees.
    #[inline]
    fn read_roots(
        &mut self,
        reader: &mut Reader<'_>,
        kind: u8,
        batch_idx: u32,
    ) -> Option<Result<(), WireError>> {
        let last = self.runs.last_mut();
        let roots = match (kind, last) {
            (NO_ROOT, Some(last)) if last.roots == Roots::None && last.batch_idx == batch_idx => {
                last.n_rows += 1;
                return Some(Ok(()));
            }
            (SAME_ROOTS, Some(last))
                if last.roots != Roots::None && last.batch_idx == batch_idx =>
            {
                last.n_rows += 1;
                return Some(Ok(()));
            }
            (SAME_ROOTS, _) => return None,
            (NO_ROOT, _) => Ok(Roots::None),
            (ONE_ROOT, _) => read_root(reader).map(Roots::One),
            _ => self.read_many(reader),
        };
        Some(roots.map(|roots| {
            self.runs.push(Run {
                batch_idx,
                n_rows: 1,
                roots,
            });
        }))
    }

    fn read_many(&mut self, reader: &mut Reader<'_>) -> Result<Roots, WireError> {
        let n_roots = reader.count(MIN_ANCHOR_BYTES, "roots")?;
        self.cost.add_anchors(n_roots);
        let roots: Result<Box<[RootId]>, WireError> =
            (0..n_roots).map(|_| read_root(reader)).collect();
        roots.map(Roots::Many)
    }
}

#[inline]
pub(crate) fn read_root(reader: &mut Reader<'_>) -> Result<RootId, WireError> {
    Ok(RootId {
        task: TaskId(reader.varint32("task")?),
        slot: reader.varint32("slot")?,
        generation: reader.u64("generation")?,
    })
}
