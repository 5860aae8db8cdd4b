//! Calls by the task before in the chain, see [`crate::task::Neighbour`].

use std::sync::Arc;
use std::time::Duration;

use squall_core::engine::Anchors;
use squall_core::{Emitter, Moment, Tuple};

use super::{BoltTask, Ending, Unflushed};
use crate::edge::Edge;
use crate::mutation::{self, Mutation};
use crate::task::guard::guard_tuple;

/// When a bolt may be called, and what for it has been in the present slice of its caller's.
#[derive(Debug)]
pub(super) struct Calls {
    /// How many tuples it has to execute from its edges before, without taking too long.
    after: u32,
    n_trials: u32,
    n: usize,
    n_acked: u64,
    /// How long the first call took: reading the clock for each would take longer than many of them.
    first_took: Duration,
}

impl Calls {
    pub(super) const fn new(after: u32) -> Self {
        Self {
            after,
            n_trials: 0,
            n: 0,
            n_acked: 0,
            first_took: Duration::ZERO,
        }
    }

    /// Learns from a slice of tuples. After one that took too long the trial begins anew.
    pub(super) fn learn(&mut self, n_done: usize, took_too_long: bool) {
        self.n_trials = match took_too_long {
            true => 0,
            false => self
                .n_trials
                .saturating_add(u32::try_from(n_done).unwrap_or(u32::MAX)),
        };
    }

    /// Begins a slice, and returns what there was in the one before.
    const fn begin(&mut self) -> (usize, u64, Duration) {
        let before = (self.n, self.n_acked, self.first_took);
        (self.n, self.n_acked, self.first_took) = (0, 0, Duration::ZERO);
        before
    }
}

impl BoltTask {
    /// Tells whether calls can begin instead of tuples over `edge`: none of those is left.
    pub(in crate::task) fn can_begin_calls(&self, edge: &Arc<Edge>) -> bool {
        self.calls.n_trials >= self.calls.after
            && self.can_be_called()
            && !self.said_end
            && edge.is_empty()
            && !self.inputs.is_at_delivery_of(edge)
    }

    /// Tells whether the bolt can be called now: what it emits has room.
    #[inline]
    pub(in crate::task) const fn can_be_called(&self) -> bool {
        self.instance.is_some()
            && matches!(self.ending, Ending::No)
            && !self.base.output.is_blocked()
    }

    /// Begins a slice of calls, `depth` of them above this task's.
    pub(in crate::task) fn begin_calls(&mut self, depth: usize, now: Moment) {
        self.base.output.now = now;
        self.base.borrow_neighbours(depth + 1);
    }

    /// Executes one tuple that belongs to `trees`, and adds to these what is to be contributed for it: the ids of
    /// what it grew that lives on.
    #[inline]
    pub(in crate::task) fn execute_directly(&mut self, tuple: &Tuple, trees: &mut Anchors) {
        self.calls.n += 1;
        if self.calls.n > 1 {
            self.execute_call(tuple, trees);
        } else {
            let began = self.maker.services.clock.now();
            self.execute_call(tuple, trees);
            self.calls.first_took = self.maker.services.clock.now().since(began);
        }
    }

    #[inline]
    fn execute_call(&mut self, tuple: &Tuple, trees: &mut Anchors) {
        let Some(instance) = &mut self.instance else {
            return;
        };
        let output = &mut self.base.output;
        output.exchange_hand(trees);
        if mutation::is_on(Mutation::AckBeforeExecute) {
            output.ack_in_hand();
        }
        let component = &mut instance.component;
        match guard_tuple(|| component.execute(tuple, &mut Emitter::new(output))) {
            None => self.calls.n_acked += u64::from(!output.is_deferred()),
            Some(error) => {
                output.spoil_hand();
                self.reject(&error);
            }
        }
        self.base.output.exchange_hand(trees);
    }

    /// Ends a slice of calls. Returns how long they took all together, by estimate.
    pub(in crate::task) fn end_calls(&mut self) -> Duration {
        let elsewhere = self.base.give_back_neighbours();
        let (n, n_acked, first_took) = self.calls.begin();
        if n == 0 {
            return Duration::ZERO;
        }
        self.unflushed = Unflushed::Work;
        let took = first_took * u32::try_from(n).unwrap_or(u32::MAX);
        self.base.stats.acked.add(n_acked);
        // It waited nowhere.
        self.base.stats.queue.record(Duration::ZERO, n as u64);
        self.count_executed(n, took.saturating_sub(elsewhere));
        self.calls.learn(n, self.base.bell.is_hurried());
        took
    }
}
