//! Words for the roots of one peer's tasks that wait to be sent, merged by root.

use std::collections::{HashMap, HashSet, VecDeque};

use foldhash::fast::RandomState;

use squall_core::TaskId;
use squall_core::engine::{RootId, Word};

/// How many words are kept before they are merged.
const MERGE_ABOVE: usize = 4096;

/// The most words that are kept: 32 bytes each, failures not counted. Those beyond are dropped, and their
/// trees time out.
const MAX_WORDS: usize = 1 << 20;

/// The most failures that keep their text, of up to 1 KiB each. Beyond, only reason and component are kept.
const MAX_TEXTS: usize = 16 * 1024;

/// Generations of one incarnation that are further apart than this are of different uses of a slot that a
/// 64-bit count can't tell apart by order. Their first ones are drawn at random.
const GENERATION_BITS: u32 = 32;

/// What waits. Bounded by the slots of the peer's ledgers, however long the link is down: a word for a
/// slot's newer use tells that the older one has ended.
#[derive(Debug)]
pub(crate) struct AckOutbox {
    words: VecDeque<(RootId, Word)>,
    max_words: usize,
    /// Merging again pays once there are more than this.
    merge_above: usize,
    n_dropped: u64,
}

impl Default for AckOutbox {
    fn default() -> Self {
        Self {
            words: VecDeque::new(),
            max_words: MAX_WORDS,
            merge_above: 0,
            n_dropped: 0,
        }
    }
}

impl AckOutbox {
    /// Adds a word, behind all others of its root.
    #[inline]
    pub(crate) fn push(&mut self, root: RootId, word: Word) {
        // Tuples of one tree mostly follow each other: the cheap half of the merging.
        if let Word::Xor(xor) = word
            && let Some((last, Word::Xor(kept))) = self.words.back_mut()
            && *last == root
        {
            *kept ^= xor;
            return;
        }
        self.words.push_back((root, word));
        if self.words.len() > self.merge_above.max(MERGE_ABOVE) {
            self.merge();
        }
    }

    /// Takes the oldest word.
    pub(crate) fn pop(&mut self) -> Option<(RootId, Word)> {
        self.words.pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.words.len()
    }

    /// Returns how many words were dropped because there were too many.
    pub(crate) const fn n_dropped(&self) -> u64 {
        self.n_dropped
    }

    /// Makes one word of all XORs of a root, one of all that is said of its waiting, and one of its
    /// failures, which make the rest needless. What is said to a slot's former use goes.
    fn merge(&mut self) {
        let newest = self.newest();
        let failed: HashSet<RootId, RandomState> = self
            .words
            .iter()
            .filter(|(_, word)| matches!(word, Word::Fail(_)))
            .map(|(root, _)| *root)
            .collect();
        let mut xors: HashMap<RootId, usize, RandomState> = HashMap::default();
        let mut said: HashSet<RootId, RandomState> = HashSet::default();
        let mut kept: VecDeque<(RootId, Word)> = VecDeque::with_capacity(self.words.len() / 2);
        let mut n_texts = 0;
        for (root, mut word) in self.words.drain(..) {
            if newest.get(&use_of(root)) != Some(&root.generation) {
                continue;
            }
            match &mut word {
                Word::Fail(failure) => {
                    if !said.insert(root) {
                        continue;
                    }
                    n_texts += 1;
                    if n_texts > MAX_TEXTS {
                        failure.text = "".into();
                    }
                }
                _ if failed.contains(&root) => continue,
                Word::Xor(xor) => {
                    let known = xors.get(&root).and_then(|at| kept.get_mut(*at));
                    if let Some((_, Word::Xor(known))) = known {
                        *known ^= *xor;
                        continue;
                    }
                    xors.insert(root, kept.len());
                }
                Word::Waiting if !said.insert(root) => continue,
                Word::Waiting | Word::Hold | Word::Release => {}
            }
            kept.push_back((root, word));
        }
        let n_excess = kept.len().saturating_sub(self.max_words);
        kept.truncate(self.max_words);
        self.n_dropped += n_excess as u64;
        self.words = kept;
        self.merge_above = 2 * self.words.len();
    }

    /// Finds the newest generation of each slot, of each incarnation of its owner.
    fn newest(&self) -> HashMap<(TaskId, u32, u64), u64, RandomState> {
        let mut newest = HashMap::default();
        for (root, _) in &self.words {
            let known = newest.entry(use_of(*root)).or_insert(root.generation);
            *known = root.generation.max(*known);
        }
        newest
    }
}

/// Names a slot of one incarnation of its owner.
const fn use_of(root: RootId) -> (TaskId, u32, u64) {
    (root.task, root.slot, root.generation >> GENERATION_BITS)
}

#[cfg(test)]
mod tests {
    use squall_core::{Failure, FailureReason};

    use super::*;

    fn root(slot: u32, generation: u64) -> RootId {
        RootId {
            task: TaskId(1),
            slot,
            generation,
        }
    }

    fn fail(text: &str) -> Word {
        Word::Fail(Box::new(Failure::new(FailureReason::Lost, None, text)))
    }

    fn words(outbox: &mut AckOutbox) -> Vec<(RootId, Word)> {
        outbox.merge();
        std::iter::from_fn(|| outbox.pop()).collect()
    }

    #[test]
    fn words_of_one_root_become_one_of_each_kind() {
        let mut outbox = AckOutbox::default();
        let (a, b, c) = (root(1, 1), root(2, 1), root(3, 1));
        for (root, word) in [
            (a, Word::Xor(1)),
            (b, Word::Hold),
            (a, Word::Xor(2)),
            (c, Word::Xor(9)),
            (b, Word::Waiting),
            (b, Word::Release),
            (b, Word::Waiting),
            (c, fail("first")),
            (a, Word::Xor(4)),
            (c, fail("second")),
            (b, Word::Hold),
        ] {
            outbox.push(root, word);
        }
        let expected = [
            (a, Word::Xor(7)),
            (b, Word::Hold),
            (b, Word::Waiting),
            (b, Word::Release),
            (c, fail("first")),
            (b, Word::Hold),
        ];
        assert_eq!(words(&mut outbox), expected);
    }

    #[test]
    fn a_slots_newer_use_replaces_the_older_one_of_its_incarnation() {
        let mut outbox = AckOutbox::default();
        let (old, new, other) = (root(1, 7), root(1, 8), root(1, 1 << 60));
        for (root, word) in [
            (old, fail("gone")),
            (other, Word::Xor(2)),
            (new, Word::Xor(4)),
            (old, Word::Xor(1)),
        ] {
            outbox.push(root, word);
        }
        let expected = [(other, Word::Xor(2)), (new, Word::Xor(4))];
        assert_eq!(words(&mut outbox), expected);
    }

    #[test]
    fn a_link_that_is_down_keeps_no_more_than_there_are_slots() {
        let mut outbox = AckOutbox::default();
        let n_slots = 3000;
        for generation in 0..40 {
            for slot in 0..n_slots {
                outbox.push(root(slot, generation), Word::Xor(1 << (generation % 64)));
                outbox.push(root(slot, generation), Word::Waiting);
            }
        }
        assert!(outbox.len() <= 4 * 2 * n_slots as usize, "{}", outbox.len());
        let left = words(&mut outbox);
        assert_eq!(left.len(), 2 * n_slots as usize);
        assert!(left.iter().all(|(root, _)| root.generation == 39));
    }

    #[test]
    fn far_too_many_words_are_dropped_and_counted() {
        let max_words = 5000;
        let mut outbox = AckOutbox {
            max_words,
            ..AckOutbox::default()
        };
        for slot in 0..30_000 {
            outbox.push(root(slot, 1), Word::Xor(1));
        }
        outbox.merge();
        assert_eq!(outbox.len(), max_words);
        assert_eq!(outbox.n_dropped(), 30_000 - max_words as u64);
    }
}
