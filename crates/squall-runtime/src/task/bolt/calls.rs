//! Calls by the task before in the chain, see [`crate::task::Neighbour`].

use std::sync::Arc;
use std::time::Duration;

use squall_core::engine::Anchors;
use squall_core::{Emitter, Moment, Tuple};

use super::{BoltTask, Ending, Unflushed};
use crate::edge::Edge;
use crate::mutation::{self, Mutation};
use crate::task::guard::guard_tuple;

/// What a bolt has been called for in the present slice of its caller's.
#[derive(Debug, Default)]
pub(super) struct Calls {
    n: usize,
    n_acked: u64,
    /// How long the first call took: reading the clock for each would take longer than many of them.
    first_took: Duration,
}

impl BoltTask {
    /// Tells whether calls can begin instead of tuples over `edge`: none of those is left.
    pub(in crate::task) fn can_begin_calls(&self, edge: &Arc<Edge>) -> bool {
        self.base.trial.is_passed()
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
        let Calls {
            n,
            n_acked,
            first_took,
        } = std::mem::take(&mut self.calls);
        if n == 0 {
            return Duration::ZERO;
        }
        self.unflushed = Unflushed::Work;
        let took = first_took * u32::try_from(n).unwrap_or(u32::MAX);
        self.base.stats.acked.add(n_acked);
        // It waited nowhere.
        self.base.stats.queue.record(Duration::ZERO, n as u64);
        self.count_executed(n, took.saturating_sub(elsewhere));
        self.base.learn(n);
        took
    }
}
