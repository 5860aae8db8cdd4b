//! The sending end of one edge: what is under way, what waits for credit, what to give up.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use squall_core::engine::{Cursor, Delivery, EdgeId, Item, Mark, RootId};
use squall_core::{Moment, TaskId};

use crate::mutation::Resend;
use crate::wire::{
    Cost, EncodeError, Limits, SchemaTable, Stop, TARGET_PAYLOAD_BYTES, encode_large,
    push_first_piece, push_mark, push_piece, push_rows,
};

/// The fewest bytes of a payload that are worth a piece of a large tuple.
const MIN_PIECE_BYTES: usize = 4 * 1024;
/// What a piece's own header takes, at most.
const PIECE_HEADER_BYTES: usize = 19;
/// Below this many bytes of room, a payload is as good as full.
const MIN_ROOM_BYTES: usize = 64;

/// A tuple that can't be sent to another worker. Its trees fail for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undeliverable {
    /// Its trees.
    pub roots: Vec<RootId>,
    /// Why.
    pub why: EncodeError,
}

/// Why an edge adds no more to a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// It has nothing more.
    Drained,
    /// What comes next has to wait until something is confirmed.
    Blocked,
    /// The payload is full.
    Full,
}

/// What filling a payload needs to know.
pub(crate) struct Filling<'a> {
    pub(crate) schemas: &'a SchemaTable,
    pub(crate) max_tuple_bytes: usize,
    /// The edge's window, in bytes of cost.
    pub(crate) window: usize,
    pub(crate) now: Moment,
    pub(crate) payload: &'a mut Vec<u8>,
    pub(crate) undeliverable: &'a mut Vec<Undeliverable>,
}

impl Filling<'_> {
    fn room(&self) -> usize {
        TARGET_PAYLOAD_BYTES.saturating_sub(self.payload.len())
    }
}

/// One edge, from its outlet to its reader's worker.
#[derive(Debug)]
pub(crate) struct EdgeOut {
    pub(crate) id: EdgeId,
    /// It stands in the list of those that have something to send.
    pub(crate) ready: bool,
    /// Marks that are to be said again, before all else.
    marks: VecDeque<Mark>,
    /// A delivery that was begun.
    begun: Option<(Delivery, Cursor)>,
    /// A tuple that goes in pieces.
    large: Option<Large>,
    /// What was sent and is not confirmed, and what it costs in all.
    sections: VecDeque<Sent>,
    outstanding: usize,
    /// The trees of it, in the same order.
    roots: VecDeque<RootId>,
    /// Sections that were sent and confirmed on this stream.
    n_sent: u64,
    n_confirmed: u64,
    /// Tasks whose end has been said: every incarnation of the reader's worker has to hear of it.
    ended: BTreeSet<TaskId>,
    /// Nothing, unless a test asks for this defect.
    resend: Resend,
}

/// One section under way.
#[derive(Debug)]
struct Sent {
    cost: usize,
    n_roots: usize,
    at: Moment,
    mark: Option<Mark>,
}

/// A tuple that goes in pieces.
#[derive(Debug)]
struct Large {
    body: Vec<u8>,
    /// How much of it was sent; with nothing of it, it isn't charged yet.
    n_sent: usize,
    cost: usize,
    roots: Vec<RootId>,
}

impl EdgeOut {
    pub(crate) const fn new(id: EdgeId) -> Self {
        Self {
            id,
            ready: false,
            marks: VecDeque::new(),
            begun: None,
            large: None,
            sections: VecDeque::new(),
            outstanding: 0,
            roots: VecDeque::new(),
            n_sent: 0,
            n_confirmed: 0,
            ended: BTreeSet::new(),
            resend: Resend::new(),
        }
    }

    /// Adds sections to a payload, as many as it and the window have room for. Takes further items with
    /// `take` as it comes to them.
    pub(crate) fn fill(
        &mut self,
        filling: &mut Filling<'_>,
        take: &mut dyn FnMut() -> Option<Item>,
    ) -> Filled {
        if let Some((section, cost)) = self.resend.due() {
            filling.payload.extend_from_slice(&section);
            self.note_sent(cost, 0, filling.now, None);
        }
        loop {
            if filling.room() < MIN_ROOM_BYTES {
                return Filled::Full;
            }
            // Marks are there only when they come before what else was begun.
            let step = if let Some(mark) = self.marks.pop_front() {
                self.fill_mark(filling, mark)
            } else if self.large.is_some() {
                self.fill_piece(filling)
            } else if self.begun.is_some() {
                self.fill_rows(filling)
            } else {
                match take() {
                    None => return Filled::Drained,
                    Some(Item::Mark(mark)) => self.marks.push_back(mark),
                    Some(Item::Rows(delivery)) => {
                        let cursor = Cursor::new(&delivery);
                        self.begun = Some((delivery, cursor));
                    }
                }
                None
            };
            if let Some(filled) = step {
                return filled;
            }
        }
    }

    fn fill_rows(&mut self, filling: &mut Filling<'_>) -> Option<Filled> {
        let (delivery, cursor) = self.begun.as_mut()?;
        let limits = Limits {
            max_len: TARGET_PAYLOAD_BYTES,
            max_cost: filling.window.saturating_sub(self.outstanding),
            free_first: self.outstanding == 0,
        };
        let payload_before = filling.payload.len();
        let fresh = payload_before <= 1;
        let n_before = self.roots.len();
        let roots = &mut self.roots;
        let written = push_rows(
            filling.payload,
            self.id,
            (delivery, cursor),
            (filling.schemas, limits),
            |root| roots.push_back(root),
        );
        let n_roots = self.roots.len() - n_before;
        if written.n_rows > 0 {
            self.note_sent(written.cost, n_roots, filling.now, None);
            let section = filling.payload.get(payload_before..).unwrap_or_default();
            self.resend.sent(self.n_sent, section, written.cost);
        }
        match written.stop {
            Stop::End => {
                self.begun = None;
                None
            }
            Stop::Credit => Some(Filled::Blocked),
            // A row that finds no room in an empty payload is a large one.
            Stop::Payload if !(fresh && written.n_rows == 0) => Some(Filled::Full),
            Stop::Payload | Stop::Large => {
                self.begin_large(filling);
                None
            }
            Stop::Refused(why) => {
                self.skip_row(filling, why);
                None
            }
        }
    }

    /// Encodes the next row apart.
    fn begin_large(&mut self, filling: &mut Filling<'_>) {
        let Some((delivery, cursor)) = self.begun.as_mut() else {
            return;
        };
        let Some(place) = cursor.peek(delivery) else {
            return;
        };
        let mut body = Vec::new();
        let max_tuple_bytes = filling.max_tuple_bytes;
        match encode_large(
            &mut body,
            (delivery, &place),
            filling.schemas,
            max_tuple_bytes,
        ) {
            Ok(cost) => {
                self.large = Some(Large {
                    body,
                    n_sent: 0,
                    cost,
                    roots: place.roots.as_slice().to_vec(),
                });
                cursor.advance(delivery);
                if cursor.is_at_end(delivery) {
                    self.begun = None;
                }
            }
            Err(why) => self.skip_row(filling, why),
        }
    }

    /// Gives up a row that can't be sent.
    fn skip_row(&mut self, filling: &mut Filling<'_>, why: EncodeError) {
        let Some((delivery, cursor)) = self.begun.as_mut() else {
            return;
        };
        match cursor.advance(delivery) {
            Some(place) => filling.undeliverable.push(Undeliverable {
                roots: place.roots.as_slice().to_vec(),
                why,
            }),
            None => self.begun = None,
        }
    }

    fn fill_piece(&mut self, filling: &mut Filling<'_>) -> Option<Filled> {
        let large = self.large.as_mut()?;
        let left = large.body.len() - large.n_sent;
        let room = filling.room().saturating_sub(PIECE_HEADER_BYTES);
        if room < left.min(MIN_PIECE_BYTES) {
            return Some(Filled::Full);
        }
        if large.n_sent == 0 {
            let (cost, roots) = (large.cost, std::mem::take(&mut large.roots));
            if !self.admits(cost, filling.window) {
                if let Some(large) = self.large.as_mut() {
                    large.roots = roots;
                }
                return Some(Filled::Blocked);
            }
            let n_roots = roots.len();
            self.roots.extend(roots);
            self.note_sent(cost, n_roots, filling.now, None);
        }
        let large = self.large.as_mut()?;
        let end = large.n_sent + room.min(left);
        let piece = large.body.get(large.n_sent..end).unwrap_or_default();
        if large.n_sent == 0 {
            push_first_piece(filling.payload, self.id, large.body.len(), piece);
        } else {
            push_piece(filling.payload, self.id, piece);
        }
        large.n_sent = end;
        if end == large.body.len() {
            self.large = None;
        }
        None
    }

    fn fill_mark(&mut self, filling: &mut Filling<'_>, mark: Mark) -> Option<Filled> {
        if !self.admits(Cost::MARK, filling.window) {
            self.marks.push_front(mark);
            return Some(Filled::Blocked);
        }
        push_mark(filling.payload, self.id, mark);
        self.note_sent(Cost::MARK, 0, filling.now, Some(mark));
        let Mark::End(task) = mark;
        self.ended.insert(task);
        None
    }

    const fn admits(&self, cost: usize, window: usize) -> bool {
        self.outstanding == 0 || self.outstanding.saturating_add(cost) <= window
    }

    fn note_sent(&mut self, cost: usize, n_roots: usize, at: Moment, mark: Option<Mark>) {
        self.outstanding += cost;
        self.n_sent += 1;
        self.sections.push_back(Sent {
            cost,
            n_roots,
            at,
            mark,
        });
    }

    /// Takes note that the first `n_sections` of this stream are queued at the reader; `None` if so many
    /// were not sent.
    pub(crate) fn confirm(&mut self, n_sections: u64) -> Option<()> {
        if n_sections > self.n_sent {
            return None;
        }
        // A tuple that is still going out can't have arrived.
        let whole = u64::from(self.large.as_ref().is_some_and(|large| large.n_sent > 0));
        if n_sections > self.n_sent - whole {
            return None;
        }
        self.resend.confirmed(n_sections);
        while self.n_confirmed < n_sections {
            self.n_confirmed += 1;
            if let Some(sent) = self.sections.pop_front() {
                self.outstanding -= sent.cost;
                self.roots.drain(..sent.n_roots.min(self.roots.len()));
            }
        }
        Some(())
    }

    /// Returns how many sections were sent on this stream.
    pub(crate) const fn n_sent(&self) -> u64 {
        self.n_sent
    }

    /// Ends the stream: gives up what isn't confirmed, and keeps its marks and what wasn't sent yet.
    pub(crate) fn close(&mut self, lost: &mut Vec<RootId>) {
        lost.extend(self.roots.drain(..));
        for sent in self.sections.drain(..).rev() {
            if let Some(mark) = sent.mark {
                self.marks.push_front(mark);
            }
        }
        self.large.take_if(|large| large.n_sent > 0);
        self.resend.broken();
        self.outstanding = 0;
        self.n_sent = 0;
        self.n_confirmed = 0;
    }

    /// Takes note of tasks whose end each incarnation of the reader's worker has to hear of.
    pub(crate) fn note_ended(&mut self, ended: impl IntoIterator<Item = TaskId>) {
        self.ended.extend(ended);
    }

    /// Prepares for an incarnation of the reader's worker that has heard of nothing yet.
    pub(crate) fn repeat_marks(&mut self) {
        for Mark::End(task) in self.marks.drain(..) {
            self.ended.insert(task);
        }
        self.marks
            .extend(self.ended.iter().map(|task| Mark::End(*task)));
    }

    /// Gives up what was taken and not sent: the edge has no other end any more.
    pub(crate) fn abandon(&mut self, lost: &mut Vec<RootId>) {
        self.close(lost);
        self.marks.clear();
        if let Some(large) = self.large.take() {
            lost.extend(large.roots);
        }
        if let Some((delivery, cursor)) = self.begun.take() {
            delivery.for_each_root(cursor.n_read(), |root| lost.push(root));
        }
    }

    /// Names the trees of what was sent more than `age` ago and still isn't confirmed, and of what was
    /// taken and couldn't be sent.
    pub(crate) fn waiting(&self, now: Moment, age: Duration, into: &mut Vec<RootId>) {
        let old = self
            .sections
            .iter()
            .take_while(|sent| now.since(sent.at) >= age);
        let n_roots: usize = old.map(|sent| sent.n_roots).sum();
        into.extend(self.roots.iter().take(n_roots));
        if let Some(large) = &self.large {
            into.extend(&large.roots);
        }
        if let Some((delivery, cursor)) = &self.begun {
            delivery.for_each_root(cursor.n_read(), |root| into.push(root));
        }
    }

    /// Returns the cost of what isn't confirmed.
    pub(crate) const fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Returns how many trees are kept for it.
    pub(crate) fn n_roots(&self) -> usize {
        self.roots.len()
    }

    /// Tells whether nothing is under way or begun.
    pub(crate) fn is_idle(&self) -> bool {
        self.sections.is_empty()
            && self.begun.is_none()
            && self.large.is_none()
            && self.marks.is_empty()
    }
}
