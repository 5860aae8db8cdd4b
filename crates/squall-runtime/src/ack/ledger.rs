//! The XOR ledger of one task's tuple trees. Storm: `daemon/Acker`.
//!
//! A tree's entry is the XOR of the edge ids of its live tuples: each id comes in when its tuple is
//! emitted, in the same contribution that takes its parent's out, and goes out when it is acked. Zero
//! means that no tuple is alive, whatever the order in which contributions arrived.
//!
//! The ledger is a slab: a root id names its slot, so there is no map and no message to open a tree.
//!
//! **Invariant:** each root gets exactly one outcome while the ledger isn't reset. What arrives for
//! another generation than the live one is dropped.

use std::collections::VecDeque;
use std::time::Duration;

use squall_core::engine::RootId;
use squall_core::{Failure, FailureReason, MessageId, Moment, TaskId};

use crate::mutation::{self, Mutation};

/// What a tuple says about one of its roots.
#[derive(Clone, Debug)]
pub struct Contribution {
    /// The ledger's slot.
    pub slot: u32,
    /// The slot's generation.
    pub generation: u64,
    /// What is said.
    pub word: Word,
}

/// The words that reach a ledger.
#[derive(Clone, Debug)]
pub enum Word {
    /// Edge ids that came to life or ended, XORed.
    Xor(u64),
    /// A tuple of the tree still waits in a queue: its time in there doesn't count.
    Waiting,
    /// A token holds the tree.
    Hold,
    /// A token holds it no longer.
    Release,
    /// The tree has failed.
    Fail(Box<Failure>),
}

/// Something that the owner of a root is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The owner's own id for the message.
    pub message: MessageId,
    /// When it was emitted.
    pub emitted: Moment,
    /// What happened.
    pub outcome: Outcome,
}

/// What happened to a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every tuple of the tree was acked.
    Acked,
    /// The tree failed.
    Failed(Failure),
    /// A token holds the tree for the first time; its end is still to come.
    Held,
}

/// The trees of one task. Memory: 72 bytes for each root that was ever pending at the same time.
#[derive(Debug)]
pub struct Ledger {
    task: TaskId,
    slots: Vec<Slot>,
    free: VecDeque<u32>,
    first_generation: u64,
    pending: Load,
    held: Load,
}

/// How many roots there are of a kind, and the bytes of their first tuples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Roots.
    pub n_roots: usize,
    /// Bytes.
    pub bytes: usize,
}

impl Load {
    const fn add(&mut self, bytes: usize) {
        self.n_roots += 1;
        self.bytes += bytes;
    }

    const fn remove(&mut self, bytes: usize) {
        self.n_roots -= 1;
        self.bytes -= bytes;
    }
}

#[derive(Debug)]
struct Slot {
    generation: u64,
    live: bool,
    xor: u64,
    message: MessageId,
    emitted: Moment,
    /// When the tree was last known to wait in a queue; the time-out counts from here.
    seen: Moment,
    bytes: usize,
    n_holders: u32,
}

impl Ledger {
    /// Makes an empty ledger. `first_generation` is drawn at random for each incarnation of the task.
    #[must_use]
    pub fn new(task: TaskId, first_generation: u64) -> Self {
        Self {
            task,
            slots: Vec::new(),
            free: VecDeque::new(),
            first_generation,
            pending: Load::default(),
            held: Load::default(),
        }
    }

    /// Opens a root with nothing alive in it yet; [`Ledger::plant`] follows once its tuples have ids.
    pub fn open(&mut self, message: MessageId, bytes: usize, now: Moment) -> RootId {
        let slot_idx = self.free.pop_front().unwrap_or_else(|| self.grow());
        let slot = &mut self.slots[slot_idx as usize];
        slot.live = true;
        slot.xor = 0;
        slot.message = message;
        slot.emitted = now;
        slot.seen = now;
        slot.bytes = bytes;
        slot.n_holders = 0;
        self.pending.add(bytes);
        RootId {
            task: self.task,
            slot: slot_idx,
            generation: slot.generation,
        }
    }

    /// Brings the first tuples of a root to life: `xor` of their edge ids. Zero, which means that
    /// nobody subscribes, acks the root at once.
    pub fn plant(&mut self, root: RootId, xor: u64, ended: &mut Vec<Ended>) {
        if let Some(slot) = self.slots.get_mut(root.slot as usize) {
            slot.xor = xor;
            if xor == 0 {
                self.end(root.slot, Outcome::Acked, ended);
            }
        }
    }

    /// Takes one contribution, in any order with any other; pushes what the owner is to be told.
    pub fn apply(&mut self, contribution: Contribution, now: Moment, ended: &mut Vec<Ended>) {
        let slot_idx = contribution.slot;
        let Some(slot) = self.slots.get_mut(slot_idx as usize) else {
            return;
        };
        let stale = slot.generation != contribution.generation;
        if !slot.live || (stale && !mutation::is_on(Mutation::StaleGeneration)) {
            return;
        }
        match contribution.word {
            Word::Xor(xor) => {
                slot.xor ^= xor;
                if slot.xor == 0 {
                    self.end(slot_idx, Outcome::Acked, ended);
                }
            }
            Word::Waiting => slot.seen = now,
            Word::Hold => self.hold(slot_idx, ended),
            Word::Release => self.release(slot_idx, now),
            Word::Fail(failure) => self.end(slot_idx, Outcome::Failed(*failure), ended),
        }
    }

    /// Fails each root that is not held and was last seen more than `timeout` ago. Looks at all slots.
    pub fn sweep(&mut self, now: Moment, timeout: Duration, ended: &mut Vec<Ended>) {
        for slot_idx in 0..self.slots.len() {
            let slot = &self.slots[slot_idx];
            if slot.live && slot.n_holders == 0 && now.since(slot.seen) > timeout {
                let text = format!("the tuple tree outlived the message timeout of {timeout:?}");
                let failure = Failure::new(FailureReason::TimedOut, None, &text);
                self.end(as_slot(slot_idx), Outcome::Failed(failure), ended);
            }
        }
    }

    /// Fails all roots that tokens hold, or with `pending` all roots there are.
    pub fn fail_rest(&mut self, pending: bool, failure: &Failure, ended: &mut Vec<Ended>) {
        for slot_idx in 0..self.slots.len() {
            let slot = &self.slots[slot_idx];
            if slot.live && (pending || slot.n_holders > 0) {
                self.end(as_slot(slot_idx), Outcome::Failed(failure.clone()), ended);
            }
        }
    }

    /// Forgets all roots without an outcome: the instance that knew them is gone.
    pub fn reset(&mut self) {
        let mut forgotten = Vec::new();
        let failure = Failure::new(FailureReason::Lost, None, "");
        self.fail_rest(true, &failure, &mut forgotten);
    }

    /// Returns the roots that wait for an outcome and are not held.
    #[must_use]
    pub const fn pending(&self) -> Load {
        self.pending
    }

    /// Returns the roots that tokens hold.
    #[must_use]
    pub const fn held(&self) -> Load {
        self.held
    }

    /// Tells whether every root has had its outcome.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.pending.n_roots == 0 && self.held.n_roots == 0
    }

    fn grow(&mut self) -> u32 {
        self.slots.push(Slot {
            generation: self.first_generation,
            live: false,
            xor: 0,
            message: MessageId(0),
            emitted: Moment::ZERO,
            seen: Moment::ZERO,
            bytes: 0,
            n_holders: 0,
        });
        as_slot(self.slots.len() - 1)
    }

    fn hold(&mut self, slot_idx: u32, ended: &mut Vec<Ended>) {
        let slot = &mut self.slots[slot_idx as usize];
        slot.n_holders += 1;
        if slot.n_holders == 1 {
            self.pending.remove(slot.bytes);
            self.held.add(slot.bytes);
            ended.push(Ended {
                message: slot.message,
                emitted: slot.emitted,
                outcome: Outcome::Held,
            });
        }
    }

    fn release(&mut self, slot_idx: u32, now: Moment) {
        let slot = &mut self.slots[slot_idx as usize];
        if slot.n_holders == 1 {
            self.held.remove(slot.bytes);
            self.pending.add(slot.bytes);
            slot.seen = now;
        }
        slot.n_holders = slot.n_holders.saturating_sub(1);
    }

    fn end(&mut self, slot_idx: u32, outcome: Outcome, ended: &mut Vec<Ended>) {
        let slot = &mut self.slots[slot_idx as usize];
        if slot.n_holders > 0 {
            self.held.remove(slot.bytes);
        } else {
            self.pending.remove(slot.bytes);
        }
        slot.live = false;
        slot.generation = slot.generation.wrapping_add(1);
        ended.push(Ended {
            message: slot.message,
            emitted: slot.emitted,
            outcome,
        });
        self.free.push_back(slot_idx);
    }
}

/// The ledger can't outgrow 32 bits of slots: `max_spout_pending` is one.
fn as_slot(slot_idx: usize) -> u32 {
    u32::try_from(slot_idx).unwrap_or(u32::MAX)
}
