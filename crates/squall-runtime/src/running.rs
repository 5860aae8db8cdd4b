//! A topology that runs in this process, on threads of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use squall_core::{Moment, Registry, TopologySpec};
use squall_plan::{Kind, Signatures};
use thiserror::Error;

use crate::assembly::Assembly;
use crate::control::Phase;
use crate::event_loop::Threads;
use crate::memory::MemoryBound;
use crate::ports::Ports;
use crate::services::{Options, Services, StartError};
use crate::stats::TopologySnapshot;

/// A topology that could not go on.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{reason}")]
pub struct RunError {
    /// Why, and what to do about it.
    pub reason: String,
}

/// Starts a checked topology on threads of this process.
///
/// # Errors
/// [`StartError`]; what had begun to run is stopped.
pub fn start(
    spec: &TopologySpec,
    signatures: &Signatures,
    registry: &Arc<Registry>,
    services: Services,
    options: &Options,
) -> Result<Running, StartError> {
    let assembly = Assembly::new(spec, signatures, registry, services, options)?;
    let started = assembly.services.clock.now();
    let threads = Threads::start(&assembly)?;
    Ok(Running {
        assembly,
        threads,
        started,
    })
}

/// A running topology. Dropping it forces its end and waits for its threads.
pub struct Running {
    assembly: Assembly,
    threads: Arc<Threads>,
    started: Moment,
}

impl Running {
    /// Reads all counters. Takes each task's locks for a moment; once a second is fine.
    #[must_use]
    pub fn snapshot(&self) -> TopologySnapshot {
        self.assembly.snapshot(self.started)
    }

    /// Returns the memory that the topology's bounds add up to.
    #[must_use]
    pub const fn memory_bound(&self) -> MemoryBound {
        self.assembly.memory_bound
    }

    /// Returns the ends that lead to other workers; `None` unless [`Options::part`] was given.
    #[must_use]
    pub const fn ports(&self) -> Option<&Ports> {
        self.assembly.ports.as_ref()
    }

    /// Tells whether every bolt here has been prepared: what comes will be executed.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.assembly.is_ready()
    }

    /// Tells whether every spout here has ended: nothing of theirs is pending, and they are closed.
    #[must_use]
    pub fn spouts_have_ended(&self) -> bool {
        self.assembly.control.spouts_have_ended()
    }

    /// Has the spouts asked for tuples, again or, in a part of a topology, for the first time.
    pub fn activate(&self) {
        self.assembly.control.set_phase(Phase::Active);
    }

    /// Has the spouts asked for no more tuples; what is pending goes on.
    pub fn deactivate(&self) {
        self.assembly.control.set_phase(Phase::Inactive);
    }

    /// Begins to end the topology: spouts are asked for no more, bolts flush, and tasks end once nothing
    /// is pending, or when the setting `drain_timeout` is over. Returns at once.
    pub fn drain(&self) {
        self.assembly.drain();
    }

    /// Ends the topology now: what is pending fails as drained. Returns at once.
    pub fn force(&self) {
        self.assembly.control.set_phase(Phase::Forced);
    }

    /// Waits until the topology has ended, or for `at_most`; blocks the thread.
    ///
    /// `None` means that it still runs.
    #[must_use]
    pub fn wait(&self, at_most: Option<Duration>) -> Option<Result<(), RunError>> {
        if !self.assembly.control.wait(at_most) {
            return None;
        }
        self.threads.join();
        Some(
            self.assembly
                .control
                .failure()
                .map_or(Ok(()), |reason| Err(RunError { reason })),
        )
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.force();
        self.assembly.control.wait(None);
        self.threads.join();
    }
}

impl Assembly {
    pub(crate) fn snapshot(&self, started: Moment) -> TopologySnapshot {
        let now = self.services.clock.now();
        TopologySnapshot {
            topology: self.name.clone(),
            state: self.control.state(now),
            uptime: now.since(started),
            tasks: self.seats.iter().map(|seat| seat.snapshot(now)).collect(),
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        let mut bolts = self.seats.iter().filter(|seat| seat.kind == Kind::Bolt);
        bolts.all(|seat| seat.stats.begun.load(Ordering::Relaxed))
    }

    pub(crate) fn drain(&self) {
        let now = self.services.clock.now();
        self.control.drain(now + self.settings.drain_timeout.0);
    }
}
