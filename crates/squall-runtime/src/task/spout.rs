//! A spout's task: asks for tuples while there is room, and tells what became of them.

use std::time::Duration;

use squall_core::{Activity, ComponentError, Moment, Remedy, Spout, SpoutEmitter};

use super::guard::{guard, guard_silent, wants_restart};
use super::instance::Instance;
use super::slice::Slice;
use super::unacked::Unacked;
use super::{Base, Maker, Next};
use crate::ack::Outcome;
use crate::control::Phase;

/// How long a spout whose `next_tuple` failed is left alone.
const ERROR_PAUSE: Duration = Duration::from_millis(100);
/// How long the held tuples may be all that is left before the topology is stopped.
const HELD_STUCK: Duration = Duration::from_secs(1);

/// One task of a spout.
#[repr(align(128))]
pub(crate) struct SpoutTask {
    base: Base,
    maker: Maker,
    instance: Option<Instance<dyn Spout>>,
    slice: Slice,
    unacked: Unacked,
    rest: Rest,
    /// What the instance was last told: `activate` or `deactivate`.
    active: bool,
    /// The topology has been told that nothing more is to come.
    finished: bool,
    /// Since when there have been held tuples only, with no room for more.
    stuck_since: Option<Moment>,
    /// And somebody has been told so.
    stuck_noted: bool,
    ending: Ending,
}

/// Why a spout isn't asked now.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rest {
    /// It is asked.
    No,
    /// It had nothing; its waker or a verdict brings it back.
    UntilWoken,
    /// It had nothing, and named a time besides.
    Until(Moment),
    /// It has nothing any more; a verdict brings it back.
    Finished,
}

/// How far a task is with its end.
#[derive(Clone, Copy, PartialEq)]
enum Ending {
    No,
    Told,
    Done,
}

impl SpoutTask {
    pub(crate) fn new(base: Base, maker: Maker) -> Self {
        Self {
            base,
            maker,
            instance: None,
            slice: Slice::new(),
            unacked: Unacked::default(),
            rest: Rest::No,
            active: true,
            finished: false,
            stuck_since: None,
            stuck_noted: false,
            ending: Ending::No,
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
        let phase = self.base.control.phase(now);
        if phase == Phase::Forced {
            self.base.fail_rest(true);
        }
        if self.instance.is_none() && phase < Phase::Draining && self.base.control.may_open() {
            next = next.min(self.start(now));
        }
        self.tell_verdicts();
        self.follow_phase(phase);
        if phase == Phase::Active && self.ending == Ending::No {
            self.poll_slice(now);
        }
        self.tell_verdicts();
        self.tell_finished();
        next = next.min(self.check_held(self.now()));
        self.end_if_done(phase);
        next = next.min(self.base.send_all(self.now()));
        next = next.min(self.next_poll(phase));
        if self.base.touch_is_due(self.now()) {
            self.base.output.touch_backlog();
            self.base.output.lanes.flush();
        }
        let something_waits = self.base.output.is_waiting();
        next = next.min(self.base.next_timer(self.now(), something_waits));
        self.finish_end(next, phase)
    }

    /// Starts a new instance when it is time.
    fn start(&mut self, now: Moment) -> Next {
        if self.base.restarts.due() > now {
            return Next::At(self.base.restarts.due());
        }
        match self.maker.spout() {
            Ok(instance) => {
                self.instance = Some(instance);
                self.rest = Rest::No;
                self.active = true;
                self.base.restarts.started(now);
                Next::Again
            }
            Err(error) => {
                self.base.start_failed(&error, now);
                Next::At(self.base.restarts.due())
            }
        }
    }

    /// Tells the instance the ends of its messages. Any of them may give it something to do.
    fn tell_verdicts(&mut self) {
        let ended = self.base.take_ended();
        if ended.is_empty() {
            return;
        }
        let (mut n_acked, stats, unacked) = (0, &self.base.stats, &mut self.unacked);
        // One guard for all of them: after a panic nobody is left to be told the others.
        let told = self.instance.as_mut().map(|instance| {
            let (component, rest) = (&mut instance.component, &mut self.rest);
            guard_silent(|| {
                for end in &ended {
                    match &end.outcome {
                        Outcome::Acked => {
                            n_acked += 1;
                            unacked.ack(end.message, stats);
                            component.ack(end.message);
                        }
                        Outcome::Failed(failure) => {
                            unacked.fail(end.message, stats);
                            component.fail(end.message, failure);
                        }
                        Outcome::Held => {
                            component.held(end.message);
                            continue;
                        }
                    }
                    *rest = Rest::No;
                }
            })
        });
        self.base.stats.acked.add(n_acked);
        self.base.keep_room(ended);
        if let Some(Err(error)) = told {
            self.base.note_error("verdict", &error.to_string());
            self.restart(&error);
        }
    }

    /// Tells the instance of activation and deactivation.
    fn follow_phase(&mut self, phase: Phase) {
        let active = phase == Phase::Active;
        if active == self.active {
            return;
        }
        self.active = active;
        self.rest = Rest::No;
        let Some(instance) = &mut self.instance else {
            return;
        };
        let told = guard_silent(|| match active {
            true => instance.component.activate(),
            false => instance.component.deactivate(),
        });
        if let Err(error) = told {
            self.base.note_error("activate", &error.to_string());
            self.restart(&error);
        }
    }

    /// Asks for tuples until the slice is used up, there is no room, or there are none.
    fn poll_slice(&mut self, now: Moment) {
        match self.rest {
            _ if self.base.bell.take_call() => self.rest = Rest::No,
            Rest::Until(due) if due <= now => self.rest = Rest::No,
            _ => {}
        }
        if self.rest != Rest::No || !has_room(&self.base) {
            return;
        }
        let Some(instance) = &mut self.instance else {
            return;
        };
        self.base.borrow_neighbours(0);
        let (mut n_done, at_most) = (0, self.slice.n_tuples());
        let (base, component, rest) = (&mut self.base, &mut instance.component, &mut self.rest);
        // One guard for many tuples: after one that panics there are none.
        let polled = guard(|| {
            while n_done < at_most && !base.bell.is_hurried() && has_room(base) {
                match component.next_tuple(&mut SpoutEmitter::new(&mut base.output))? {
                    Activity::Emitted => {
                        n_done += 1;
                        continue;
                    }
                    Activity::Idle => *rest = Rest::UntilWoken,
                    Activity::IdleFor(pause) => *rest = Rest::Until(now + pause),
                    Activity::Finished => *rest = Rest::Finished,
                }
                break;
            }
            Ok(())
        });
        self.base.give_back_neighbours();
        if n_done > 0 {
            let now = self.maker.services.clock.now();
            self.slice.learn(n_done, now.since(self.now()));
            self.base.learn(n_done);
            self.base.output.now = now;
        }
        if let Err(error) = polled {
            self.rest = Rest::Until(self.now() + ERROR_PAUSE);
            if error.remedy() == Remedy::DeadLetter {
                self.base.gave_up(&error);
                return;
            }
            self.base.note_error("next_tuple", &error.to_string());
            if wants_restart(&error) {
                self.restart(&error);
            }
        }
    }

    /// Returns when there is something to ask the instance for. Asked last: verdicts, flushes and restarts
    /// change the answer, and nobody rings for what happened within the slice.
    fn next_poll(&self, phase: Phase) -> Next {
        if self.ending != Ending::No || phase >= Phase::Draining {
            return Next::Wait;
        }
        if !self.base.control.may_open() {
            return Next::Wait;
        }
        if self.instance.is_none() {
            return Next::At(self.base.restarts.due());
        }
        match self.rest {
            _ if phase != Phase::Active => Next::Wait,
            Rest::No if has_room(&self.base) => Next::Again,
            Rest::Until(due) => Next::At(due),
            _ => Next::Wait,
        }
    }

    /// Tells the topology when this task has nothing more to emit, and when it has again.
    fn tell_finished(&mut self) {
        let finished = self.rest == Rest::Finished;
        if finished != self.finished {
            self.finished = finished;
            self.base.control.set_finished(finished);
        }
    }

    /// Stops the topology when held tuples fill their bound and nothing else is pending that could end. In a
    /// part of one that is only noted: what they wait for may be pending elsewhere.
    fn check_held(&mut self, now: Moment) -> Next {
        let (control, bound) = (&self.base.control, self.base.settings.max_held_bytes);
        let held_bytes = control.held_bytes();
        if held_bytes < bound.as_usize()
            || control.n_pending() > 0
            || self.base.output.ledger.held().n_roots == 0
        {
            (self.stuck_since, self.stuck_noted) = (None, false);
            return Next::Wait;
        }
        let since = *self.stuck_since.get_or_insert(now);
        if now.since(since) < HELD_STUCK {
            return Next::At(since + HELD_STUCK);
        }
        if self.stuck_noted {
            return Next::Wait;
        }
        self.stuck_noted = true;
        let needed = held_bytes.saturating_mul(2);
        let reason = format!(
            "max_held_bytes ({bound}) is full of held tuples and nothing else is pending: windows wait for \
             tuples that have no room; set max_held_bytes to at least {needed}B"
        );
        if control.is_part() {
            self.base.note_error("hold", &reason);
            return Next::Wait;
        }
        self.base
            .control
            .fail(reason, now + self.base.settings.drain_timeout.0);
        Next::Again
    }

    /// Ends the task when nothing is pending and nothing is to come.
    fn end_if_done(&mut self, phase: Phase) {
        let over =
            self.ending == Ending::No && (self.rest == Rest::Finished || phase >= Phase::Draining);
        let heard = !self.base.output.is_blocked() || phase == Phase::Forced;
        if over && heard && self.base.output.ledger.pending().n_roots == 0 {
            if self.base.output.ledger.held().n_roots > 0 {
                // At the end of input the holders flush and ack; draining doesn't wait for them.
                if phase < Phase::Draining {
                    return;
                }
                self.base.fail_rest(false);
                self.tell_verdicts();
            }
            self.base.output.send_end(self.base.info.task);
            self.ending = Ending::Told;
        }
    }

    /// Closes the task once its readers have heard of its end.
    fn finish_end(&mut self, next: Next, phase: Phase) -> Next {
        if self.ending != Ending::Told || !self.base.has_sent_all(phase) {
            return next;
        }
        if let Some(mut instance) = self.instance.take()
            && let Err(error) = guard_silent(|| {
                instance.component.close();
                drop(instance);
            })
        {
            self.base.note_error("close", &error.to_string());
        }
        self.ending = Ending::Done;
        if !self.finished {
            self.base.control.set_finished(true);
        }
        self.base.announce_end(true);
        Next::Ended
    }

    /// Drops the instance and forgets its roots: the next one begins from its checkpoint.
    fn restart(&mut self, error: &ComponentError) {
        if let Some(instance) = self.instance.take()
            && let Err(error) = guard_silent(|| drop(instance))
        {
            self.base.note_error("drop", &error.to_string());
        }
        self.base.forget_roots();
        self.unacked.clear(&self.base.stats);
        self.base.restart_after(error);
        self.rest = Rest::No;
    }
}

/// Tells whether the bounds on pending tuples leave room for another.
fn has_room(base: &Base) -> bool {
    let (settings, output) = (&base.settings, &base.output);
    let pending = output.ledger.pending();
    !output.is_blocked()
        && pending.n_roots < settings.max_spout_pending as usize
        && pending.bytes < settings.max_spout_pending_bytes.as_usize()
        && base.control.held_bytes() < settings.max_held_bytes.as_usize()
}
