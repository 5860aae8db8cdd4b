//! From a body to a delivery.

use std::sync::Arc;

use squall_core::engine::{Batch, Delivery, RootId, Roots, Run};
use squall_core::{Moment, TaskId, Value};

use super::{BATCH_FOLLOWS, MIN_ANCHOR_BYTES, NO_ROOT, ONE_ROOT, SAME_ROOTS};
use crate::wire::cost::Cost;
use crate::wire::error::WireError;
use crate::wire::reader::Reader;
use crate::wire::schemas::SchemaTable;
use crate::wire::value::read_value;

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
