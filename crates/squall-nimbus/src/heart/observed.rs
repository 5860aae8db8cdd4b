//! What supervisors said since this nimbus started. None of it is stored: it comes again by itself.

use std::collections::{BTreeMap, BTreeSet};

use squall_core::{Fence, Moment, SupervisorId, TopologyId};
use squall_plan::schedule::{Liveness, Reason};
use squall_proto::{SlotState, SlotWorker};

use super::desired::{Known, Record};
use super::limits::Limits;

/// What is seen of the cluster.
#[derive(Clone, Debug)]
pub struct Observed {
    /// When nimbus started, or went on after a standstill or after it was cut off: whom it knows gets time
    /// to come back.
    pub grace_from: Moment,
    /// Every supervisor that is known was lost when last looked: more likely nimbus is.
    pub cut_off: bool,
    /// When the last tick was.
    pub last_tick: Moment,
    /// The supervisors that attended since nimbus started.
    pub supervisors: BTreeMap<SupervisorId, Seen>,
    /// Since when a topology drains, by its number; a new nimbus begins to count anew.
    pub drains_since: BTreeMap<u64, Moment>,
    /// Where workers crash-looped and when that was last said, by topology and index.
    pub shunned: BTreeMap<(u64, usize), BTreeMap<SupervisorId, Moment>>,
    /// How often workers were started again lately, by topology and index.
    pub restarts: BTreeMap<(u64, usize), Restarts>,
    /// Why workers are where they are, by topology.
    pub reasons: BTreeMap<u64, Vec<Reason>>,
    /// The topologies that were last ordered as having every worker ready.
    pub all_ready: BTreeSet<u64>,
}

/// How often a worker was started again, counted from some time on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restarts {
    /// The placement that is counted.
    pub epoch: u64,
    /// Since when.
    pub since: Moment,
    /// How often it had been started again by then.
    pub n_before: u32,
}

/// A supervisor as it was last heard of.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When.
    pub last_heard: Moment,
    /// It is about to end.
    pub draining: bool,
    /// What its slots do, by port, empty ones left out; `None` before its first report.
    pub slots: Option<BTreeMap<u16, SlotReport>>,
}

/// What a slot does, as far as something is decided by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotReport {
    /// Whose worker is in it.
    pub topology: TopologyId,
    /// Which worker.
    pub worker_idx: usize,
    /// Which copy of it.
    pub fence: Fence,
    /// How it is.
    pub state: SlotReportState,
}

/// How a worker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotReportState {
    /// It is being fetched, started or stopped.
    Changing,
    /// It runs.
    Running {
        /// All its tasks and links stand.
        ready: bool,
        /// It drains and has nothing pending any more.
        drained: bool,
        /// The version of the assignment that it last heard of.
        version: u64,
    },
    /// It has ended, and waits for its next start.
    Failed {
        /// How often it was started again in this slot.
        n_restarts: u32,
        /// Its supervisor calls it crash-looping.
        crash_looping: bool,
    },
}

impl Observed {
    /// Starts to look.
    #[must_use]
    pub const fn new(now: Moment) -> Self {
        Self {
            grace_from: now,
            cut_off: false,
            last_tick: now,
            supervisors: BTreeMap::new(),
            drains_since: BTreeMap::new(),
            shunned: BTreeMap::new(),
            restarts: BTreeMap::new(),
            reasons: BTreeMap::new(),
            all_ready: BTreeSet::new(),
        }
    }

    /// Judges a supervisor.
    #[must_use]
    pub fn liveness(
        &self,
        id: &SupervisorId,
        known: &Known,
        now: Moment,
        limits: &Limits,
    ) -> Liveness {
        let seen = self.supervisors.get(id);
        if self.is_lost(id, now, limits) {
            Liveness::Lost
        } else if known.draining || seen.is_some_and(|seen| seen.draining) {
            Liveness::Draining
        } else {
            Liveness::Live
        }
    }

    /// Tells whether a supervisor has been silent for too long.
    #[must_use]
    pub fn is_lost(&self, id: &SupervisorId, now: Moment, limits: &Limits) -> bool {
        let heard = self.supervisors.get(id).map(|seen| seen.last_heard);
        match heard.filter(|heard| *heard >= self.grace_from) {
            Some(heard) => now.since(heard) > limits.supervisor_timeout.0,
            None => now.since(self.grace_from) > limits.start_grace.0,
        }
    }

    /// Gives everybody time to come back: nimbus has just started, stood still or was cut off.
    pub(super) const fn begin_grace(&mut self, now: Moment) {
        self.grace_from = now;
        self.cut_off = false;
    }

    /// Returns what was last said of a worker's present copy; `None` if nothing, or if its supervisor is lost.
    #[must_use]
    pub fn report(
        &self,
        record: &Record,
        worker_idx: usize,
        now: Moment,
        limits: &Limits,
    ) -> Option<&SlotReport> {
        let worker = record.workers.get(worker_idx)?;
        let slot = worker.slot.as_ref()?;
        let seen = self.supervisors.get(&slot.supervisor)?;
        if now.since(seen.last_heard) > limits.supervisor_timeout.0 {
            return None;
        }
        let report = seen.slots.as_ref()?.get(&slot.port)?;
        let is_it = report.topology == *record.id() && report.worker_idx == worker_idx;
        (is_it && worker.is_copy(report.fence)).then_some(report)
    }

    /// Tells whether every worker of a topology has a slot and is ready under its present assignment.
    #[must_use]
    pub fn is_all_ready(&self, record: &Record, now: Moment, limits: &Limits) -> bool {
        (0..record.workers.len()).all(|worker_idx| self.is_ready(record, worker_idx, now, limits))
    }

    /// Tells whether one worker is ready under its topology's present assignment.
    #[must_use]
    pub fn is_ready(
        &self,
        record: &Record,
        worker_idx: usize,
        now: Moment,
        limits: &Limits,
    ) -> bool {
        let report = self.report(record, worker_idx, now, limits);
        report.is_some_and(|report| match report.state {
            SlotReportState::Running { ready, version, .. } => ready && version == record.version,
            SlotReportState::Changing | SlotReportState::Failed { .. } => false,
        })
    }

    /// Tells whether a worker has crash-looped lately where it is: it had nowhere else to go.
    #[must_use]
    pub fn crash_loops(&self, record: &Record, worker_idx: usize) -> bool {
        let worker = record.workers.get(worker_idx);
        let slot = worker.and_then(|worker| worker.slot.as_ref());
        let shunned = self.shunned.get(&(record.number, worker_idx));
        slot.zip(shunned)
            .is_some_and(|(slot, shunned)| shunned.contains_key(&slot.supervisor))
    }

    /// Returns the supervisors that a worker shuns.
    #[must_use]
    pub fn shunned_by(&self, number: u64, worker_idx: usize) -> Vec<SupervisorId> {
        let shunned = self.shunned.get(&(number, worker_idx));
        shunned
            .into_iter()
            .flat_map(BTreeMap::keys)
            .cloned()
            .collect()
    }

    /// Tells whether a worker crash-loops: its supervisor says so, or it was started again too often in a
    /// while.
    pub(super) fn is_crash_looping(
        &mut self,
        worker: (u64, usize),
        report: &SlotReport,
        (now, limits): (Moment, &Limits),
    ) -> bool {
        let SlotReportState::Failed {
            n_restarts,
            crash_looping,
        } = report.state
        else {
            return false;
        };
        let begun = Restarts {
            epoch: report.fence.placement_epoch,
            since: now,
            n_before: n_restarts,
        };
        let counted = self.restarts.entry(worker).or_insert_with(|| begun.clone());
        if counted.epoch != begun.epoch || now.since(counted.since) > limits.shun_for.0 {
            *counted = begun;
        }
        crash_looping || n_restarts.saturating_sub(counted.n_before) >= limits.max_restarts
    }

    /// Drops what belongs to a topology that is gone, or begins anew.
    pub(super) fn forget(&mut self, number: u64) {
        self.drains_since.remove(&number);
        self.reasons.remove(&number);
        self.all_ready.remove(&number);
        self.forgive(number);
    }

    /// Lets a topology's workers go everywhere again.
    pub(super) fn forgive(&mut self, number: u64) {
        self.shunned.retain(|(of, _), _| *of != number);
        self.restarts.retain(|(of, _), _| *of != number);
    }
}

impl From<&SlotWorker> for SlotReport {
    fn from(worker: &SlotWorker) -> Self {
        let state = match &worker.state {
            SlotState::Running(running) => SlotReportState::Running {
                ready: running.ready,
                drained: running.drained,
                version: running.assignment_version,
            },
            SlotState::Failed { crash_looping } => SlotReportState::Failed {
                n_restarts: worker.n_restarts,
                crash_looping: *crash_looping,
            },
            SlotState::Fetching | SlotState::Starting { .. } | SlotState::Stopping { .. } => {
                SlotReportState::Changing
            }
        };
        Self {
            topology: worker.topology.clone(),
            worker_idx: usize::try_from(worker.worker.0).unwrap_or(usize::MAX),
            fence: worker.fence,
            state,
        }
    }
}
