//! What a worker does when: one state machine, pure and in virtual time.
//!
//! ```text
//!   Waiting --all ready--> Spouting { asked } --drain--> Draining --other phase--> ended, to be started anew
//!      |                        |                            |
//!      +------- told to end ----+----------------------------+--> Ending --> Leaving --> ended
//!                            superseded, failed: ended at once, from anywhere
//! ```
//! Spouts begin when the topology is active, nimbus says that all workers are ready, and this one is. From
//! then on they heed the phase alone: that another worker fails is no reason to stop. While the supervisor
//! or nimbus is away, what was heard last goes on being so.
//!
//! **Invariant:** this worker's own tasks and epoch never change while it runs: an order that changes them ends
//! it, and whoever comes after is launched with the new ones.

mod event;
mod limits;

use std::time::Duration;

use squall_core::engine::WorkerIdx;
use squall_core::{Fence, Moment};
use squall_proto::limits::REPORT_INTERVAL;
use squall_proto::{Assignment, Launch, Phase, Refusal, RefusalCode, WorkerOrder};
use squall_runtime::Part;

use crate::exit::ExitReason;

pub(crate) use event::{Effect, Event, Sight, Standing};
pub(crate) use limits::Limits;

/// A worker's life.
#[derive(Clone, Debug)]
pub(crate) struct Lifecycle {
    limits: Limits,
    fence: Fence,
    part: Part,
    /// What was heard last.
    assignment: Assignment,
    phase: Phase,
    all_ready: bool,
    stage: Stage,
    sight: Sight,
    /// When it was first seen that the tasks had ended.
    tasks_ended_at: Option<Moment>,
    /// What the supervisor was told last.
    told: Option<Standing>,
    look_at: Moment,
    report_at: Moment,
    /// Since when it is waited that everything is ready, or has drained.
    waits_since: Option<Moment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// The spouts wait for all workers of the topology.
    Waiting,
    /// The spouts are open, and asked or not.
    Spouting { asked: bool },
    /// As ordered: the spouts end, and what is pending goes on.
    Draining { since: Moment },
    /// As told, or because it can't go on: the same, and not for long.
    Ending {
        since: Moment,
        failure: Option<String>,
    },
    /// The tasks end; what they have said last is on its way to the other workers.
    Leaving { since: Moment, reason: ExitReason },
    /// Over.
    Ended,
}

impl Lifecycle {
    /// Begins with what the launch file says.
    pub(crate) fn new(launch: &Launch, part: &Part, limits: Limits, now: Moment) -> Self {
        Self {
            limits,
            fence: launch.fence,
            part: part.clone(),
            assignment: launch.assignment.clone(),
            phase: Phase::Starting,
            all_ready: false,
            stage: Stage::Waiting,
            sight: Sight::default(),
            tasks_ended_at: None,
            told: None,
            look_at: now,
            report_at: now,
            waits_since: None,
        }
    }

    /// Takes what happened and says what to do, in this order.
    pub(crate) fn step(&mut self, event: Event, now: Moment) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.stage == Stage::Ended {
            return effects;
        }
        let mut looked = false;
        match event {
            Event::Ordered(order) => self.ordered(order, now, &mut effects),
            Event::Refused(refusal) => self.refused(&refusal, &mut effects),
            Event::Looked(sight) => {
                if sight.outcome.is_some() {
                    self.tasks_ended_at.get_or_insert(sight.at);
                }
                self.sight = sight;
                looked = true;
            }
            Event::Superseded(fence) => {
                self.end(ExitReason::superseded_by(fence), &mut effects);
            }
            Event::Told => self.told_to_end(now, &mut effects),
        }
        self.proceed(now, &mut effects);
        self.report(now, &mut effects);
        let next_look = now + self.look_interval(now);
        self.look_at = if looked {
            next_look
        } else {
            self.look_at.min(next_look)
        };
        effects
    }

    /// Returns which worker it is.
    pub(crate) const fn worker(&self) -> WorkerIdx {
        self.part.me
    }

    /// Returns when [`Event::Looked`] is due.
    pub(crate) const fn deadline(&self) -> Moment {
        self.look_at
    }

    /// Tells whether looking has to find out what is pending, which costs more.
    pub(crate) const fn counts_pending(&self) -> bool {
        matches!(self.stage, Stage::Draining { .. } | Stage::Ending { .. })
    }

    fn ordered(&mut self, order: WorkerOrder, now: Moment, effects: &mut Vec<Effect>) {
        let is_old = order.assignment.version < self.assignment.version;
        if is_old || order.assignment.topology != self.assignment.topology {
            return;
        }
        let Some(own) = order.assignment.worker(self.part.me) else {
            return;
        };
        if own.placement_epoch != self.fence.placement_epoch {
            if own.placement_epoch > self.fence.placement_epoch {
                let newer = Fence {
                    placement_epoch: own.placement_epoch,
                    incarnation: 0,
                };
                self.end(ExitReason::superseded_by(newer), effects);
            }
            return;
        }
        if let Some(moved) = self.dealt_otherwise(&order.assignment) {
            return self.end(ExitReason::failed(moved), effects);
        }
        if order.assignment != self.assignment {
            self.assignment = order.assignment;
            effects.push(Effect::Link(self.assignment.clone()));
        }
        self.phase = order.phase;
        self.all_ready = order.all_ready;
        self.follow(now, effects);
    }

    /// Does what the phase asks for, as far as the stage lets it.
    fn follow(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        match (&self.stage, self.phase) {
            (Stage::Waiting | Stage::Spouting { .. }, Phase::Draining) => {
                self.stage = Stage::Draining { since: now };
                effects.push(Effect::Drain);
            }
            // Tasks that have drained have ended. Who comes next begins with all of them.
            (Stage::Draining { .. }, Phase::Starting | Phase::Active | Phase::Inactive) => {
                self.end(ExitReason::Drained, effects);
            }
            (Stage::Spouting { asked: false }, Phase::Active) => {
                self.stage = Stage::Spouting { asked: true };
                effects.push(Effect::Activate);
            }
            (Stage::Spouting { asked: true }, Phase::Inactive) => {
                self.stage = Stage::Spouting { asked: false };
                effects.push(Effect::Deactivate);
            }
            _ => {}
        }
    }

    fn refused(&mut self, refusal: &Refusal, effects: &mut Vec<Effect>) {
        if matches!(
            refusal.code,
            RefusalCode::UnknownWorker | RefusalCode::StaleFence
        ) {
            let why = format!("the supervisor says: {}", refusal.message);
            self.end(ExitReason::Superseded { why }, effects);
        }
    }

    fn told_to_end(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        match self.stage {
            // Told twice: no more patience.
            Stage::Ending { .. } | Stage::Leaving { .. } => {
                let n_pending = self.sight.n_pending;
                self.end(ExitReason::Clean { n_pending }, effects);
            }
            Stage::Waiting | Stage::Spouting { .. } | Stage::Draining { .. } => {
                self.begin_to_end(None, now, effects);
            }
            Stage::Ended => {}
        }
    }

    fn begin_to_end(&mut self, failure: Option<String>, now: Moment, effects: &mut Vec<Effect>) {
        self.stage = Stage::Ending {
            since: now,
            failure,
        };
        effects.push(Effect::Drain);
    }

    /// Goes on by what is seen and by the time.
    fn proceed(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        match &self.stage {
            Stage::Ended => return,
            Stage::Leaving { since, reason } => {
                if self.has_said_all() || now.since(*since) >= self.limits.leave_within {
                    let reason = reason.clone();
                    self.end(reason, effects);
                }
                return;
            }
            Stage::Waiting
            | Stage::Spouting { .. }
            | Stage::Draining { .. }
            | Stage::Ending { .. } => {}
        }
        if let Some(Err(why)) = &self.sight.outcome {
            let reason = ExitReason::failed(why);
            return self.end(reason, effects);
        }
        match &self.stage {
            Stage::Ending { since, failure } => {
                let is_over = now.since(*since) >= self.limits.drain_within;
                let n_pending = self.sight.n_pending;
                let reason = match failure {
                    Some(why) => ExitReason::failed(why),
                    None if self.has_drained() => ExitReason::Drained,
                    None => ExitReason::Clean { n_pending },
                };
                if is_over || self.has_drained() {
                    self.leave(reason, now, effects);
                }
            }
            _ if self.sight.failing.is_some() => {
                let failure = self.sight.failing.clone();
                self.begin_to_end(failure, now, effects);
            }
            Stage::Waiting if self.phase == Phase::Active && self.all_ready && self.is_ready() => {
                self.stage = Stage::Spouting { asked: true };
                effects.push(Effect::Activate);
            }
            _ => {}
        }
    }

    /// Has the tasks end. What they say to that still goes out.
    fn leave(&mut self, reason: ExitReason, now: Moment, effects: &mut Vec<Effect>) {
        self.stage = Stage::Leaving { since: now, reason };
        effects.push(Effect::Force);
    }

    fn end(&mut self, reason: ExitReason, effects: &mut Vec<Effect>) {
        self.stage = Stage::Ended;
        effects.push(Effect::End(reason));
    }

    /// Tells the supervisor how it is: at once when that is news, and now and then.
    fn report(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        if self.stage == Stage::Ended {
            return;
        }
        let standing = Standing {
            ready: self.is_ready(),
            drained: matches!(self.stage, Stage::Draining { .. }) && self.has_drained(),
            assignment_version: self.assignment.version,
        };
        if self.told != Some(standing) || now >= self.report_at {
            self.told = Some(standing);
            self.report_at = now + REPORT_INTERVAL;
            effects.push(Effect::Report(standing));
        }
    }

    /// Tells whether this worker executes what comes, and reaches all others that have a place.
    fn is_ready(&self) -> bool {
        self.sight.tasks_ready && self.sight.links_stand
    }

    /// Tells whether nothing of its own is pending and its spouts have saved all, by a look that was taken after
    /// the draining began: before that, they may still have emitted.
    fn has_drained(&self) -> bool {
        let since = match self.stage {
            Stage::Draining { since } | Stage::Ending { since, .. } => since,
            Stage::Waiting | Stage::Spouting { .. } | Stage::Leaving { .. } | Stage::Ended => {
                return false;
            }
        };
        let settled = self.sight.at.since(since) >= self.limits.quick_look;
        let is_done = self.sight.spouts_ended && self.sight.n_pending == 0;
        self.sight.outcome == Some(Ok(())) || (settled && is_done)
    }

    /// Tells whether what the tasks said last has gone out, by a look that was taken after the one that found
    /// them ended: before that, the links may not have been told.
    fn has_said_all(&self) -> bool {
        let settled = |ended_at| self.sight.at.since(ended_at) >= self.limits.quick_look;
        self.tasks_ended_at.is_some_and(settled) && self.sight.links_idle
    }

    /// Says which task the assignment gives to another worker than this one believes.
    fn dealt_otherwise(&self, assignment: &Assignment) -> Option<String> {
        let mut owned = assignment
            .workers
            .iter()
            .flat_map(|placement| placement.tasks.iter().map(|task| (*task, placement.worker)));
        let (task, worker) =
            owned.find(|(task, worker)| self.part.workers.get(task.idx()) != Some(worker))?;
        Some(format!(
            "task {task} is worker {worker}'s now: this worker has to be started anew"
        ))
    }

    fn look_interval(&mut self, now: Moment) -> Duration {
        let is_ending = matches!(
            self.stage,
            Stage::Draining { .. } | Stage::Ending { .. } | Stage::Leaving { .. }
        );
        let drained = self.told.is_some_and(|told| told.drained);
        if self.is_ready() && (!is_ending || drained) {
            self.waits_since = None;
            return REPORT_INTERVAL;
        }
        let since = *self.waits_since.get_or_insert(now);
        if now.since(since) <= self.limits.quick_for {
            self.limits.quick_look
        } else {
            self.limits.slow_look
        }
    }
}

#[cfg(test)]
mod tests;
