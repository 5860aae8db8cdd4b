//! The books of a ledger: what became of every root that was opened.
//!
//! Only builds with debug assertions have this. They check the books when the ledger is dropped, as that of each task
//! is with its topology: so does every test that runs one, whatever else it looks at.
//!
//! **Invariant:** nothing but zero is XORed to a root that was acked. It would be a live tuple's, of which its root
//! knew nothing.

use squall_core::engine::{Contribution, Word};

use super::{Ledger, Load, Outcome};

/// How many roots there were, and how they ended.
#[derive(Debug, Default)]
pub(super) struct Balance {
    n_opened: u64,
    n_acked: u64,
    n_failed: u64,
    n_forgotten: u64,
    /// What was XORed to roots that had been acked.
    n_late: u64,
    /// By slot: whether the root that was there last was acked.
    acked: Vec<bool>,
}

impl Balance {
    pub(super) const fn open(&mut self) {
        self.n_opened += 1;
    }

    pub(super) fn end(&mut self, slot_idx: u32, outcome: &Outcome) {
        let (slot_idx, acked) = (slot_idx as usize, *outcome == Outcome::Acked);
        self.n_acked += u64::from(acked);
        self.n_failed += u64::from(!acked);
        self.acked.resize(self.acked.len().max(slot_idx + 1), false);
        self.acked[slot_idx] = acked;
    }

    /// Takes note that so many of the failed ones have nobody to be told to.
    pub(super) const fn forget(&mut self, n_roots: usize) {
        self.n_failed -= n_roots as u64;
        self.n_forgotten += n_roots as u64;
    }

    /// Takes note of what is dropped because it came for another root than the one that is or comes next in its
    /// slot, under `generation`. Links may fail what was acked, having heard of it too late, but nobody acks it again.
    pub(super) fn drop_late(&mut self, contribution: &Contribution, generation: u64) {
        let was_last = contribution.generation.wrapping_add(1) == generation;
        let acked = self.acked.get(contribution.slot as usize) == Some(&true);
        let xors = matches!(contribution.word, Word::Xor(xor) if xor != 0);
        self.n_late += u64::from(was_last && acked && xors);
    }
}

impl Ledger {
    /// Tells whether each root has had one outcome or none yet, and those without are what is pending or held.
    fn is_balanced(&self) -> bool {
        let books = &self.balance;
        let (mut pending, mut held) = (Load::default(), Load::default());
        for slot in self.slots.iter().filter(|slot| slot.live) {
            let load = match slot.n_holders {
                0 => &mut pending,
                _ => &mut held,
            };
            load.add(slot.load());
        }
        let n_live = pending.n_roots + held.n_roots;
        books.n_opened == books.n_acked + books.n_failed + books.n_forgotten + n_live as u64
            && n_live + self.free.len() == self.slots.len()
            && (pending, held) == (self.pending, self.held)
            && books.n_late == 0
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        let books = &self.balance;
        debug_assert!(
            std::thread::panicking() || self.is_balanced(),
            "the ledger of task {} doesn't balance: {} opened, {} acked, {} failed, {} forgotten, {} pending, {} held, \
             {} contributions came after an ack",
            self.task,
            books.n_opened,
            books.n_acked,
            books.n_failed,
            books.n_forgotten,
            self.pending.n_roots,
            self.held.n_roots,
            books.n_late,
        );
    }
}

#[cfg(test)]
mod tests {
    use squall_core::engine::RootId;
    use squall_core::{Failure, FailureReason, MessageId, Moment, TaskId};

    use super::super::First;
    use super::*;

    const fn first(n: u64) -> First {
        First {
            message: MessageId(n),
            bytes: 1,
            now: Moment::ZERO,
        }
    }

    fn ledger_with(n_roots: u64) -> (Ledger, Vec<RootId>) {
        let mut ledger = Ledger::new(TaskId(0), 1);
        let open = |n| {
            let root = ledger.next_root();
            ledger.plant(first(n), 1, &mut Vec::new());
            root
        };
        let roots = (0..n_roots).map(open).collect();
        (ledger, roots)
    }

    fn say(ledger: &mut Ledger, root: RootId, word: Word) {
        let contribution = Contribution {
            slot: root.slot,
            generation: root.generation,
            word,
        };
        ledger.apply(contribution, Moment::ZERO, &mut Vec::new());
    }

    fn fail() -> Word {
        Word::Fail(Box::new(Failure::new(FailureReason::Lost, None, "lost")))
    }

    #[test]
    fn balances_whatever_becomes_of_the_roots() {
        let (mut ledger, roots) = ledger_with(5);
        say(&mut ledger, roots[0], Word::Xor(1));
        say(&mut ledger, roots[1], fail());
        // Late words that mean no live tuple: of a failed root, and a failure of one that was acked.
        say(&mut ledger, roots[1], Word::Xor(1));
        say(&mut ledger, roots[0], fail());
        say(&mut ledger, roots[2], Word::Hold);
        assert!(ledger.is_balanced(), "{ledger:?}");
        ledger.reset();
        assert!(ledger.is_balanced(), "{ledger:?}");
        let books = &ledger.balance;
        let ends = (books.n_acked, books.n_failed, books.n_forgotten);
        assert_eq!((books.n_opened, ends), (5, (1, 1, 3)));
    }

    #[test]
    #[should_panic(expected = "doesn't balance")]
    fn finds_a_tree_that_was_acked_while_one_of_its_tuples_lived() {
        let (mut ledger, roots) = ledger_with(2);
        say(&mut ledger, roots[0], Word::Xor(1));
        // The slot may have its next root by then.
        ledger.next_root();
        ledger.plant(first(2), 1, &mut Vec::new());
        say(&mut ledger, roots[0], Word::Xor(2));
    }

    #[test]
    #[should_panic(expected = "doesn't balance")]
    fn finds_a_root_that_was_told_twice() {
        let (mut ledger, roots) = ledger_with(2);
        for _ in 0..2 {
            ledger.end(roots[0].slot, Outcome::Acked, &mut Vec::new());
        }
    }

    #[test]
    #[should_panic(expected = "doesn't balance")]
    fn finds_a_root_that_was_never_told() {
        let (mut ledger, roots) = ledger_with(1);
        ledger.slots[roots[0].slot as usize].live = false;
    }
}
