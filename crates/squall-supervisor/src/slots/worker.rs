//! A slot's process: one that runs, and one on its way out.

use std::time::Duration;

use squall_core::Moment;

use super::event::{Effect, Launch, Process};
use super::limits::Limits;

/// SIGKILL is sent again this often to a process that doesn't go.
const KILL_INTERVAL: Duration = Duration::from_secs(2);

/// A process that runs.
#[derive(Clone, Debug)]
pub(super) struct Worker {
    pub(super) launch: Launch,
    pub(super) process: Process,
    pub(super) attended: bool,
    pub(super) ready_since: Option<Moment>,
    pub(super) drained: bool,
    /// Nimbus has it drain, for as long as that may take.
    pub(super) drains: bool,
    /// When it was heard of last; its start and its adoption count.
    pub(super) heard: Moment,
    /// When its silence was measured last.
    pub(super) checked: Moment,
}

/// A process on its way out.
#[derive(Clone, Debug)]
pub(super) struct Stopping {
    pub(super) worker: Worker,
    pub(super) stage: Stage,
    /// When the next stage begins.
    pub(super) until: Moment,
    /// What the worker did wrong; `None` when it is only in the way.
    pub(super) fault: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Draining,
    Terminating,
    Killing,
}

impl Worker {
    pub(super) const fn new(launch: Launch, process: Process, now: Moment) -> Self {
        Self {
            launch,
            process,
            attended: false,
            ready_since: None,
            drained: false,
            drains: false,
            heard: now,
            checked: now,
        }
    }

    pub(super) fn is_steady(&self, limits: &Limits, now: Moment) -> bool {
        self.ready_since
            .is_some_and(|since| now.since(since) >= limits.steady_after)
    }
}

impl Stopping {
    /// Sends the next stronger signal.
    pub(super) fn next_stage(&mut self, limits: &Limits, now: Moment, effects: &mut Vec<Effect>) {
        let process = self.worker.process;
        if self.stage == Stage::Draining {
            self.stage = Stage::Terminating;
            self.until = now + limits.term_grace;
            effects.push(Effect::Terminate(process));
        } else {
            self.stage = Stage::Killing;
            self.until = now + KILL_INTERVAL;
            effects.push(Effect::Kill(process));
        }
    }
}
