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

#[cfg(debug_assertions)]
mod balance;

use std::collections::VecDeque;
use std::time::Duration;

use squall_core::engine::{Contribution, RootId, Word};
use squall_core::{Failure, FailureReason, MessageId, Moment, TaskId};

use crate::mutation::{self, Mutation};

#[cfg(debug_assertions)]
use balance::Balance;

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
    Failed(Box<Failure>),
    /// A token holds the tree for the first time; its end is still to come.
    Held,
}

/// The trees of one task. Memory: 52 bytes for each root that was ever pending at the same time.
#[derive(Debug)]
pub struct Ledger {
    task: TaskId,
    slots: Vec<Slot>,
    free: VecDeque<u32>,
    first_generation: u64,
    pending: Load,
    held: Load,
    #[cfg(debug_assertions)]
    balance: Balance,
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

/// What a message is emitted with.
#[derive(Clone, Copy, Debug)]
pub struct First {
    /// The owner's own id for it.
    pub message: MessageId,
    /// Of its first tuple.
    pub bytes: usize,
    /// When it is emitted.
    pub now: Moment,
}

/// 48 bytes: there may be a million of them.
#[derive(Debug)]
struct Slot {
    generation: u64,
    xor: u64,
    message: MessageId,
    emitted: Moment,
    /// When the tree was last known to wait in a queue, from when it was emitted; the time-out counts from here.
    seen_after_ms: u32,
    /// No tuple is as large as this can't hold.
    bytes: u32,
    n_holders: u32,
    live: bool,
}

impl Slot {
    const fn load(&self) -> usize {
        self.bytes as usize
    }

    fn see(&mut self, now: Moment) {
        let after_ms = now.since(self.emitted).as_millis();
        self.seen_after_ms = u32::try_from(after_ms).unwrap_or(u32::MAX);
    }

    fn seen(&self) -> Moment {
        self.emitted + Duration::from_millis(u64::from(self.seen_after_ms))
    }
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
            #[cfg(debug_assertions)]
            balance: Balance::default(),
        }
    }

    /// Names the root that the next [`Ledger::plant`] opens, so that its tuples can be tied to it before.
    pub fn next_root(&mut self) -> RootId {
        let slot_idx = match self.free.front() {
            Some(slot_idx) => *slot_idx,
            None => self.grow(),
        };
        RootId {
            task: self.task,
            slot: slot_idx,
            generation: self.slots[slot_idx as usize].generation,
        }
    }

    /// Opens the root that [`Ledger::next_root`] named: `xor` of the edge ids of its tuples that live. Zero, which
    /// means that nobody subscribes or that all is done already, acks the message at once.
    pub fn plant(&mut self, first: First, xor: u64, ended: &mut Vec<Ended>) {
        let First {
            message,
            bytes,
            now,
        } = first;
        let Some(slot_idx) = self.free.front().copied() else {
            return;
        };
        let slot = &mut self.slots[slot_idx as usize];
        #[cfg(debug_assertions)]
        self.balance.open();
        if xor == 0 {
            slot.generation = slot.generation.wrapping_add(1);
            let (emitted, outcome) = (now, Outcome::Acked);
            #[cfg(debug_assertions)]
            self.balance.end(slot_idx, &outcome);
            ended.push(Ended {
                message,
                emitted,
                outcome,
            });
            return;
        }
        self.free.pop_front();
        *slot = Slot {
            generation: slot.generation,
            xor,
            message,
            emitted: now,
            seen_after_ms: 0,
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            n_holders: 0,
            live: true,
        };
        self.pending.add(bytes);
    }

    /// Takes one contribution, in any order with any other; pushes what the owner is to be told.
    pub fn apply(&mut self, contribution: Contribution, now: Moment, ended: &mut Vec<Ended>) {
        let xors = matches!(contribution.word, Word::Xor(_));
        if xors && mutation::is_on(Mutation::RepeatContribution) {
            self.take(contribution.clone(), now, ended);
        }
        self.take(contribution, now, ended);
    }

    #[inline]
    fn take(&mut self, contribution: Contribution, now: Moment, ended: &mut Vec<Ended>) {
        let slot_idx = contribution.slot;
        let Some(slot) = self.slots.get_mut(slot_idx as usize) else {
            return;
        };
        let stale = slot.generation != contribution.generation;
        if !slot.live || (stale && !mutation::is_on(Mutation::StaleGeneration)) {
            #[cfg(debug_assertions)]
            self.balance.drop_late(&contribution, slot.generation);
            return;
        }
        match contribution.word {
            Word::Xor(xor) => {
                slot.xor ^= xor;
                if slot.xor == 0 {
                    self.end(slot_idx, Outcome::Acked, ended);
                }
            }
            Word::Waiting => slot.see(now),
            Word::Hold => self.hold(slot_idx, ended),
            Word::Release => self.release(slot_idx, now),
            Word::Fail(failure) => self.end(slot_idx, Outcome::Failed(failure), ended),
        }
    }

    /// Fails each root that is not held and was last seen more than `timeout` ago. Looks at all slots.
    pub fn sweep(&mut self, now: Moment, timeout: Duration, ended: &mut Vec<Ended>) {
        for slot_idx in 0..self.slots.len() {
            let slot = &self.slots[slot_idx];
            if slot.live && slot.n_holders == 0 && now.since(slot.seen()) > timeout {
                let text = format!("the tuple tree outlived the message timeout of {timeout:?}");
                let failure = Failure::new(FailureReason::TimedOut, None, &text);
                self.end(as_slot(slot_idx), Outcome::Failed(Box::new(failure)), ended);
            }
        }
    }

    /// Fails all roots that tokens hold, or with `pending` all roots there are.
    pub fn fail_rest(&mut self, pending: bool, failure: &Failure, ended: &mut Vec<Ended>) {
        for slot_idx in 0..self.slots.len() {
            let slot = &self.slots[slot_idx];
            if slot.live && (pending || slot.n_holders > 0) {
                self.end(
                    as_slot(slot_idx),
                    Outcome::Failed(Box::new(failure.clone())),
                    ended,
                );
            }
        }
    }

    /// Fails all roots that were opened at least `age` ago.
    pub fn fail_old(
        &mut self,
        now: Moment,
        age: Duration,
        failure: &Failure,
        ended: &mut Vec<Ended>,
    ) {
        for slot_idx in 0..self.slots.len() {
            let slot = &self.slots[slot_idx];
            if slot.live && now.since(slot.emitted) >= age {
                self.end(
                    as_slot(slot_idx),
                    Outcome::Failed(Box::new(failure.clone())),
                    ended,
                );
            }
        }
    }

    /// Forgets all roots without an outcome: the instance that knew them is gone.
    pub fn reset(&mut self) {
        let mut forgotten = Vec::new();
        let failure = Failure::new(FailureReason::Lost, None, "");
        self.fail_rest(true, &failure, &mut forgotten);
        #[cfg(debug_assertions)]
        self.balance.forget(forgotten.len());
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

    /// Makes room for another root, which is free then.
    fn grow(&mut self) -> u32 {
        self.slots.push(Slot {
            generation: self.first_generation,
            xor: 0,
            message: MessageId(0),
            emitted: Moment::ZERO,
            seen_after_ms: 0,
            bytes: 0,
            n_holders: 0,
            live: false,
        });
        let slot_idx = as_slot(self.slots.len() - 1);
        self.free.push_back(slot_idx);
        slot_idx
    }

    fn hold(&mut self, slot_idx: u32, ended: &mut Vec<Ended>) {
        let slot = &mut self.slots[slot_idx as usize];
        slot.n_holders += 1;
        if slot.n_holders == 1 {
            self.pending.remove(slot.load());
            self.held.add(slot.load());
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
            self.held.remove(slot.load());
            self.pending.add(slot.load());
            slot.see(now);
        }
        slot.n_holders = slot.n_holders.saturating_sub(1);
    }

    fn end(&mut self, slot_idx: u32, outcome: Outcome, ended: &mut Vec<Ended>) {
        let slot = &mut self.slots[slot_idx as usize];
        if slot.n_holders > 0 {
            self.held.remove(slot.load());
        } else {
            self.pending.remove(slot.load());
        }
        slot.live = false;
        slot.generation = slot.generation.wrapping_add(1);
        #[cfg(debug_assertions)]
        self.balance.end(slot_idx, &outcome);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Moment = Moment::ZERO;

    fn ledger() -> Ledger {
        Ledger::new(TaskId(3), 1 << 50)
    }

    fn say(ledger: &mut Ledger, root: RootId, word: Word, now: Moment) -> Vec<Outcome> {
        let mut ended = Vec::new();
        ledger.apply(
            Contribution {
                slot: root.slot,
                generation: root.generation,
                word,
            },
            now,
            &mut ended,
        );
        ended.into_iter().map(|end| end.outcome).collect()
    }

    fn planted(ledger: &mut Ledger, xor: u64) -> RootId {
        let root = ledger.next_root();
        let first = First {
            message: MessageId(1),
            bytes: 10,
            now: NOW,
        };
        ledger.plant(first, xor, &mut Vec::new());
        root
    }

    #[test]
    fn slots_are_reused_first_in_first_out_under_new_generations() {
        let mut ledger = ledger();
        let roots: Vec<RootId> = (0..3).map(|_| planted(&mut ledger, 1)).collect();
        for slot in [1, 0, 2] {
            assert_eq!(
                say(&mut ledger, roots[slot], Word::Xor(1), NOW),
                [Outcome::Acked]
            );
        }
        let again: Vec<RootId> = (0..3).map(|_| planted(&mut ledger, 1)).collect();
        assert_eq!(
            again.iter().map(|root| root.slot).collect::<Vec<_>>(),
            [1, 0, 2]
        );
        assert!(again.iter().all(|root| root.generation == (1 << 50) + 1));
    }

    #[test]
    fn contributions_to_a_finished_tree_never_reach_the_next_one_in_its_slot() {
        let mut ledger = ledger();
        let old = planted(&mut ledger, 5);
        say(&mut ledger, old, Word::Fail(Box::new(lost())), NOW);
        let new = planted(&mut ledger, 5);
        assert_eq!(new.slot, old.slot);
        assert!(say(&mut ledger, old, Word::Xor(5), NOW).is_empty());
        assert!(say(&mut ledger, old, Word::Fail(Box::new(lost())), NOW).is_empty());
        assert_eq!(ledger.pending().n_roots, 1);
        assert_eq!(say(&mut ledger, new, Word::Xor(5), NOW), [Outcome::Acked]);
    }

    #[test]
    fn a_swept_tree_is_failed_once_and_a_waiting_or_held_one_is_spared() {
        let mut ledger = ledger();
        let timeout = Duration::from_secs(30);
        let late = NOW + Duration::from_secs(31);
        let (stuck, waiting, held) = (
            planted(&mut ledger, 1),
            planted(&mut ledger, 1),
            planted(&mut ledger, 1),
        );
        say(
            &mut ledger,
            waiting,
            Word::Waiting,
            NOW + Duration::from_secs(20),
        );
        assert_eq!(say(&mut ledger, held, Word::Hold, NOW), [Outcome::Held]);
        let mut ended = Vec::new();
        ledger.sweep(late, timeout, &mut ended);
        assert_eq!(ended.len(), 1);
        assert!(
            matches!(&ended[0].outcome, Outcome::Failed(f) if f.reason == FailureReason::TimedOut)
        );
        assert!(say(&mut ledger, stuck, Word::Xor(1), late).is_empty());
        assert_eq!((ledger.pending().n_roots, ledger.held().n_roots), (1, 1));
        // Released, its time counts from the release.
        say(&mut ledger, held, Word::Release, late);
        ledger.sweep(late + timeout, timeout, &mut ended);
        assert_eq!(ended.len(), 2);
        assert_eq!(say(&mut ledger, held, Word::Xor(1), late), [Outcome::Acked]);
        assert!(ledger.is_empty());
        assert_eq!(ledger.pending(), Load::default());
    }

    fn lost() -> Failure {
        Failure::new(FailureReason::Lost, None, "lost")
    }

    /// A tree by its parents' indexes: tuple 0 is the root's own, each other one has a parent before it.
    fn tree() -> impl Strategy<Value = Vec<usize>> {
        proptest::collection::vec(any::<proptest::sample::Index>(), 0..20).prop_map(|picks| {
            picks
                .iter()
                .enumerate()
                .map(|(nth, pick)| pick.index(nth + 1))
                .collect()
        })
    }

    proptest! {
        /// Each tuple's contribution is its own id and its children's. In whatever order and mixture of
        /// trees they arrive, and with stale ones among them, each tree is acked by its last one.
        #[test]
        fn acks_with_the_last_contribution_in_any_order(
            trees in proptest::collection::vec(tree(), 1..8),
            seed in any::<u64>(),
            failing in proptest::option::of(0usize..8),
        ) {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut ledger = ledger();
            // Failed trees whose echoes are mixed in.
            let stale: Vec<RootId> = (0..4).map(|_| planted(&mut ledger, 9)).collect();
            let fail = || Word::Fail(Box::new(lost()));
            stale.iter().for_each(|root| drop(say(&mut ledger, *root, fail(), NOW)));
            let mut contributions = Vec::new();
            let mut left = Vec::new();
            for (tree_idx, parents) in trees.iter().enumerate() {
                let ids: Vec<u64> = (0..=parents.len()).map(|_| rng.u64(1..)).collect();
                let root = planted(&mut ledger, ids[0]);
                let mut xors = ids.clone();
                parents.iter().enumerate().for_each(|(nth, parent)| xors[*parent] ^= ids[nth + 1]);
                left.push(xors.len());
                contributions.extend(xors.into_iter().map(|xor| (tree_idx, root, Word::Xor(xor))));
            }
            if let Some(tree_idx) = failing.filter(|idx| *idx < trees.len()) {
                let root = contributions.iter().find(|(idx, _, _)| *idx == tree_idx).unwrap().1;
                // The tuple that fails doesn't ack: one of the tree's contributions never comes.
                let at = contributions.iter().position(|(idx, _, _)| *idx == tree_idx).unwrap();
                contributions[at] = (tree_idx, root, Word::Fail(Box::new(lost())));
            }
            contributions.extend(stale.iter().map(|root| (usize::MAX, *root, Word::Xor(rng.u64(..)))));
            rng.shuffle(&mut contributions);
            let mut outcomes = vec![Vec::new(); trees.len()];
            for (tree_idx, root, word) in contributions {
                let fails = matches!(word, Word::Fail(_));
                let said = say(&mut ledger, root, word, NOW);
                let Some(left) = left.get_mut(tree_idx) else {
                    prop_assert!(said.is_empty(), "a stale contribution did something");
                    continue;
                };
                *left -= 1;
                if !fails && failing != Some(tree_idx) {
                    prop_assert_eq!(said.len(), usize::from(*left == 0), "acked with the last one only");
                }
                outcomes[tree_idx].extend(said);
            }
            for (tree_idx, outcomes) in outcomes.iter().enumerate() {
                prop_assert_eq!(outcomes.len(), 1);
                prop_assert_eq!(outcomes[0] == Outcome::Acked, failing != Some(tree_idx));
            }
            prop_assert!(ledger.is_empty());
            prop_assert_eq!(ledger.pending(), Load::default());
        }
    }
}
