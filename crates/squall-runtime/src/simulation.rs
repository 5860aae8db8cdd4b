//! A topology that runs on the caller's thread, in virtual time, in an order drawn from a seed.
//!
//! The tasks, ledgers and edges are those of a real run; only the threads and the clock are not. One
//! seed gives one interleaving, so that a failure can be run again.

use std::sync::Arc;
use std::time::Duration;

use squall_core::{Clock, ManualClock, Moment, Registry, TopologySpec};
use squall_plan::Signatures;

use crate::assembly::Assembly;
use crate::control::Phase;
use crate::ports::Ports;
use crate::running::RunError;
use crate::seat::Seat;
use crate::services::{Options, Services, StartError};
use crate::stats::TopologySnapshot;

/// A topology in virtual time.
pub struct Simulation {
    assembly: Assembly,
    clock: Arc<ManualClock>,
    rng: fastrand::Rng,
    started: Moment,
}

impl Simulation {
    /// Puts a topology together; nothing runs yet. The services' clock is replaced by `clock`.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn new(
        spec: &TopologySpec,
        signatures: &Signatures,
        registry: &Arc<Registry>,
        services: Services,
        options: &Options,
        clock: Arc<ManualClock>,
    ) -> Result<Self, StartError> {
        let seed = spec.settings.seed.unwrap_or(0);
        let services = Services {
            clock: clock.clone(),
            ..services
        };
        let assembly = Assembly::new(spec, signatures, registry, services, options)?;
        let started = clock.now();
        Ok(Self {
            assembly,
            clock,
            rng: fastrand::Rng::with_seed(seed),
            started,
        })
    }

    /// Runs one slice of a task that has something to do, picked at random. Returns false when there is
    /// none at the present time.
    pub fn step(&mut self) -> bool {
        let now = self.clock.now();
        let ready: Vec<&Arc<Seat>> = self
            .assembly
            .seats
            .iter()
            .filter(|seat| seat.is_ready(now))
            .collect();
        match self.rng.choice(ready) {
            Some(seat) => seat.run(now, &self.assembly.control),
            None => false,
        }
    }

    /// Runs until no task has anything to do at the present time. Doesn't return while a spout always
    /// has more.
    pub fn run_until_idle(&mut self) {
        while self.step() {}
    }

    /// Moves time on, stopping at each moment at which a task wants to be run.
    pub fn advance(&mut self, by: Duration) {
        let until = self.clock.now() + by;
        loop {
            self.run_until_idle();
            match self.next_due(until) {
                Some(due) => self.clock.set(due),
                None => break,
            }
        }
        self.clock.set(until);
        self.run_until_idle();
    }

    /// Moves time on until the topology has ended, at most by `at_most`. Returns whether it has.
    pub fn run_to_end(&mut self, at_most: Duration) -> bool {
        let until = self.clock.now() + at_most;
        loop {
            self.run_until_idle();
            match self.next_due(until) {
                _ if self.has_ended() => return true,
                Some(due) => self.clock.set(due),
                None => return false,
            }
        }
    }

    /// Reads all counters.
    #[must_use]
    pub fn snapshot(&self) -> TopologySnapshot {
        self.assembly.snapshot(self.started)
    }

    /// Returns the clock that tasks see.
    #[must_use]
    pub const fn clock(&self) -> &Arc<ManualClock> {
        &self.clock
    }

    /// See [`crate::Running::ports`].
    #[must_use]
    pub const fn ports(&self) -> Option<&Ports> {
        self.assembly.ports.as_ref()
    }

    /// See [`crate::Running::is_ready`].
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.assembly.is_ready()
    }

    /// See [`crate::Running::activate`].
    pub fn activate(&self) {
        self.assembly.control.set_phase(Phase::Active);
    }

    /// See [`crate::Running::deactivate`].
    pub fn deactivate(&self) {
        self.assembly.control.set_phase(Phase::Inactive);
    }

    /// See [`crate::Running::drain`].
    pub fn drain(&self) {
        self.assembly.drain();
    }

    /// See [`crate::Running::force`].
    pub fn force(&self) {
        self.assembly.control.set_phase(Phase::Forced);
    }

    /// Tells whether all tasks have ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.assembly.control.has_ended()
    }

    /// Returns why the topology failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<RunError> {
        self.assembly
            .control
            .failure()
            .map(|reason| RunError { reason })
    }

    /// Returns the next moment at which a task wants to be run, if that is not after `until`.
    #[must_use]
    pub fn next_due(&self, until: Moment) -> Option<Moment> {
        let due = self
            .assembly
            .seats
            .iter()
            .filter_map(|seat| seat.due())
            .min();
        due.filter(|due| *due <= until)
    }
}
