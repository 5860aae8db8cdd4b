//! One slot's state machine.
//!
//! ```text
//!   Empty --order--> Fetching --> Launching --> Alive --exit--> Waiting --> Fetching ...
//!     ^                 ^                        |
//!     |                 |                        | other order, silence, drain
//!     +----- exit ------+------- exit ------- Stopping: drain, SIGTERM, SIGKILL
//! ```
//! Only `Alive` and `Stopping` have a process, `Launching` is about to, and nothing but the news that
//! the process is gone leads out of them.
//!
//! **Invariant:** never a twin: [`Effect::Launch`] is asked for only when every earlier launch has failed
//! or its process is gone, and with a higher incarnation than all before.

mod view;

use std::time::Duration;

use fastrand::Rng;
use squall_core::{Fence, Moment};
use squall_proto::{Cookie, Refusal, Sha256};

use super::event::{Effect, Event, Fault, Launch, Process, Work};
use super::limits::Limits;
use super::restarts::Restarts;
use super::worker::{Stage, Stopping, Worker};

/// How often a slot looks at the time while it has a worker.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// A look at the time that comes this much too late means that the supervisor stood still itself.
const STALL: Duration = Duration::from_secs(2);

/// A place for one worker.
#[derive(Clone, Debug)]
pub struct Slot {
    limits: Limits,
    rng: Rng,
    state: State,
    wanted: Option<Work>,
    /// The supervisor ends: nothing is started any more.
    draining: bool,
    /// The highest incarnation given so far.
    incarnation: u64,
    /// The last one that was given since the order; 0 if none was.
    started: u64,
    restarts: Restarts,
    reason: Option<String>,
}

#[derive(Clone, Debug)]
enum State {
    Empty,
    /// What is wanted has failed; the next attempt begins at that moment.
    Waiting(Moment),
    Fetching,
    Launching(Launch),
    Alive(Worker),
    Stopping(Stopping),
}

impl Slot {
    /// Makes an empty slot; `incarnation` is the highest that was ever given in it.
    #[must_use]
    pub fn new(incarnation: u64, limits: Limits, seed: u64) -> Self {
        Self {
            limits,
            rng: Rng::with_seed(seed),
            state: State::Empty,
            wanted: None,
            draining: false,
            incarnation,
            started: 0,
            restarts: Restarts::default(),
            reason: None,
        }
    }

    /// Takes over a worker that runs already, started by an earlier supervisor process: until the first
    /// order what it runs is what is wanted.
    #[must_use]
    pub fn adopt(mut self, launch: Launch, process: Process, now: Moment) -> Self {
        self.incarnation = self.incarnation.max(launch.incarnation);
        self.started = launch.incarnation;
        self.wanted = Some(launch.work.clone());
        self.state = State::Alive(Worker::new(launch, process, now));
        self
    }

    /// Takes what happened and says what to do.
    pub fn step(&mut self, event: Event, now: Moment) -> Vec<Effect> {
        let before = self.view();
        let mut effects = Vec::new();
        self.take(event, now, &mut effects);
        self.settle(now, &mut effects);
        if self.view() != before {
            effects.push(Effect::Report);
        }
        effects
    }

    /// Returns when [`Event::Tick`] is due, if time alone can change anything.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        match &self.state {
            State::Empty | State::Fetching | State::Launching(_) => None,
            State::Waiting(until) => Some(*until),
            State::Alive(worker) => {
                let silent = worker.heard + self.patience(worker);
                Some(silent.min(worker.checked + CHECK_INTERVAL))
            }
            State::Stopping(stopping) => Some(stopping.until),
        }
    }

    fn take(&mut self, event: Event, now: Moment, effects: &mut Vec<Effect>) {
        match event {
            Event::Order(work) => self.ordered(work),
            Event::Drains => self.drains(),
            Event::Fetched(binary) if self.fetches(binary) => self.launch(effects),
            Event::FetchFailed {
                binary,
                reason,
                fault,
            } if self.fetches(binary) => self.fetch_failed(reason, fault, now),
            Event::Fetched(_) | Event::FetchFailed { .. } => {}
            Event::Spawned(process) => self.spawned(process, now, effects),
            Event::LaunchFailed { reason } => self.launch_failed(reason, now, effects),
            Event::Attended { cookie, fence } => effects.push(self.attended(cookie, fence, now)),
            Event::Reported {
                cookie,
                ready,
                drained,
            } => self.reported(cookie, ready, drained, now),
            Event::Exited { process, reason } => self.exited(process, reason, now, effects),
            Event::Tick => self.tick(now, effects),
            Event::Drain => self.draining = true,
        }
    }

    /// Goes on with whatever the state and the wish now ask for.
    fn settle(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let wanted = self.wanted().cloned();
        match &mut self.state {
            State::Empty | State::Waiting(_) | State::Fetching if wanted.is_none() => {
                self.state = State::Empty;
            }
            State::Empty => self.fetch(effects),
            State::Waiting(until) if *until <= now => self.fetch(effects),
            State::Alive(worker) if wanted.as_ref() != Some(&worker.launch.work) => {
                let worker = worker.clone();
                self.stop(worker, None, now, effects);
            }
            State::Stopping(stopping)
                if stopping.stage == Stage::Draining && stopping.worker.drained =>
            {
                stopping.next_stage(&self.limits, now, effects);
            }
            State::Waiting(_)
            | State::Fetching
            | State::Launching(_)
            | State::Alive(_)
            | State::Stopping(_) => {}
        }
    }

    fn ordered(&mut self, work: Option<Work>) {
        if work == self.wanted {
            return;
        }
        self.wanted = work;
        self.started = 0;
        self.restarts = Restarts::default();
        self.reason = None;
        match &mut self.state {
            State::Waiting(_) | State::Fetching => self.state = State::Empty,
            // Whatever the old worker did wrong is nothing to the new one.
            State::Stopping(stopping) => stopping.fault = None,
            State::Empty | State::Launching(_) | State::Alive(_) => {}
        }
    }

    fn drains(&mut self) {
        let wanted = self.wanted.clone();
        if let State::Alive(worker) = &mut self.state
            && wanted.as_ref() == Some(&worker.launch.work)
        {
            worker.drains = true;
        }
    }

    fn fetch(&mut self, effects: &mut Vec<Effect>) {
        if let Some(work) = self.wanted() {
            effects.push(Effect::Fetch(work.binary));
            self.state = State::Fetching;
        }
    }

    /// Says whether the answer to a fetch is the one that is waited for.
    fn fetches(&self, binary: Sha256) -> bool {
        let wanted = |work: &Work| work.binary == binary;
        matches!(self.state, State::Fetching) && self.wanted.as_ref().is_some_and(wanted)
    }

    fn fetch_failed(&mut self, reason: String, fault: Fault, now: Moment) {
        match fault {
            Fault::Here => {
                self.restarts.met();
                self.failed(reason, false, now);
            }
            Fault::Away => {
                let until = self.restarts.book_away(&self.limits, &mut self.rng, now);
                self.reason = Some(reason);
                self.state = State::Waiting(until);
            }
        }
    }

    fn launch(&mut self, effects: &mut Vec<Effect>) {
        let Some(work) = self.wanted().cloned() else {
            return;
        };
        self.restarts.met();
        self.incarnation = self.incarnation.saturating_add(1);
        self.started = self.incarnation;
        let launch = Launch {
            work,
            incarnation: self.incarnation,
            cookie: Cookie::new(self.rng.u128(..).to_be_bytes()),
        };
        self.state = State::Launching(launch.clone());
        effects.push(Effect::Persist(self.record()));
        effects.push(Effect::Launch(launch));
    }

    fn spawned(&mut self, process: Process, now: Moment, effects: &mut Vec<Effect>) {
        if let State::Launching(launch) = &self.state {
            self.state = State::Alive(Worker::new(launch.clone(), process, now));
            effects.push(Effect::Persist(self.record()));
        }
    }

    fn launch_failed(&mut self, reason: String, now: Moment, effects: &mut Vec<Effect>) {
        let State::Launching(launch) = &self.state else {
            return;
        };
        if Some(&launch.work) == self.wanted.as_ref() {
            self.failed(reason, false, now);
        } else {
            self.state = State::Empty;
        }
        effects.push(Effect::Persist(self.record()));
    }

    fn attended(&mut self, cookie: Cookie, fence: Fence, now: Moment) -> Effect {
        let Some(worker) = self.worker_mut() else {
            return Effect::Refuse(Refusal::unknown_worker("no worker runs in this slot"));
        };
        if worker.launch.cookie != cookie {
            let refusal = Refusal::unknown_worker("another worker has taken the slot");
            return Effect::Refuse(refusal);
        }
        let own = worker.launch.fence();
        if own != fence {
            return Effect::Refuse(Refusal::stale_fence(fence, own));
        }
        worker.attended = true;
        worker.heard = now;
        Effect::Accept
    }

    fn reported(&mut self, cookie: Cookie, ready: bool, drained: bool, now: Moment) {
        let Some(worker) = self.worker_mut() else {
            return;
        };
        if worker.launch.cookie != cookie {
            return;
        }
        worker.heard = now;
        worker.drained = drained;
        if !ready {
            worker.ready_since = None;
        } else if worker.ready_since.is_none() {
            worker.ready_since = Some(now);
        }
    }

    fn exited(&mut self, gone: Process, reason: String, now: Moment, effects: &mut Vec<Effect>) {
        match &self.state {
            State::Alive(worker) if worker.process == gone => {
                let steady = worker.is_steady(&self.limits, now);
                self.failed(reason, steady, now);
            }
            State::Stopping(stopping) if stopping.worker.process == gone => {
                let steady = stopping.worker.is_steady(&self.limits, now);
                match stopping.fault.clone() {
                    Some(fault) => self.failed(fault, steady, now),
                    None => self.state = State::Empty,
                }
            }
            _ => return,
        }
        effects.push(Effect::Persist(self.record()));
    }

    /// Books a failure of what is wanted and waits until the next attempt.
    fn failed(&mut self, reason: String, steady: bool, now: Moment) {
        self.reason = Some(reason);
        let until = self.restarts.book(steady, &self.limits, &mut self.rng, now);
        self.state = State::Waiting(until);
    }

    fn tick(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let patience = self.worker().map(|worker| self.patience(worker));
        match &mut self.state {
            State::Alive(worker) => {
                let late = now.since(worker.checked + CHECK_INTERVAL);
                if late > STALL {
                    // What the worker said meanwhile still lies in a socket: our sleep isn't its silence.
                    worker.heard = (worker.heard + late).min(now);
                }
                worker.checked = now;
                let patience = patience.unwrap_or_default();
                if worker.heard + patience <= now {
                    let fault = format!("said nothing for {} s: killed", patience.as_secs());
                    let worker = worker.clone();
                    self.stop(worker, Some(fault), now, effects);
                }
            }
            State::Stopping(stopping) if stopping.until <= now => {
                stopping.next_stage(&self.limits, now, effects);
            }
            _ => {}
        }
    }

    /// Begins to end the worker: at once if something is wrong with it, gently otherwise.
    fn stop(
        &mut self,
        worker: Worker,
        fault: Option<String>,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        // One that nimbus has had drain, and doesn't want any more, has had its time.
        let is_over = worker.drains && self.wanted.as_ref() != Some(&worker.launch.work);
        let may_drain = worker.attended && !worker.drained && !is_over && fault.is_none();
        let is_faulty = fault.is_some();
        let mut stopping = Stopping {
            worker,
            stage: Stage::Draining,
            until: now + self.limits.drain_timeout,
            fault,
        };
        if may_drain {
            effects.push(Effect::AskDrain);
        } else {
            if is_faulty {
                stopping.stage = Stage::Terminating;
            }
            stopping.next_stage(&self.limits, now, effects);
        }
        self.state = State::Stopping(stopping);
    }

    /// What is to run: nothing while the supervisor ends.
    const fn wanted(&self) -> Option<&Work> {
        if self.draining {
            None
        } else {
            self.wanted.as_ref()
        }
    }

    const fn patience(&self, worker: &Worker) -> Duration {
        if worker.attended {
            self.limits.silence
        } else {
            self.limits.start_timeout
        }
    }

    const fn worker(&self) -> Option<&Worker> {
        match &self.state {
            State::Alive(worker) => Some(worker),
            State::Stopping(stopping) => Some(&stopping.worker),
            State::Empty | State::Waiting(_) | State::Fetching | State::Launching(_) => None,
        }
    }

    const fn worker_mut(&mut self) -> Option<&mut Worker> {
        match &mut self.state {
            State::Alive(worker) => Some(worker),
            State::Stopping(stopping) => Some(&mut stopping.worker),
            State::Empty | State::Waiting(_) | State::Fetching | State::Launching(_) => None,
        }
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
