//! One task at work: an instance of a component and all that the engine does around it.
//!
//! A task is run in slices by whichever thread holds its seat. A slice never blocks in the engine: what
//! can't go on says so by returning, and the task's bell tells when it can.

mod bolt;
mod cell;
mod guard;
mod hand;
mod inputs;
mod instance;
mod neighbour;
mod restarts;
mod slice;
mod spout;
mod trial;
mod unacked;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use squall_core::engine::RootId;
use squall_core::{ComponentError, Failure, FailureReason, Moment, Remedy, Settings, TaskInfo};

use crate::ack::{Ended, Inbox, Outcome, Word};
use crate::bell::Bell;
use crate::control::{Control, Phase};
use crate::output::TaskOutput;
use crate::stats::TaskStats;

pub(crate) use bolt::BoltTask;
pub(crate) use cell::TaskCell;
pub(crate) use hand::Hand;
pub(crate) use inputs::{Input, Inputs};
pub(crate) use instance::Maker;
pub(crate) use neighbour::Neighbour;
pub(crate) use restarts::Restarts;
pub(crate) use spout::SpoutTask;
pub(crate) use trial::Trial;

/// How often a ledger looks for trees that have outlived the time-out.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// How long a cycle may stand still before its oldest feedback batch is dropped.
const CYCLE_JAM: Duration = Duration::from_secs(1);
/// The same where the reader is elsewhere: whether it waits for room itself or is slow isn't known here, nor
/// whether the link is just down. In this time a slow one will have taken a batch.
const CYCLE_JAM_ELSEWHERE: Duration = Duration::from_secs(10);
/// How long it takes until all workers have heard that another one was moved, and it has ended itself. Until then
/// one that has not heard may send it tuples that nobody else knows of.
const MOVE_SETTLES: Duration = Duration::from_secs(2);
/// How soon a full inbox is tried again.
const LANE_RETRY: Duration = Duration::from_millis(1);

/// When a task is to be run next. Its bell may bring it forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// At once: there is more to do.
    Again,
    /// At this moment.
    At(Moment),
    /// When its bell rings.
    Wait,
    /// Never: the task has ended.
    Ended,
}

impl Next {
    /// Returns the earlier of two.
    fn min(self, other: Self) -> Self {
        match (self, other) {
            (Self::Ended, _) | (_, Self::Ended) => Self::Ended,
            (Self::Again, _) | (_, Self::Again) => Self::Again,
            (Self::At(one), Self::At(other)) => Self::At(one.min(other)),
            (Self::At(moment), Self::Wait) | (Self::Wait, Self::At(moment)) => Self::At(moment),
            (Self::Wait, Self::Wait) => Self::Wait,
        }
    }
}

/// A task of either kind.
pub(crate) enum Task {
    Spout(Box<SpoutTask>),
    Bolt(Box<BoltTask>),
}

impl Task {
    /// Runs one slice. Returns when to run the next.
    pub(crate) fn run(&mut self, now: Moment) -> Next {
        match self {
            Self::Spout(spout) => spout.run(now),
            Self::Bolt(bolt) => bolt.run(now),
        }
    }

    /// Gives back the neighbours that a slice has left borrowed, which it does when the engine panics.
    pub(crate) fn give_back(&mut self) {
        let base = match self {
            Self::Spout(spout) => spout.base_mut(),
            Self::Bolt(bolt) => bolt.base_mut(),
        };
        base.give_back_neighbours();
    }
}

/// What tasks of both kinds have.
pub(crate) struct Base {
    pub(crate) info: TaskInfo,
    pub(crate) settings: Arc<Settings>,
    pub(crate) output: TaskOutput,
    pub(crate) inboxes: Arc<[Inbox]>,
    pub(crate) bell: Arc<Bell>,
    pub(crate) stats: Arc<TaskStats>,
    pub(crate) control: Arc<Control>,
    pub(crate) restarts: Restarts,
    /// When the ledger is swept next; `None` while it is empty.
    pub(crate) next_sweep: Option<Moment>,
    /// When the roots of what waits here are told so; `None` while nothing waits.
    pub(crate) next_touch: Option<Moment>,
    /// When the roots are failed that were opened right after a worker was moved and have no verdict, and why.
    pub(crate) late_loss: Option<(Moment, Failure)>,
    /// Since when a feedback edge has refused without its reader's taking anything, and how much that
    /// had taken by then.
    pub(crate) jam: Option<(Moment, u64)>,
    /// The pending roots that the topology has been told of.
    pub(crate) n_pending: usize,
    /// Whether the task calls others, and is called.
    pub(crate) trial: Trial,
    /// An empty list, with room for the next ends.
    pub(crate) ended_room: Vec<Ended>,
}

impl Base {
    /// Borrows the neighbours for a slice, unless the task has left the loop that they are on, or may block: they would
    /// stand still meanwhile, whoever else waits for them.
    fn borrow_neighbours(&mut self, depth: usize) {
        if self.trial.is_passed() && !self.bell.has_moved_out() {
            self.output.borrow_neighbours(depth);
        }
    }

    /// Takes note of so many tuples that the task has dealt with in a slice.
    fn learn(&mut self, n_done: usize) {
        self.trial.learn(n_done, self.bell.is_hurried());
    }

    /// Gives the neighbours back. Returns how long they were called for, by estimate.
    fn give_back_neighbours(&mut self) -> Duration {
        self.output.give_back_neighbours()
    }

    /// Takes the contributions that have arrived, and sweeps the ledger when it is time.
    fn take_contributions(&mut self, now: Moment) {
        let held_before = self.output.ledger.held().bytes;
        let sweeps = self.next_sweep.is_some_and(|due| due <= now);
        if sweeps {
            // What waits right here must not be taken for lost.
            self.output.touch_backlog();
            self.output.lanes.flush();
        }
        let TaskOutput { ledger, ended, .. } = &mut self.output;
        let mut complete = true;
        if let Some(inbox) = self.inboxes.get(self.info.task.idx()) {
            complete = inbox.drain(|contribution| ledger.apply(contribution, now, ended));
            if let Some(lost) = inbox.take_lost() {
                ledger.fail_rest(true, &lost.failure, ended);
                if lost.lingers {
                    // As old again as what is failed then, so that a healthy tree has had its time.
                    self.late_loss = Some((now + MOVE_SETTLES * 2, lost.failure));
                }
            }
        }
        if let Some((_, failure)) = self.late_loss.take_if(|(due, _)| *due <= now) {
            ledger.fail_old(now, MOVE_SETTLES, &failure, ended);
        }
        if sweeps && complete {
            ledger.sweep(now, self.settings.message_timeout.0, ended);
            self.next_sweep = None;
        } else if sweeps {
            // Senders still keep what had no room: it may spare a tree.
            self.next_sweep = Some(now + LANE_RETRY * 10);
        }
        self.adjust_held(held_before);
    }

    /// Tells the topology how the bytes that this task's roots hold have changed.
    fn adjust_held(&self, before: usize) {
        self.control
            .adjust_held(before, self.output.ledger.held().bytes);
    }

    /// Fails what is left in the ledger: the held roots, and with `all` the pending ones.
    fn fail_rest(&mut self, all: bool) {
        let held_before = self.output.ledger.held().bytes;
        let failure = Failure::new(FailureReason::Drained, None, "the topology was drained");
        let TaskOutput { ledger, ended, .. } = &mut self.output;
        ledger.fail_rest(all, &failure, ended);
        self.adjust_held(held_before);
    }

    /// Counts the outcomes of own roots; returns them to be told. [`Base::keep_room`] takes the list back.
    fn take_ended(&mut self) -> Vec<Ended> {
        if self.output.ended.is_empty() {
            return Vec::new();
        }
        let room = std::mem::take(&mut self.ended_room);
        let ended = std::mem::replace(&mut self.output.ended, room);
        let mut run: Option<(Moment, u64)> = None;
        let record = |run: Option<(Moment, u64)>| {
            if let Some((emitted, n)) = run {
                self.stats
                    .complete
                    .record(self.output.now.since(emitted), n);
            }
        };
        for end in &ended {
            match &end.outcome {
                Outcome::Acked => match &mut run {
                    Some((emitted, n)) if *emitted == end.emitted => *n += 1,
                    _ => record(run.replace((end.emitted, 1))),
                },
                Outcome::Failed(failure) => {
                    // A tree's failure is counted with the bolt that rejected it, and with its owner.
                    self.stats.count_failure(failure.reason);
                }
                Outcome::Held => {}
            }
        }
        record(run);
        ended
    }

    /// Keeps the memory of a list of ends for the next one.
    fn keep_room(&mut self, mut ended: Vec<Ended>) {
        if ended.capacity() > self.ended_room.capacity() {
            ended.clear();
            self.ended_room = ended;
        }
    }

    /// Sends what there is to send. Returns when that is to be tried again.
    fn send_all(&mut self, now: Moment) -> Next {
        let mut next = Next::Wait;
        // Emits may have found an edge full: who waited for room has it now, and nobody else says so.
        let was_blocked = self.output.is_blocked();
        if self.output.flush() {
            if was_blocked {
                next = Next::Again;
            }
        } else {
            self.output.await_room(&self.bell);
            // The room may have come before the edge knew that it was awaited.
            if self.output.flush() {
                next = Next::Again;
            }
        }
        self.bell.set_parked(self.output.is_blocked());
        if self.output.is_blocked() {
            next = next.min(self.relieve_jam(now));
        } else {
            self.jam = None;
        }
        if !self.output.lanes.flush() {
            next = next.min(Next::At(now + LANE_RETRY));
        }
        self.publish();
        next
    }

    /// Shows the task's counters and its share of what is pending.
    fn publish(&mut self) {
        self.output.publish(&self.stats);
        let n_pending = self.output.ledger.pending().n_roots;
        self.control.adjust_pending(self.n_pending, n_pending);
        self.n_pending = n_pending;
        if self.restarts.has_failed() {
            self.show_health();
        }
    }

    /// Drops the oldest batch of a jammed feedback edge once nothing has moved for a while.
    fn relieve_jam(&mut self, now: Moment) -> Next {
        let Some(n_taken) = self.output.taken_from_jammed() else {
            self.jam = None;
            return if self.output.closes_cycle() {
                Next::At(now + CYCLE_JAM)
            } else {
                Next::Wait
            };
        };
        let patience = if self.output.is_jammed_elsewhere() {
            CYCLE_JAM_ELSEWHERE
        } else {
            CYCLE_JAM
        };
        let (since, before) = *self.jam.get_or_insert((now, n_taken));
        if before != n_taken {
            // Slow, but moving.
            self.jam = Some((now, n_taken));
            return Next::At(now + patience);
        }
        if now.since(since) < patience {
            return Next::At(since + patience);
        }
        let failure = Failure::new(
            FailureReason::Lost,
            Some(self.info.component.clone()),
            "dropped to free a jammed cycle",
        );
        let n_dropped = self.output.drop_oldest_feedback(&failure);
        self.stats.cycle_drops.add(n_dropped);
        self.jam = None;
        Next::Again
    }

    /// Returns when the ledger and the waiting tuples want to be looked at again.
    fn next_timer(&mut self, now: Moment, something_waits: bool) -> Next {
        let touch_every = self.settings.message_timeout.0 / 4;
        arm(
            &mut self.next_sweep,
            self.output.ledger.pending().n_roots > 0,
            now + SWEEP_EVERY,
        );
        arm(&mut self.next_touch, something_waits, now + touch_every);
        let mut next = Next::Wait;
        let late_loss = self.late_loss.as_ref().map(|(due, _)| *due);
        let timers = [self.next_sweep, self.next_touch, late_loss];
        for timer in timers.into_iter().flatten() {
            next = next.min(Next::At(timer));
        }
        if let Some(recovered) = self.restarts.recovers_at(now) {
            next = next.min(Next::At(recovered));
        }
        if self.control.phase(now) == Phase::Draining {
            next = next.min(Next::At(self.control.drain_deadline()));
        }
        next
    }

    /// Tells whether it is time to tell the roots of what waits here that it waits.
    fn touch_is_due(&mut self, now: Moment) -> bool {
        let due = self.next_touch.is_some_and(|due| due <= now);
        if due {
            self.next_touch = None;
        }
        due
    }

    /// Tells a tree that a tuple of it waits in a queue.
    fn touch(&mut self, root: RootId) {
        self.output.lanes.push(root, Word::Waiting);
    }

    /// Takes note of an error that failed no tuple.
    fn note_error(&self, what: &str, error: &str) {
        tracing::warn!(
            component_id = %self.info.component,
            task_id = %self.info.task,
            error,
            what,
            "component returned an error"
        );
        self.stats.set_last_error(format!("{what}: {error}"));
    }

    /// Takes note that an instance didn't start. An error that says it is permanent stops the topology:
    /// no further attempt would mend it.
    fn start_failed(&mut self, error: &ComponentError, now: Moment) {
        let component = &self.info.component;
        if error.remedy() == Remedy::DeadLetter {
            // Nothing that waits for it can ever be done: no use in draining.
            self.control
                .fail(format!("`{component}` can't start: {error}"), now);
        }
        self.note_error("start", &error.to_string());
        self.stats.failed_starts.add(1);
        self.restarts.failed(now);
        self.show_health();
    }

    /// Takes note that a spout can't go on and that asking again would mend nothing: the topology stops,
    /// and says why. What is pending may go on to its end.
    fn gave_up(&self, error: &ComponentError) {
        let component = &self.info.component;
        let deadline = self.output.now + self.settings.drain_timeout.0;
        self.control
            .fail(format!("`{component}` can't go on: {error}"), deadline);
        self.stats.set_last_error(error.to_string());
    }

    /// Takes note that an instance is to be replaced.
    fn restart_after(&mut self, error: &ComponentError) {
        tracing::warn!(
            component_id = %self.info.component,
            task_id = %self.info.task,
            %error,
            "task is restarted"
        );
        self.stats.set_last_error(error.to_string());
        self.stats.restarts.add(1);
        self.restarts.failed(self.output.now);
        self.show_health();
    }

    /// Shows how a task fares that has failed before.
    fn show_health(&self) {
        let (stats, now) = (&self.stats, self.output.now);
        let is_crash_looping = self.restarts.is_crash_looping(now);
        stats.down.store(self.restarts.is_down(), Ordering::Relaxed);
        stats
            .crash_looping
            .store(is_crash_looping, Ordering::Relaxed);
    }

    /// Forgets the roots of an instance that is gone: their verdicts have nobody to go to.
    fn forget_roots(&mut self) {
        let held_before = self.output.ledger.held().bytes;
        self.output.ledger.reset();
        self.output.ended.clear();
        self.adjust_held(held_before);
    }

    /// Tells whether tuples, marks and contributions have all left; a forced end doesn't wait for them.
    fn has_sent_all(&mut self, phase: Phase) -> bool {
        let contributed = self.output.lanes.flush();
        phase == Phase::Forced || (contributed && !self.output.is_blocked())
    }

    /// Tells everybody that this task is gone.
    fn announce_end(&mut self, is_spout: bool) {
        self.publish();
        if let Some(inbox) = self.inboxes.get(self.info.task.idx()) {
            inbox.close();
        }
        self.control.task_ended(is_spout);
    }
}

/// Sets a timer that isn't set, or takes it away where it isn't wanted.
fn arm(timer: &mut Option<Moment>, wanted: bool, due: Moment) {
    match (wanted, *timer) {
        (true, None) => *timer = Some(due),
        (false, Some(_)) => *timer = None,
        _ => {}
    }
}
