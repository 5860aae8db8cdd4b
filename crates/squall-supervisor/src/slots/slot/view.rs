//! What a slot lets be seen of itself.

use super::{Slot, State};
use crate::slots::event::{Phase, Record, View};

impl Slot {
    /// Returns what the slot says of itself.
    #[must_use]
    pub fn view(&self) -> View {
        let worker = self.worker();
        let launch = match &self.state {
            State::Launching(launch) => Some(launch),
            _ => worker.map(|worker| &worker.launch),
        };
        let phase = match &self.state {
            State::Empty => Phase::Empty,
            State::Waiting(_) => Phase::Failed,
            State::Fetching | State::Launching(_) => Phase::Fetching,
            State::Alive(worker) if worker.attended => Phase::Running,
            State::Alive(_) => Phase::Starting,
            State::Stopping(_) => Phase::Stopping,
        };
        View {
            phase,
            work: launch.map(|launch| &launch.work).or(self.wanted()).cloned(),
            incarnation: launch.map_or(self.started, |launch| launch.incarnation),
            pid: worker.map(|worker| worker.process.pid),
            ready: worker.is_some_and(|worker| worker.ready_since.is_some()),
            crash_looping: phase == Phase::Failed && self.restarts.has_given_up(),
            n_restarts: self.restarts.n_total(),
            reason: self.reason.clone(),
        }
    }

    /// Returns what has to be known of the slot after a crash.
    #[must_use]
    pub fn record(&self) -> Record {
        let launch = match &self.state {
            State::Launching(launch) => Some(launch),
            _ => self.worker().map(|worker| &worker.launch),
        };
        Record {
            incarnation: self.incarnation,
            launch: launch.cloned(),
            process: self.worker().map(|worker| worker.process),
        }
    }

    /// Says whether a worker is there and must drain.
    #[must_use]
    pub const fn must_drain(&self) -> bool {
        matches!(self.state, State::Stopping(_))
    }
}
