//! What all tasks of a running topology share: its phase, and who is still there.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use squall_core::Moment;

use crate::bell::Bell;
use crate::stats::TopologyState;

/// What a topology is doing, in the order in which phases may follow each other; only the first two
/// alternate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Spouts are asked for tuples.
    Active,
    /// Spouts aren't asked.
    Inactive,
    /// Spouts aren't asked; tasks end when nothing is pending.
    Draining,
    /// Tasks end at once.
    Forced,
}

/// The shared state. All changes ring every bell.
pub(crate) struct Control {
    /// Other parts of the topology run elsewhere.
    is_part: bool,
    /// From when on bolts end whose senders have all ended.
    bolts_end_from: Phase,
    phase: AtomicU8,
    /// The topology was active at least once.
    opened: AtomicBool,
    drain_deadline: AtomicU64,
    n_unfinished_spouts: AtomicUsize,
    n_live_spouts: AtomicUsize,
    n_live_tasks: AtomicUsize,
    abandoned: AtomicBool,
    held_bytes: AtomicUsize,
    max_held_bytes: usize,
    n_pending: AtomicUsize,
    failure: Mutex<Option<String>>,
    ended: Condvar,
    bells: Vec<Arc<Bell>>,
}

impl Control {
    /// `bells` are those of the tasks here, `n_spouts` of which are spouts'. In a part of a topology the
    /// spouts wait for [`Phase::Active`] before they open, and nothing is known of the spouts elsewhere:
    /// they count as one that never finishes. Its bolts stay until it drains, for their senders may be started
    /// again elsewhere; in one with cycles, until it is stopped, for a cycle's sender is not waited for, and
    /// what comes from there may be of spouts that this part doesn't know.
    pub(crate) fn new(
        bells: Vec<Arc<Bell>>,
        n_spouts: usize,
        is_part: bool,
        is_cyclic: bool,
        max_held_bytes: usize,
    ) -> Self {
        let (phase, bolts_end_from) = match (is_part, is_cyclic) {
            (false, _) => (Phase::Active, Phase::Active),
            (true, false) => (Phase::Inactive, Phase::Draining),
            (true, true) => (Phase::Inactive, Phase::Forced),
        };
        Self {
            is_part,
            bolts_end_from,
            phase: AtomicU8::new(phase as u8),
            opened: AtomicBool::new(!is_part),
            drain_deadline: AtomicU64::new(u64::MAX),
            n_unfinished_spouts: AtomicUsize::new(n_spouts + usize::from(is_part)),
            n_live_spouts: AtomicUsize::new(n_spouts),
            n_live_tasks: AtomicUsize::new(bells.len()),
            abandoned: AtomicBool::new(false),
            held_bytes: AtomicUsize::new(0),
            max_held_bytes,
            n_pending: AtomicUsize::new(0),
            failure: Mutex::new(None),
            ended: Condvar::new(),
            bells,
        }
    }

    /// Returns the phase at `now`: draining turns to forced at its deadline.
    pub(crate) fn phase(&self, now: Moment) -> Phase {
        match self.phase.load(Ordering::SeqCst) {
            0 => Phase::Active,
            1 => Phase::Inactive,
            2 if now < self.drain_deadline() => Phase::Draining,
            _ => Phase::Forced,
        }
    }

    /// Tells whether spouts may open: all tasks of the topology have been ready once.
    pub(crate) fn may_open(&self) -> bool {
        self.opened.load(Ordering::SeqCst)
    }

    /// Tells whether other parts of the topology run elsewhere: what is pending there isn't known here.
    pub(crate) const fn is_part(&self) -> bool {
        self.is_part
    }

    /// Tells whether a bolt may end whose senders have all ended.
    pub(crate) fn bolts_may_end(&self, now: Moment) -> bool {
        self.phase(now) >= self.bolts_end_from
    }

    /// Returns when draining turns to forced.
    pub(crate) fn drain_deadline(&self) -> Moment {
        Moment::from_nanos(self.drain_deadline.load(Ordering::SeqCst))
    }

    /// Moves on to `phase`; from draining there is no way back.
    pub(crate) fn set_phase(&self, phase: Phase) {
        let to = phase as u8;
        if phase == Phase::Active {
            self.opened.store(true, Ordering::SeqCst);
        }
        let moved = self
            .phase
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |from| {
                (from < 2 || to > from).then_some(to)
            });
        if moved.is_ok() {
            self.ring_all();
        }
    }

    /// Begins to drain.
    pub(crate) fn drain(&self, deadline: Moment) {
        self.drain_deadline
            .fetch_min(deadline.as_nanos(), Ordering::SeqCst);
        self.set_phase(Phase::Draining);
    }

    /// Drains the topology because it can't go on; the first reason stands.
    pub(crate) fn fail(&self, reason: String, deadline: Moment) {
        self.set_failure(reason);
        self.drain(deadline);
    }

    /// Notes why the topology can't go on; the first reason stands.
    pub(crate) fn set_failure(&self, reason: String) {
        self.lock().get_or_insert(reason);
    }

    /// Tells bolts to flush whenever they have nothing to do: nothing new is to come.
    pub(crate) fn is_settling(&self, now: Moment) -> bool {
        self.n_unfinished_spouts.load(Ordering::SeqCst) == 0 || self.phase(now) >= Phase::Draining
    }

    /// Takes note that a spout's task has nothing more to emit, or has again.
    pub(crate) fn set_finished(&self, finished: bool) {
        if finished {
            if self.n_unfinished_spouts.fetch_sub(1, Ordering::SeqCst) == 1 {
                self.ring_all();
            }
        } else {
            self.n_unfinished_spouts.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Takes note that a task has ended.
    pub(crate) fn task_ended(&self, is_spout: bool) {
        if is_spout && self.n_live_spouts.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.ring_all();
        }
        if self.n_live_tasks.fetch_sub(1, Ordering::SeqCst) == 1 {
            drop(self.lock());
            self.ended.notify_all();
            self.ring_all();
        }
    }

    /// Takes all tasks for ended: their threads stop where they are.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::SeqCst);
        self.ring_all();
    }

    /// Tells whether all spouts' tasks have ended.
    pub(crate) fn spouts_have_ended(&self) -> bool {
        self.n_live_spouts.load(Ordering::SeqCst) == 0
    }

    /// Tells whether all tasks have ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.n_live_tasks.load(Ordering::SeqCst) == 0 || self.abandoned.load(Ordering::SeqCst)
    }

    /// Waits until all tasks have ended, or `at_most`; returns whether they have.
    pub(crate) fn wait(&self, at_most: Option<Duration>) -> bool {
        let failure = self.lock();
        let running = |_: &mut Option<String>| !self.has_ended();
        match at_most {
            Some(at_most) => drop(self.ended.wait_timeout_while(failure, at_most, running)),
            None => drop(self.ended.wait_while(failure, running)),
        }
        self.has_ended()
    }

    /// Adjusts the bytes of tuples that windows hold. Room that there was not before concerns everybody.
    pub(crate) fn adjust_held(&self, before: usize, after: usize) {
        let all_before = adjust(&self.held_bytes, before, after);
        let all_after = (all_before + after).saturating_sub(before);
        if all_before >= self.max_held_bytes && all_after < self.max_held_bytes {
            self.ring_all();
        }
    }

    /// Adjusts the number of trees that are pending, held ones not counted.
    pub(crate) fn adjust_pending(&self, before: usize, after: usize) {
        adjust(&self.n_pending, before, after);
    }

    /// Returns the trees that are pending in the whole topology, held ones not counted.
    pub(crate) fn n_pending(&self) -> usize {
        self.n_pending.load(Ordering::Relaxed)
    }

    /// Returns the bytes of tuples that windows hold.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes.load(Ordering::Relaxed)
    }

    /// Returns why the topology failed.
    pub(crate) fn failure(&self) -> Option<String> {
        self.lock().clone()
    }

    /// Returns what the topology is doing, for people.
    pub(crate) fn state(&self, now: Moment) -> TopologyState {
        if let Some(reason) = self.failure() {
            return TopologyState::Failed(reason);
        }
        if self.has_ended() {
            return TopologyState::Finished;
        }
        match self.phase(now) {
            Phase::Active => TopologyState::Active,
            Phase::Inactive => TopologyState::Inactive,
            Phase::Draining | Phase::Forced => TopologyState::Draining,
        }
    }

    fn ring_all(&self) {
        self.bells.iter().for_each(|bell| bell.ring());
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds what one task's share has grown by, or takes off what it has shrunk by; returns the sum before.
fn adjust(sum: &AtomicUsize, before: usize, after: usize) -> usize {
    if after >= before {
        sum.fetch_add(after - before, Ordering::Relaxed)
    } else {
        sum.fetch_sub(before - after, Ordering::Relaxed)
    }
}
