//! The sending end of a link's acks.

use std::collections::VecDeque;

use squall_core::engine::{Contribution, RootId, Word};
use squall_core::{Failure, FailureReason, TaskId};

use super::ack_outbox::AckOutbox;
use super::error::LinkError;
use crate::wire::{TARGET_PAYLOAD_BYTES, begin_payload, encode_contribution};

/// How many bytes of ack frames may be under way. What comes on top is merged until some are confirmed.
pub const MAX_UNCONFIRMED_ACK_BYTES: usize = 1024 * 1024;

/// Below this many bytes of room, a payload is as good as full: the longest word, a failure, has fewer.
const MIN_ROOM_BYTES: usize = 3 * 1024;

/// Sends what tasks of this worker say about roots of the peer's tasks, on one stream after the other.
///
/// Never refuses anything, and never says an XOR twice: whether a frame arrived before its stream broke
/// can't be known, so the roots in it fail.
#[derive(Debug, Default)]
pub struct AckSender {
    outbox: AckOutbox,
    open: bool,
    next_frame: u64,
    /// Frames that aren't confirmed, and their bytes in all.
    frames: VecDeque<Frame>,
    unconfirmed_bytes: usize,
    /// What is in them that must not be said twice, and what has to be, in order.
    spent: VecDeque<RootId>,
    fails: VecDeque<(RootId, Box<Failure>)>,
    n_confirmed: u64,
}

#[derive(Debug)]
struct Frame {
    n_bytes: usize,
    n_spent: usize,
    n_fails: usize,
}

impl AckSender {
    /// Makes the sender of a link.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a stream. One that was open must have been closed.
    pub fn open(&mut self) {
        debug_assert!(!self.open, "close comes before open");
        self.open = true;
        self.next_frame = 1;
        self.n_confirmed = 0;
    }

    /// Tells whether a stream is open.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open
    }

    /// Takes all contributions to roots of `owner`, and leaves the list empty.
    pub fn push(&mut self, owner: TaskId, contributions: &mut Vec<Contribution>) {
        for contribution in contributions.drain(..) {
            let root = RootId {
                task: owner,
                slot: contribution.slot,
                generation: contribution.generation,
            };
            self.outbox.push(root, contribution.word);
        }
    }

    /// Lays out the next frame's payload, and returns the frame's number; `None` if there is nothing to be
    /// sent, or too much under way.
    pub fn next_frame(&mut self, payload: &mut Vec<u8>) -> Option<u64> {
        let may = self.open && self.unconfirmed_bytes < MAX_UNCONFIRMED_ACK_BYTES;
        if !may || self.outbox.is_empty() {
            return None;
        }
        begin_payload(payload);
        let (n_spent, n_fails) = (self.spent.len(), self.fails.len());
        while payload.len() < TARGET_PAYLOAD_BYTES - MIN_ROOM_BYTES {
            let Some((root, word)) = self.outbox.pop() else {
                break;
            };
            self.encode(payload, root, word);
        }
        self.frames.push_back(Frame {
            n_bytes: payload.len(),
            n_spent: self.spent.len() - n_spent,
            n_fails: self.fails.len() - n_fails,
        });
        self.unconfirmed_bytes += payload.len();
        let number = self.next_frame;
        self.next_frame += 1;
        Some(number)
    }

    fn encode(&mut self, payload: &mut Vec<u8>, root: RootId, word: Word) {
        let contribution = Contribution {
            slot: root.slot,
            generation: root.generation,
            word,
        };
        encode_contribution(payload, root.task, &contribution);
        match contribution.word {
            Word::Xor(_) | Word::Hold | Word::Release => self.spent.push_back(root),
            Word::Fail(failure) => self.fails.push_back((root, failure)),
            // Said again soon enough.
            Word::Waiting => {}
        }
    }

    /// Takes note that all frames of this stream up to `number` have arrived.
    ///
    /// # Errors
    /// [`LinkError`] when there is no such frame: close the stream.
    pub fn confirm(&mut self, number: u64) -> Result<(), LinkError> {
        if !self.open || number >= self.next_frame {
            return Err(LinkError::WrongConfirmation {
                confirmed: number,
                sent: self.next_frame.saturating_sub(1),
            });
        }
        while self.n_confirmed < number {
            self.n_confirmed += 1;
            if let Some(frame) = self.frames.pop_front() {
                self.unconfirmed_bytes -= frame.n_bytes;
                self.spent.drain(..frame.n_spent.min(self.spent.len()));
                self.fails.drain(..frame.n_fails.min(self.fails.len()));
            }
        }
        Ok(())
    }

    /// Ends the stream, if there is one. The roots of all that isn't confirmed fail: said to their owners
    /// on the next stream, as are the fails themselves.
    pub fn close(&mut self) {
        self.open = false;
        self.frames.clear();
        self.unconfirmed_bytes = 0;
        for (root, failure) in self.fails.drain(..) {
            self.outbox.push(root, Word::Fail(failure));
        }
        let mut last = None;
        for root in self.spent.drain(..) {
            if last.replace(root) != Some(root) {
                let lost = Failure::new(FailureReason::Lost, None, "an ack was lost with its link");
                self.outbox.push(root, Word::Fail(Box::new(lost)));
            }
        }
    }

    /// Returns how many words wait, and how many bytes are under way.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        (self.outbox.len(), self.unconfirmed_bytes)
    }

    /// Returns how many words were dropped because far too many waited: their trees time out.
    #[must_use]
    pub const fn n_dropped(&self) -> u64 {
        self.outbox.n_dropped()
    }
}
