//! From a delivery to bodies.

use squall_core::Value;
use squall_core::engine::{Cursor, Delivery, EdgeId, Place, RootId, Roots, row_bytes};

use super::{BATCH_FOLLOWS, MANY_ROOTS, MAX_ANCHOR_BYTES, NO_ROOT, ONE_ROOT, SAME_ROOTS};
use crate::wire::cost::Cost;
use crate::wire::error::EncodeError;
use crate::wire::schemas::SchemaTable;
use crate::wire::section::{ROWS, begin_section, end_section, fill_u32};
use crate::wire::value::put_value;
use crate::wire::varint::{as_u32, put_varint};
use crate::wire::{MAX_ANCHORS_BYTES, TARGET_PAYLOAD_BYTES};

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
