//! A spout's messages from their first emit to their end.
//!
//! **Invariant:** a message is in flight, or waits for its retry, or waits for the dead letters; only
//! the first of these takes a verdict, so a verdict that comes twice changes nothing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::backoff::Backoff;
use super::{OnExhausted, ReplayConfig};
use crate::clock::Moment;
use crate::error::Failure;
use crate::ids::MessageId;

/// What a spout has in flight: bounded in items and bytes, with back-off, attempts and dead letters.
///
/// Memory: the bodies, and below 64 bytes a message beside its body for the most that were ever pending
/// at once (slot, free list, heap of retries). Nothing is allocated once that many slots are there.
pub struct Pending<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    waiting: BinaryHeap<Reverse<(Moment, u64)>>,
    backoff: Backoff,
    bounds: Bounds,
    counters: Counters,
    n_items: usize,
    counted: Load,
}

/// What became of a failed message.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision<'a, T> {
    /// It will be handed out by [`Pending::next_due`] from this moment on.
    Retry {
        /// When the back-off is over.
        at: Moment,
    },
    /// Its attempts are used up: write it to the dead letters, then call [`Pending::dead_lettered`].
    /// It stays pending until then, so that a write that fails can be repeated.
    DeadLetter {
        /// The message.
        body: &'a T,
        /// How often it was emitted.
        attempts: u32,
    },
    /// Its attempts are used up and the policy gives it up: it isn't pending any more.
    Dropped(T),
    /// No message of this id is in flight: the verdict is out of date.
    Unknown,
}

/// A message to be emitted again, under the same id.
#[derive(Debug, PartialEq, Eq)]
pub struct Retry<'a, T> {
    /// The id that it has had from the first.
    pub id: MessageId,
    /// Which emit this is: 2 for the first retry.
    pub attempt: u32,
    /// The message.
    pub body: &'a T,
}

/// What happened so far, for the spout's metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Retries handed out.
    pub retried: u64,
    /// Messages whose attempts were used up, each counted once.
    pub exhausted: u64,
    /// Messages written to the dead letters.
    pub dead_lettered: u64,
    /// Messages given up by the policy `drop`.
    pub dropped: u64,
}

struct Bounds {
    max: Load,
    max_attempts: u32,
    on_exhausted: OnExhausted,
}

#[derive(Clone, Copy, Default)]
struct Load {
    items: usize,
    bytes: usize,
}

struct Slot<T> {
    generation: u32,
    entry: Option<Entry<T>>,
}

struct Entry<T> {
    body: T,
    bytes: usize,
    attempt: u32,
    n_failures: u32,
    held: bool,
    exhausted: bool,
    phase: Phase,
}

/// Where a message stands after a failure: what its next wait depends on.
struct Tally {
    exhausted: bool,
    n_failures: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    InFlight,
    Waiting,
    Dying,
}

impl<T> Pending<T> {
    /// Makes an empty one; `seed` fixes the jitter.
    #[must_use]
    pub fn new(config: &ReplayConfig, seed: u64) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            waiting: BinaryHeap::new(),
            backoff: Backoff::new(config, seed),
            bounds: Bounds {
                max: Load {
                    items: usize::try_from(config.max_items.get()).unwrap_or(usize::MAX),
                    bytes: config.max_bytes.as_usize(),
                },
                max_attempts: config.max_attempts.get(),
                on_exhausted: config.on_exhausted,
            },
            counters: Counters::default(),
            n_items: 0,
            counted: Load::default(),
        }
    }

    /// Tells whether another message may be inserted. Held ones don't count.
    #[must_use]
    pub const fn has_room(&self) -> bool {
        self.counted.items < self.bounds.max.items && self.counted.bytes < self.bounds.max.bytes
    }

    /// Takes a message that is about to be emitted for the first time; `bytes` is its size.
    ///
    /// Ask [`Pending::has_room`] before: then the bounds are passed by one body at most.
    pub fn insert(&mut self, body: T, bytes: usize) -> MessageId {
        let entry = Entry {
            body,
            bytes,
            attempt: 1,
            n_failures: 0,
            held: false,
            exhausted: false,
            phase: Phase::InFlight,
        };
        self.n_items += 1;
        self.counted.add(bytes);
        if let Some(slot_idx) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(slot_idx as usize)
        {
            slot.entry = Some(entry);
            return id_of(slot_idx, slot.generation);
        }
        let slot_idx = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        debug_assert!(slot_idx < u32::MAX, "max_items bounds the slots");
        self.slots.push(Slot {
            generation: 0,
            entry: Some(entry),
        });
        id_of(slot_idx, 0)
    }

    /// Returns a pending message, in whatever phase it is.
    #[must_use]
    pub fn get(&self, id: MessageId) -> Option<&T> {
        self.entry(id).map(|entry| &entry.body)
    }

    /// Ends a message well and hands its body back; `None` for an id that isn't in flight.
    pub fn ack(&mut self, id: MessageId) -> Option<T> {
        self.take(id, Phase::InFlight)
    }

    /// Takes the bad end of an attempt and decides what follows.
    ///
    /// A held message counts towards the bounds again from here on.
    pub fn fail(&mut self, id: MessageId, why: &Failure, now: Moment) -> Decision<'_, T> {
        let Some(tally) = self.tally(id, why) else {
            return Decision::Unknown;
        };
        let (phase, wait) = match (tally.exhausted, self.bounds.on_exhausted) {
            (true, OnExhausted::Drop) => {
                self.counters.dropped += 1;
                let gone = self.take(id, Phase::InFlight);
                return gone.map_or(Decision::Unknown, Decision::Dropped);
            }
            (true, OnExhausted::DeadLetter) => (Phase::Dying, None),
            (true, OnExhausted::RetryAtCap) => (Phase::Waiting, Some(self.backoff.at_cap())),
            (false, _) => (Phase::Waiting, Some(self.backoff.after(tally.n_failures))),
        };
        let Some(entry) = entry_of(&mut self.slots, id, Phase::InFlight) else {
            return Decision::Unknown;
        };
        entry.phase = phase;
        let Some(wait) = wait else {
            return Decision::DeadLetter {
                body: &entry.body,
                attempts: entry.attempt,
            };
        };
        let at = now + wait;
        self.waiting.push(Reverse((at, id.0)));
        Decision::Retry { at }
    }

    /// Ends a message that now stands among the dead letters; `None` where none was to be written.
    pub fn dead_lettered(&mut self, id: MessageId) -> Option<T> {
        let gone = self.take(id, Phase::Dying);
        self.counters.dead_lettered += u64::from(gone.is_some());
        gone
    }

    /// Hears that a window keeps the message: until it fails it counts towards no bound here, but towards
    /// the engine's `max_held_bytes`. What of its body can be read again may be dropped.
    pub fn held(&mut self, id: MessageId) -> Option<&mut T> {
        let entry = entry_of(&mut self.slots, id, Phase::InFlight)?;
        if !std::mem::replace(&mut entry.held, true) {
            self.counted.remove(entry.bytes);
        }
        Some(&mut entry.body)
    }

    /// Hands out the retry whose back-off was over first, to be emitted now: it is in flight again.
    pub fn next_due(&mut self, now: Moment) -> Option<Retry<'_, T>> {
        let Reverse((at, id)) = *self.waiting.peek()?;
        if at > now {
            return None;
        }
        self.waiting.pop();
        let id = MessageId(id);
        let entry = entry_of(&mut self.slots, id, Phase::Waiting)?;
        entry.phase = Phase::InFlight;
        entry.attempt = entry.attempt.saturating_add(1);
        self.counters.retried += 1;
        Some(Retry {
            id,
            attempt: entry.attempt,
            body: &entry.body,
        })
    }

    /// Returns when the next retry is due, past or future; `None` when nothing waits.
    #[must_use]
    pub fn next_due_at(&self) -> Option<Moment> {
        self.waiting.peek().map(|Reverse((at, _))| *at)
    }

    /// Tells whether nothing is pending: all was acked, dead-lettered or dropped.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.n_items == 0
    }

    /// Returns how many messages are pending, held ones included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.n_items
    }

    /// Returns the bytes that count towards the bound.
    #[must_use]
    pub const fn counted_bytes(&self) -> usize {
        self.counted.bytes
    }

    /// Returns what happened so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    fn entry(&self, id: MessageId) -> Option<&Entry<T>> {
        let (slot_idx, generation) = parts_of(id);
        let slot = self.slots.get(slot_idx as usize)?;
        slot.entry
            .as_ref()
            .filter(|_| slot.generation == generation)
    }

    /// Books a failure on the message; `None` when it isn't in flight.
    fn tally(&mut self, id: MessageId, why: &Failure) -> Option<Tally> {
        let entry = entry_of(&mut self.slots, id, Phase::InFlight)?;
        if std::mem::take(&mut entry.held) {
            self.counted.add(entry.bytes);
        }
        let counts = why.permanent || why.reason.counts_as_attempt();
        entry.n_failures = entry.n_failures.saturating_add(u32::from(counts));
        let spent = why.permanent || entry.n_failures >= self.bounds.max_attempts;
        if spent && !std::mem::replace(&mut entry.exhausted, true) {
            self.counters.exhausted += 1;
        }
        Some(Tally {
            exhausted: entry.exhausted,
            // What isn't the message's fault comes back soon, but not all of it in one instant.
            n_failures: if counts { entry.n_failures } else { 1 },
        })
    }

    fn take(&mut self, id: MessageId, phase: Phase) -> Option<T> {
        entry_of(&mut self.slots, id, phase)?;
        let (slot_idx, _) = parts_of(id);
        let slot = self.slots.get_mut(slot_idx as usize)?;
        let entry = slot.entry.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(slot_idx);
        self.n_items -= 1;
        if !entry.held {
            self.counted.remove(entry.bytes);
        }
        Some(entry.body)
    }
}

impl Load {
    const fn add(&mut self, bytes: usize) {
        self.items += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    const fn remove(&mut self, bytes: usize) {
        self.items = self.items.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// Finds the live message `id` in that phase. A free function, so that the other fields stay usable.
fn entry_of<T>(slots: &mut [Slot<T>], id: MessageId, phase: Phase) -> Option<&mut Entry<T>> {
    let (slot_idx, generation) = parts_of(id);
    let slot = slots.get_mut(slot_idx as usize)?;
    let live = slot.entry.as_mut()?;
    (slot.generation == generation && live.phase == phase).then_some(live)
}

/// A message id is the use of its slot (high half) and the slot's number (low half).
fn id_of(slot_idx: u32, generation: u32) -> MessageId {
    MessageId(u64::from(generation) << 32 | u64::from(slot_idx))
}

#[expect(clippy::cast_possible_truncation, reason = "the halves of 64 bits")]
const fn parts_of(id: MessageId) -> (u32, u32) {
    (id.0 as u32, (id.0 >> 32) as u32)
}

#[cfg(test)]
mod tests;
