//! The lanes on which contributions travel from the tasks that execute to the task that owns the root.
//!
//! A lane never blocks. What the owner's inbox can't take stays with the sender and is merged by root,
//! so that a lane holds at most one XOR and one failure for each live root of its owner.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use foldhash::fast::RandomState;

use squall_core::Failure;
use squall_core::engine::RootId;

use super::{Contribution, Word};
use crate::bell::Bell;
use crate::mutation::{self, Mutation};

/// How many batches of contributions an inbox takes before its senders keep and merge them.
const INBOX_BATCHES: usize = 256;

/// How many contributions a lane keeps before it merges them by root.
const MERGE_ABOVE: usize = 4096;

/// Where the contributions to one owner's roots arrive.
#[repr(align(128))]
pub(crate) struct Inbox {
    sender: Sender<Vec<Contribution>>,
    receiver: Receiver<Vec<Contribution>>,
    /// From tokens, which may end on any thread, and from links. Merged by root when it grows, so that it
    /// is bounded by the number of live roots.
    from_outside: Mutex<Lane>,
    /// All roots of the owner are lost.
    lost: Mutex<Option<Lost>>,
    is_lost: AtomicBool,
    /// The owner has ended: what comes is for nobody.
    closed: AtomicBool,
    bell: Arc<Bell>,
}

/// What became of all roots of an owner.
#[derive(Clone, Debug)]
pub(crate) struct Lost {
    /// Why they fail.
    pub(crate) failure: Failure,
    /// Roots that are opened a little later may have met the same.
    pub(crate) lingers: bool,
}

impl Inbox {
    /// Makes the inbox of the task that `bell` wakes.
    pub(crate) fn new(bell: Arc<Bell>) -> Self {
        let (sender, receiver) = bounded(INBOX_BATCHES);
        Self {
            sender,
            receiver,
            from_outside: Mutex::default(),
            lost: Mutex::default(),
            is_lost: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            bell,
        }
    }

    /// Returns the bell of whoever empties the inbox.
    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Takes a contribution from a token or a link, on any thread. Never blocks for longer than a push.
    pub(crate) fn push(&self, contribution: Contribution) {
        self.push_all([contribution]);
    }

    /// Takes several, see [`Inbox::push`].
    pub(crate) fn push_all(&self, contributions: impl IntoIterator<Item = Contribution>) {
        if self.closed.load(Ordering::Relaxed) {
            return;
        }
        let mut lane = lock(&self.from_outside);
        for contribution in contributions {
            lane.push(contribution);
        }
        drop(lane);
        self.bell.ring();
    }

    /// Tells the owner that all its roots of this moment are lost, and with `lingers` that some of the next few
    /// may be.
    pub(crate) fn lose_all(&self, failure: Failure, lingers: bool) {
        let mut lost = lock(&self.lost);
        let lingers = lingers || lost.as_ref().is_some_and(|lost| lost.lingers);
        *lost = Some(Lost { failure, lingers });
        drop(lost);
        self.is_lost.store(true, Ordering::SeqCst);
        self.bell.ring();
    }

    /// Takes note that all roots are lost, once.
    pub(crate) fn take_lost(&self) -> Option<Lost> {
        if self.is_lost.load(Ordering::Relaxed) && self.is_lost.swap(false, Ordering::SeqCst) {
            return lock(&self.lost).take();
        }
        None
    }

    /// Hands over a batch, or gives it back when the inbox is full. One that a link empties takes it all the
    /// same, and merges: the link may be away for long, and there is nothing to be tried again meanwhile.
    pub(crate) fn try_send(&self, batch: Vec<Contribution>) -> Result<(), Vec<Contribution>> {
        if self.closed.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.sender.try_send(batch) {
            Ok(()) => {
                self.bell.ring();
                Ok(())
            }
            Err(TrySendError::Full(batch)) if self.bell.is_outside() => {
                self.push_all(batch);
                Ok(())
            }
            Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) => Err(batch),
        }
    }

    /// Takes all that has arrived and calls `apply` with each contribution. Returns whether that was all
    /// there is: senders keep what found the inbox full.
    pub(crate) fn drain(&self, mut apply: impl FnMut(Contribution)) -> bool {
        let mut n_batches = 0;
        while let Ok(batch) = self.receiver.try_recv() {
            n_batches += 1;
            batch.into_iter().for_each(&mut apply);
        }
        let outside = std::mem::take(&mut *lock(&self.from_outside));
        outside.kept.into_iter().for_each(apply);
        n_batches < INBOX_BATCHES
    }

    /// Lets go of everything, now and from now on: the owner has ended.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.drain(drop);
    }
}

/// One task's lanes to all owners of roots.
pub(crate) struct Lanes {
    inboxes: Arc<[Inbox]>,
    /// Made by the thread that writes them, so that they lie where that one's memory does.
    lanes: Vec<Lane>,
    dirty: Vec<u32>,
}

struct Lane {
    kept: Vec<Contribution>,
    /// Merging again pays once the lane has grown past this.
    merge_above: usize,
}

impl Default for Lane {
    fn default() -> Self {
        Self {
            kept: Vec::new(),
            merge_above: MERGE_ABOVE,
        }
    }
}

impl Lanes {
    /// Makes the lanes to the inboxes of all tasks, indexed by task id.
    pub(crate) const fn new(inboxes: Arc<[Inbox]>) -> Self {
        Self {
            inboxes,
            lanes: Vec::new(),
            dirty: Vec::new(),
        }
    }

    /// Adds a word to a root's lane; [`Lanes::flush`] sends it.
    pub(crate) fn push(&mut self, root: RootId, word: Word) {
        if let Some(lane) = self.lane_of(root) {
            lane.push(contribution(root, word));
        }
    }

    /// Adds what a tuple contributes to its root: what nearly every word is.
    #[inline]
    pub(crate) fn push_xor(&mut self, root: RootId, xor: u64) {
        if mutation::is_on(Mutation::DropContribution) && root.slot == 3 {
            return;
        }
        if let Some(lane) = self.lane_of(root) {
            lane.push_xor(root.slot, root.generation, xor);
        }
    }

    /// Returns the lane to a root's owner, which something is about to be added to.
    #[inline]
    fn lane_of(&mut self, root: RootId) -> Option<&mut Lane> {
        if self.lanes.is_empty() {
            self.lanes.resize_with(self.inboxes.len(), Lane::default);
        }
        let lane = self.lanes.get_mut(root.task.idx())?;
        if lane.kept.is_empty() {
            self.dirty.push(root.task.0);
        }
        Some(lane)
    }

    /// Sends what the lanes hold. Returns false if an inbox was full: call again soon.
    pub(crate) fn flush(&mut self) -> bool {
        let (inboxes, lanes) = (&self.inboxes, &mut self.lanes);
        self.dirty.retain(|task| {
            let lane = &mut lanes[*task as usize];
            match inboxes[*task as usize].try_send(std::mem::take(&mut lane.kept)) {
                Ok(()) => {
                    lane.merge_above = MERGE_ABOVE;
                    false
                }
                Err(kept) => {
                    lane.kept = kept;
                    true
                }
            }
        });
        self.dirty.is_empty()
    }
}

impl Lane {
    fn push(&mut self, contribution: Contribution) {
        match contribution.word {
            Word::Xor(xor) => self.push_xor(contribution.slot, contribution.generation, xor),
            _ => self.keep(contribution),
        }
    }

    #[inline]
    fn push_xor(&mut self, slot: u32, generation: u64, xor: u64) {
        // Tuples of one tree mostly follow each other: the cheap half of the merging.
        match self.kept.last_mut() {
            Some(Contribution {
                slot: last,
                generation: of_last,
                word: Word::Xor(kept),
            }) if *last == slot && *of_last == generation => *kept ^= xor,
            _ => self.keep(Contribution {
                slot,
                generation,
                word: Word::Xor(xor),
            }),
        }
    }

    #[inline]
    fn keep(&mut self, contribution: Contribution) {
        self.kept.push(contribution);
        if self.kept.len() > self.merge_above {
            self.merge();
        }
    }

    /// Merges the XORs of each root into one, what is said of its waiting, and its failures, of which the
    /// first counts; other words are kept.
    fn merge(&mut self) {
        let mut merged: HashMap<(u32, u64, u8), usize, RandomState> = HashMap::default();
        let mut kept: Vec<Contribution> = Vec::with_capacity(self.kept.len() / 2);
        for contribution in self.kept.drain(..) {
            let (kind, xor) = match contribution.word {
                Word::Xor(xor) => (0, xor),
                Word::Waiting => (1, 0),
                Word::Fail(_) => (2, 0),
                Word::Hold | Word::Release => {
                    kept.push(contribution);
                    continue;
                }
            };
            let key = (contribution.slot, contribution.generation, kind);
            match merged.get(&key).and_then(|at| kept.get_mut(*at)) {
                Some(Contribution {
                    word: Word::Xor(known),
                    ..
                }) => *known ^= xor,
                Some(_) => {}
                None => {
                    merged.insert(key, kept.len());
                    kept.push(contribution);
                }
            }
        }
        self.kept = kept;
        self.merge_above = MERGE_ABOVE.max(2 * self.kept.len());
    }
}

const fn contribution(root: RootId, word: Word) -> Contribution {
    Contribution {
        slot: root.slot,
        generation: root.generation,
        word,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use squall_core::{FailureReason, TaskId};

    use super::*;

    fn lanes() -> (Lanes, Arc<[Inbox]>) {
        let inboxes: Arc<[Inbox]> = Arc::from(vec![Inbox::new(Bell::silent())]);
        (Lanes::new(inboxes.clone()), inboxes)
    }

    fn root(slot: u32) -> RootId {
        RootId {
            task: TaskId(0),
            slot,
            generation: 1,
        }
    }

    fn drain(inbox: &Inbox) -> Vec<(u32, u64)> {
        let mut drained = Vec::new();
        inbox.drain(|contribution| match contribution.word {
            Word::Xor(xor) => drained.push((contribution.slot, xor)),
            other => panic!("unexpected {other:?}"),
        });
        drained
    }

    #[test]
    fn neighbours_of_one_root_travel_as_one() {
        let (mut lanes, inboxes) = lanes();
        for xor in [1, 2, 4] {
            lanes.push(root(0), Word::Xor(xor));
        }
        lanes.push(root(1), Word::Xor(8));
        assert!(lanes.flush());
        assert_eq!(drain(&inboxes[0]), [(0, 7), (1, 8)]);
    }

    #[test]
    fn a_tree_fails_once_in_a_lane_however_many_of_its_tuples_did() {
        let mut lane = Lane::default();
        let fail = |slot, text| Contribution {
            slot,
            generation: 1,
            word: Word::Fail(Box::new(Failure::new(FailureReason::Rejected, None, text))),
        };
        for round in 0..MERGE_ABOVE {
            for slot in 0..10 {
                lane.push(fail(slot, if round == 0 { "first" } else { "again" }));
            }
        }
        assert!(lane.kept.len() <= MERGE_ABOVE + 1, "{}", lane.kept.len());
        lane.merge();
        let expected: Vec<_> = (0..10).map(|slot| fail(slot, "first")).collect();
        assert_eq!(lane.kept, expected);
    }

    #[test]
    fn what_a_link_does_not_empty_is_merged_and_never_tried_again() {
        let inboxes: Arc<[Inbox]> = Arc::from(vec![Inbox::new(Bell::outside())]);
        let mut lanes = Lanes::new(inboxes.clone());
        let n_rounds = 5000u64;
        for round in 0..n_rounds {
            for slot in 0..10 {
                lanes.push(root(slot), Word::Xor(1 << (round % 64)));
            }
            assert!(lanes.flush(), "nothing is left to be tried again");
        }
        let n_kept = lock(&inboxes[0].from_outside).kept.len();
        assert!(n_kept <= MERGE_ABOVE + 1, "{n_kept}");
        let mut sums = [0u64; 10];
        drain(&inboxes[0])
            .into_iter()
            .for_each(|(slot, xor)| sums[slot as usize] ^= xor);
        let expected = (0..n_rounds).fold(0, |sum, round| sum ^ (1 << (round % 64)));
        assert_eq!(sums, [expected; 10]);
    }

    #[test]
    fn a_full_inbox_loses_nothing_and_the_lane_stays_bounded() {
        let (mut lanes, inboxes) = lanes();
        let n_rounds = 5000u64;
        for round in 0..n_rounds {
            for slot in 0..10 {
                lanes.push(root(slot), Word::Xor(1 << (round % 64)));
            }
            lanes.flush();
        }
        assert!(!lanes.flush(), "the inbox is full");
        assert!(
            lanes.lanes[0].kept.len() <= MERGE_ABOVE + 1,
            "{}",
            lanes.lanes[0].kept.len()
        );
        let mut sums = [0u64; 10];
        while !lanes.dirty.is_empty() {
            drain(&inboxes[0])
                .into_iter()
                .for_each(|(slot, xor)| sums[slot as usize] ^= xor);
            lanes.flush();
        }
        drain(&inboxes[0])
            .into_iter()
            .for_each(|(slot, xor)| sums[slot as usize] ^= xor);
        let expected = (0..n_rounds).fold(0, |sum, round| sum ^ (1 << (round % 64)));
        assert_eq!(sums, [expected; 10]);
    }
}
