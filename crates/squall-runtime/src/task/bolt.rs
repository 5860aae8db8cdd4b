//! A bolt's task: executes what its edges bring, in slices.

mod calls;

use std::sync::atomic::Ordering;
use std::time::Duration;

use squall_core::{Bolt, ComponentError, Emitter, Failure, FailureReason, Moment, Result, Verdict};

use super::guard::{guard, guard_silent, wants_restart};
use super::inputs::Arrival;
use super::instance::Instance;
use super::slice::Slice;
use super::{Base, Inputs, LANE_RETRY, Maker, Next};
use crate::ack::{Dropping, Outcome};
use crate::control::Phase;
use crate::mutation::{self, Mutation};

use calls::Calls;

/// One task of a bolt.
#[repr(align(128))]
pub(crate) struct BoltTask {
    base: Base,
    maker: Maker,
    inputs: Inputs,
    /// Taken out of its place while author code runs, so that it can be dropped on a panic.
    instance: Option<Instance<dyn Bolt>>,
    /// The declared tick interval, else what the instance asks for.
    declared_tick: Option<Duration>,
    tick: Option<(Duration, Moment)>,
    slice: Slice,
    /// What there may be to flush.
    unflushed: Unflushed,
    /// The readers have been told that nothing more is to come.
    said_end: bool,
    ending: Ending,
    /// Calls by the task before.
    calls: Calls,
}

/// What a bolt was called for since its last flush.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Unflushed {
    /// Nothing.
    Nothing,
    /// Ticks alone: they may have let tokens go on, and emit what else they have themselves.
    Ticks,
    /// It was made, or has executed something, or heard of something that it began.
    Work,
}

/// How far a task is with its end.
#[derive(Clone, Copy, PartialEq)]
enum Ending {
    /// Tuples may come.
    No,
    /// The readers have been told; what waits for room on the edges goes first.
    Told,
    /// All is done.
    Done,
}

impl BoltTask {
    pub(crate) fn new(
        base: Base,
        maker: Maker,
        inputs: Inputs,
        declared_tick: Option<Duration>,
    ) -> Self {
        Self {
            base,
            maker,
            inputs,
            instance: None,
            declared_tick,
            tick: None,
            slice: Slice::new(),
            unflushed: Unflushed::Work,
            said_end: false,
            ending: Ending::No,
            calls: Calls::default(),
        }
    }

    pub(super) const fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    const fn now(&self) -> Moment {
        self.base.output.now
    }

    pub(crate) fn run(&mut self, now: Moment) -> Next {
        if self.ending == Ending::Done {
            return Next::Ended;
        }
        self.base.output.now = now;
        self.base.take_contributions(now);
        let mut next = self.base.send_all(now);
        if self.base.control.phase(now) == Phase::Forced {
            return self.force_end();
        }
        if self.instance.is_none() && self.ending == Ending::No {
            next = next.min(self.start(now));
        }
        if self.instance.is_some() {
            self.tell_verdicts();
            if self.ending == Ending::No {
                next = next.min(self.call_timers(now));
                self.execute_slice();
                self.settle();
            }
        }
        next = next.min(self.end_if_done());
        next = next.min(self.base.send_all(self.now()));
        next = next.min(self.next_turn());
        self.touch_waiting();
        let something_waits = !self.inputs.is_empty() || self.base.output.is_waiting();
        next = next.min(self.base.next_timer(self.now(), something_waits));
        self.finish_end(next)
    }

    /// Starts a new instance when it is time.
    fn start(&mut self, now: Moment) -> Next {
        if self.base.restarts.due() > now {
            return Next::At(self.base.restarts.due());
        }
        match self.maker.bolt() {
            Ok(instance) => {
                let every = self
                    .declared_tick
                    .or_else(|| instance.component.tick_every());
                self.tick = every
                    .filter(|every| !every.is_zero())
                    .map(|every| (every, now + every));
                self.instance = Some(instance);
                self.unflushed = Unflushed::Work;
                self.base.stats.begun.store(true, Ordering::Relaxed);
                self.base.output.renew_tokens();
                self.base.restarts.started(now);
                Next::Again
            }
            Err(error) => {
                self.base.start_failed(&error, now);
                Next::At(self.base.restarts.due())
            }
        }
    }

    /// Executes up to a slice of tuples.
    fn execute_slice(&mut self) {
        if self.inputs.is_empty() {
            return;
        }
        let began = self.now();
        self.base.borrow_neighbours(0);
        let mut n_done = 0;
        while n_done < self.slice.n_tuples()
            && self.instance.is_some()
            && !self.base.output.is_blocked()
            && !self.base.bell.is_hurried()
        {
            let begun = self.inputs.is_at_delivery();
            match self.inputs.arrive() {
                Arrival::Nothing => break,
                Arrival::Delivery(delivery) if !begun => {
                    self.base
                        .stats
                        .queue
                        .record(began.since(delivery.sent), delivery.n_rows() as u64);
                }
                Arrival::Delivery(_) => {}
            }
            n_done += self.execute_delivery(self.slice.n_tuples() - n_done);
        }
        let elsewhere = self.base.give_back_neighbours();
        if n_done == 0 {
            return;
        }
        self.unflushed = Unflushed::Work;
        let now = self.maker.services.clock.now();
        let took = now.since(began);
        self.base.output.now = now;
        self.slice.learn(n_done, took);
        self.count_executed(n_done, took.saturating_sub(elsewhere));
        self.base.learn(n_done);
    }

    fn count_executed(&self, n_done: usize, took: Duration) {
        let (stats, each) = (&self.base.stats, u32::try_from(n_done).unwrap_or(u32::MAX));
        stats.executed.add(n_done as u64);
        stats.execute.record(took / each.max(1), n_done as u64);
    }

    /// Executes up to `at_most` tuples of the delivery that is begun; returns how many it did.
    fn execute_delivery(&mut self, at_most: usize) -> usize {
        let (mut n_done, mut n_acked) = (0, 0);
        let Some(instance) = &mut self.instance else {
            return 0;
        };
        let (inputs, output, component) = (
            &mut self.inputs,
            &mut self.base.output,
            &mut instance.component,
        );
        let bell = &self.base.bell;
        // One guard for many tuples: the one that fails or panics is the one in hand.
        let executed = guard(|| {
            while n_done < at_most && !output.is_blocked() && !bell.is_hurried() {
                let Some((tuple, place)) = inputs.next_tuple() else {
                    break;
                };
                n_done += 1;
                output.take_in_hand(place);
                if mutation::is_on(Mutation::AckBeforeExecute) {
                    output.ack_in_hand();
                }
                component.execute(tuple, &mut Emitter::new(output))?;
                n_acked += u64::from(!output.is_deferred());
            }
            Ok(())
        });
        if executed.is_ok() {
            output.ack_in_hand();
        }
        self.inputs.finish_delivery();
        self.base.stats.acked.add(n_acked);
        if let Err(error) = executed {
            self.reject(&error);
            self.base.output.put_down();
        }
        n_done
    }

    /// Fails the tuple in hand, and starts the task anew if the error asks for it.
    fn reject(&mut self, error: &ComponentError) {
        let failure = Failure::rejected(self.base.info.component.clone(), error);
        self.base.output.fail_in_hand(&failure);
        self.base.stats.count_failure(FailureReason::Rejected);
        self.base.stats.set_last_error(failure.text.to_string());
        if wants_restart(error) {
            self.restart(error);
        }
    }

    /// Hands the ends of own roots to the instance.
    fn tell_verdicts(&mut self) {
        let mut ended = self.base.take_ended();
        for end in ended.drain(..) {
            let verdict = match end.outcome {
                Outcome::Acked => Verdict::Acked,
                Outcome::Failed(failure) => Verdict::Failed(*failure),
                Outcome::Held => continue,
            };
            self.call("verdict", |bolt, out| {
                bolt.verdict(end.message, verdict, out)
            });
        }
        self.base.keep_room(ended);
    }

    /// Calls `wake` and `tick` when they are due.
    fn call_timers(&mut self, now: Moment) -> Next {
        // While its readers take nothing, whatever else it emits would only wait as well.
        if self.base.output.is_overfull() {
            return Next::Wait;
        }
        if self.base.bell.take_call() {
            self.call("wake", |bolt, out| bolt.wake(out));
        }
        let Some((every, due)) = self.tick else {
            return Next::Wait;
        };
        if due > now {
            return Next::At(due);
        }
        // Ticks that were missed are not made up for.
        let next_due = now + every;
        self.tick = Some((every, next_due));
        self.call("tick", |bolt, out| bolt.tick(out));
        Next::At(next_due)
    }

    /// Lets a bolt that keeps tokens flush when nothing new is to come and it has nothing else to do: they
    /// hold up the spouts' end, and so everybody's. Others flush once, at their own.
    fn settle(&mut self) {
        let idle = self.unflushed > Unflushed::Nothing && self.inputs.is_empty();
        if idle && self.base.stats.deferred.get() > 0 && self.base.control.is_settling(self.now()) {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.unflushed = Unflushed::Nothing;
        self.call("flush", |bolt, out| bolt.flush(out));
    }

    /// Returns when the task has something to do again. Asked last: what happened within the slice rings
    /// no bell.
    fn next_turn(&self) -> Next {
        if self.ending != Ending::No {
            return Next::Wait;
        }
        if self.instance.is_none() {
            return Next::At(self.base.restarts.due());
        }
        let executable = !self.base.output.is_blocked() && !self.inputs.is_empty();
        if executable || !self.base.output.ended.is_empty() {
            Next::Again
        } else {
            Next::Wait
        }
    }

    /// Ends the task once nothing can come any more and its own roots have their verdicts. One that is
    /// down has lost what it might have flushed, and ends as it is. One that may not end flushes all the same,
    /// again and again should more come.
    fn end_if_done(&mut self) -> Next {
        let over = self.ending == Ending::No
            && self.base.control.spouts_have_ended()
            && self.inputs.have_ended()
            && !self.base.output.is_blocked();
        if !over {
            return Next::Wait;
        }
        if self.unflushed == Unflushed::Work {
            self.flush();
        }
        if !self.base.output.ledger.is_empty() || !self.base.output.ended.is_empty() {
            // Verdicts of own roots are still to come; the drain deadline bounds the wait.
            return Next::Wait;
        }
        let is_news = !std::mem::replace(&mut self.said_end, true);
        if is_news {
            self.base.output.send_end(self.base.info.task);
        }
        if self.base.control.bolts_may_end(self.now()) {
            self.ending = Ending::Told;
            return Next::Again;
        }
        if is_news { Next::Again } else { Next::Wait }
    }

    /// Closes the task once its readers have heard of its end, and owners of what came meanwhile of that.
    fn finish_end(&mut self, next: Next) -> Next {
        if self.ending != Ending::Told || !self.base.has_sent_all(Phase::Active) {
            return next;
        }
        self.close_inputs(FailureReason::Lost, "the reading task has ended");
        if !self.base.output.lanes.flush() {
            return next.min(Next::At(self.now() + LANE_RETRY));
        }
        self.finish()
    }

    /// Ends the task at once; what waits is lost to this run, and its roots are told, here or elsewhere.
    fn force_end(&mut self) -> Next {
        let stopped = "the topology was stopped";
        self.close_inputs(FailureReason::Drained, stopped);
        let (component, output) = (&self.base.info.component, &mut self.base.output);
        output.send_end(self.base.info.task);
        output.flush();
        let failure = Failure::new(FailureReason::Drained, Some(component.clone()), stopped);
        output.drop_backlog(&failure);
        output.lanes.flush();
        self.finish()
    }

    fn finish(&mut self) -> Next {
        if let Some(instance) = &mut self.instance
            && let Err(error) = guard_silent(|| instance.component.close())
        {
            self.base.note_error("close", &error.to_string());
        }
        self.drop_instance(Dropping::End);
        self.ending = Ending::Done;
        self.base.announce_end(false);
        Next::Ended
    }

    /// Refuses what comes, and fails the roots of what is left.
    fn close_inputs(&mut self, reason: FailureReason, text: &str) {
        let failure = Failure::new(reason, Some(self.base.info.component.clone()), text);
        for root in self.inputs.close() {
            self.base.output.fail(root, &failure);
        }
    }

    /// Tells the roots of all that waits here that it still waits, when it is time to.
    fn touch_waiting(&mut self) {
        if self.base.touch_is_due(self.now()) {
            let base = &mut self.base;
            self.inputs.for_each_waiting(|root| base.touch(root));
            base.output.touch_backlog();
            base.output.lanes.flush();
        }
    }

    /// Calls the instance outside `execute`: with no tuple in hand.
    fn call(
        &mut self,
        what: &str,
        call: impl FnOnce(&mut dyn Bolt, &mut Emitter<'_>) -> Result<()>,
    ) {
        let Some(instance) = &mut self.instance else {
            return;
        };
        let output = &mut self.base.output;
        if let Err(error) = guard(|| call(&mut *instance.component, &mut Emitter::new(output))) {
            self.base.note_error(what, &error.to_string());
            if wants_restart(&error) {
                self.restart(&error);
            }
        }
        self.unflushed = self.unflushed.max(match what {
            "flush" => Unflushed::Nothing,
            "tick" => Unflushed::Ticks,
            _ => Unflushed::Work,
        });
    }

    /// Drops the instance and the tokens that it keeps.
    fn drop_instance(&mut self, why: Dropping) {
        let Some(instance) = self.instance.take() else {
            return;
        };
        let mut dropped = Ok(());
        self.base
            .output
            .tokens
            .drop_instance(why, || dropped = guard_silent(|| drop(instance)));
        if let Err(error) = dropped {
            self.base.note_error("drop", &error.to_string());
        }
    }

    /// Drops the instance, its tokens and its own roots; a new one comes after the back-off.
    fn restart(&mut self, error: &ComponentError) {
        self.drop_instance(Dropping::Restart);
        self.base.forget_roots();
        self.base.restart_after(error);
    }
}
