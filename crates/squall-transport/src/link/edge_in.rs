//! The receiving end of one edge: what waits for room at its reader.

use std::collections::{BTreeSet, VecDeque};

use squall_core::engine::{EdgeId, Item, Mark};
use squall_core::{Moment, TaskId};

use super::error::LinkError;
use crate::wire::{Cost, SchemaTable, SectionBody, WireError, decode_rows};

/// One edge, from another worker to its reader's inlet.
#[derive(Debug)]
pub(crate) struct EdgeIn {
    pub(crate) id: EdgeId,
    /// Sections that wait for room, in order.
    held: VecDeque<Held>,
    /// What they cost, and what has arrived of the tuple that comes in pieces.
    outstanding: usize,
    partial: Option<Partial>,
    /// Sections of this stream that are queued at the reader.
    pub(crate) n_queued: u64,
    /// The sender is to be told.
    pub(crate) untold: bool,
    /// Tasks whose end the reader knows: said again, it is not passed on again.
    ended: BTreeSet<TaskId>,
}

#[derive(Debug)]
struct Held {
    item: Item,
    cost: usize,
}

/// A tuple that comes in pieces.
#[derive(Debug)]
struct Partial {
    total: usize,
    bytes: Vec<u8>,
}

/// What an arriving section needs to know.
pub(crate) struct Arriving<'a> {
    pub(crate) schemas: &'a SchemaTable,
    pub(crate) window: usize,
    /// The longest rows body in pieces, in bytes.
    pub(crate) max_body_bytes: usize,
    pub(crate) now: Moment,
    /// The frame's number, for errors.
    pub(crate) number: u64,
}

impl Arriving<'_> {
    fn malformed(&self, source: WireError) -> LinkError {
        LinkError::Malformed {
            number: self.number,
            source,
        }
    }
}

impl EdgeIn {
    pub(crate) const fn new(id: EdgeId) -> Self {
        Self {
            id,
            held: VecDeque::new(),
            outstanding: 0,
            partial: None,
            n_queued: 0,
            untold: false,
            ended: BTreeSet::new(),
        }
    }

    /// Takes a section; it waits for [`EdgeIn::deliver`].
    pub(crate) fn take(
        &mut self,
        body: SectionBody<'_>,
        arriving: &Arriving<'_>,
    ) -> Result<(), LinkError> {
        let edge = self.id;
        match body {
            SectionBody::Rows(_) | SectionBody::Mark(_) | SectionBody::FirstPiece { .. }
                if self.partial.is_some() =>
            {
                Err(LinkError::WrongPiece { edge })
            }
            SectionBody::Rows(body) => self.take_rows(body, arriving),
            SectionBody::Mark(mark) => self.take_mark(mark, arriving),
            SectionBody::FirstPiece { total, bytes } => {
                if total > arriving.max_body_bytes {
                    return Err(LinkError::WrongPiece { edge });
                }
                // What it costs in the end is more; this much is sure.
                self.charge(total, arriving.window)?;
                self.partial = Some(Partial {
                    total,
                    bytes: Vec::new(),
                });
                self.take_piece(bytes, arriving)
            }
            SectionBody::Piece(bytes) => self.take_piece(bytes, arriving),
        }
    }

    fn take_rows(&mut self, body: &[u8], arriving: &Arriving<'_>) -> Result<(), LinkError> {
        let (delivery, cost) = decode_rows(body, arriving.schemas, arriving.now)
            .map_err(|source| arriving.malformed(source))?;
        self.charge(cost, arriving.window)?;
        self.held.push_back(Held {
            item: Item::Rows(delivery),
            cost,
        });
        Ok(())
    }

    fn take_mark(&mut self, mark: Mark, arriving: &Arriving<'_>) -> Result<(), LinkError> {
        let Mark::End(task) = mark;
        if !arriving.schemas.has_task(self.id.emitter, task) {
            return Err(LinkError::WrongMark { edge: self.id });
        }
        self.charge(Cost::MARK, arriving.window)?;
        self.held.push_back(Held {
            item: Item::Mark(mark),
            cost: Cost::MARK,
        });
        Ok(())
    }

    fn take_piece(&mut self, bytes: &[u8], arriving: &Arriving<'_>) -> Result<(), LinkError> {
        let edge = self.id;
        let Some(partial) = &mut self.partial else {
            return Err(LinkError::WrongPiece { edge });
        };
        if bytes.is_empty() || bytes.len() > partial.total - partial.bytes.len() {
            return Err(LinkError::WrongPiece { edge });
        }
        // Grows with what arrives, not with what was announced.
        partial.bytes.extend_from_slice(bytes);
        if partial.bytes.len() < partial.total {
            return Ok(());
        }
        let Some(partial) = self.partial.take() else {
            return Ok(());
        };
        self.outstanding -= partial.total;
        self.take_rows(&partial.bytes, arriving)
    }

    fn charge(&mut self, cost: usize, window: usize) -> Result<(), LinkError> {
        let outstanding = self.outstanding;
        if outstanding > 0 && outstanding.saturating_add(cost) > window {
            return Err(LinkError::CreditExceeded {
                edge: self.id,
                cost,
                outstanding,
                window,
            });
        }
        self.outstanding += cost;
        Ok(())
    }

    /// Offers what waits to the reader, in order, until it is refused. Returns whether nothing is left.
    pub(crate) fn deliver(&mut self, offer: &mut dyn FnMut(Item) -> Result<(), Item>) -> bool {
        while let Some(Held { item, cost }) = self.held.pop_front() {
            let ended = match &item {
                Item::Mark(Mark::End(task)) => Some(*task),
                Item::Rows(_) => None,
            };
            let known = ended.is_some_and(|task| self.ended.contains(&task));
            if !known && let Err(item) = offer(item) {
                self.held.push_front(Held { item, cost });
                return false;
            }
            self.ended.extend(ended);
            self.outstanding -= cost;
            self.n_queued += 1;
            self.untold = true;
        }
        true
    }

    /// Lets go of what isn't queued: its sender gives it up as well.
    pub(crate) fn close(&mut self) {
        self.held.clear();
        self.partial = None;
        self.outstanding = 0;
        self.n_queued = 0;
        self.untold = false;
    }

    /// Forgets what the sender's former incarnation has said.
    pub(crate) fn forget(&mut self) {
        self.close();
        self.ended.clear();
    }

    /// Returns what waits here costs, in bytes.
    pub(crate) const fn outstanding(&self) -> usize {
        self.outstanding
    }
}
