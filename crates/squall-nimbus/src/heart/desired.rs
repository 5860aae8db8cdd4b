//! What the cluster is to be: all that the store keeps.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use squall_core::engine::WorkerIdx;
use squall_core::{Fence, SupervisorId, TaskId, TopologyId};
use squall_plan::Layout;
use squall_plan::schedule::Slot;
use squall_proto::{
    Address, Assignment, Handshake, Parallelism, Phase, Resources, Topology, TopologyName,
    TopologyState, WorkerPlacement,
};

/// What the cluster is to be. Clones share what hasn't changed.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// The last assignment version that was given; one counter for all topologies.
    pub last_version: u64,
    /// The number of the last topology that was submitted.
    pub last_topology: u64,
    /// The topologies by number, that is in the order of their submission.
    pub topologies: BTreeMap<u64, Arc<Record>>,
    /// The supervisors that have ever attended and are not forgotten.
    pub supervisors: BTreeMap<SupervisorId, Arc<Known>>,
}

/// A topology.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its name.
    pub name: TopologyName,
    /// Its number in the cluster.
    pub number: u64,
    /// What was submitted, with the numbers of tasks that a rebalance has set. Its `n_workers` is how many
    /// were asked for; there may be fewer.
    pub topology: Topology,
    /// When, in milliseconds since 1970.
    pub submitted_unix_ms: u64,
    /// What follows from the spec and the numbers of tasks; without the components' configs.
    pub layout: Arc<Layout>,
    /// Its state.
    pub lifecycle: Lifecycle,
    /// Every worker of its assignment has been ready once since it was submitted or rebalanced.
    pub launched: bool,
    /// The version of its assignment: raised with each change.
    pub version: u64,
    /// Its workers by index; with their tasks every one is in here once.
    pub workers: Vec<Worker>,
}

/// One worker of an assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Its tasks in ascending order; at least one.
    pub tasks: Vec<TaskId>,
    /// Where it runs; `None` while there is no slot for it.
    pub slot: Option<Slot>,
    /// The version in which it last moved; 0 before it was placed.
    pub epoch: u64,
}

/// The state of a topology, with what it needs to leave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    /// Its spouts are asked for tuples.
    Active,
    /// They aren't.
    Inactive,
    /// It drains, then moves.
    Rebalancing {
        /// What it is afterwards.
        active: bool,
        /// How long it may drain.
        wait: Duration,
        /// How many workers it is to have.
        n_workers: NonZeroU32,
        /// The numbers of tasks that it is to have, where they aren't the spec's.
        parallelism: Parallelism,
    },
    /// It drains, then ends.
    Killed {
        /// How long it may drain.
        wait: Duration,
        /// It has drained: its workers are to end, and it is forgotten when they have.
        ending: bool,
    },
}

/// What stays known of a supervisor while it is away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// What it said of itself.
    pub handshake: Handshake,
    /// What its machine has.
    pub resources: Resources,
    /// Its own address; its slots have the same host.
    pub address: Address,
    /// The ports of its slots.
    pub slots: Vec<u16>,
    /// An operator had it drained.
    pub draining: bool,
}

impl Desired {
    /// Finds a topology by its name.
    #[must_use]
    pub fn named(&self, name: &TopologyName) -> Option<&Arc<Record>> {
        self.topologies.values().find(|record| record.name == *name)
    }

    /// Finds a topology by its id.
    #[must_use]
    pub fn topology(&self, id: &TopologyId) -> Option<&Arc<Record>> {
        let (_, number) = TopologyName::of_id(id).ok()?;
        self.topologies
            .get(&number)
            .filter(|record| record.topology.id == *id)
    }

    /// Returns the epoch of a worker's placement; `None` if it has none.
    #[must_use]
    pub fn placement_epoch(&self, id: &TopologyId, worker_idx: usize) -> Option<u64> {
        let worker = self.topology(id)?.workers.get(worker_idx)?;
        worker.slot.as_ref().map(|_| worker.epoch)
    }

    /// Returns the assignment of a topology: its workers that have slots, with their addresses.
    #[must_use]
    pub fn assignment(&self, record: &Record) -> Assignment {
        let placements = (0u32..).zip(&record.workers).filter_map(|(idx, worker)| {
            let slot = worker.slot.as_ref()?;
            let known = self.supervisors.get(&slot.supervisor)?;
            Some(WorkerPlacement {
                worker: WorkerIdx(idx),
                supervisor: slot.supervisor.clone(),
                address: known.address.with_port(slot.port).ok()?,
                tasks: worker.tasks.clone(),
                placement_epoch: worker.epoch,
            })
        });
        Assignment {
            topology: record.id().clone(),
            version: record.version,
            workers: placements.collect(),
        }
    }
}

impl Record {
    /// Returns the topology's id.
    #[must_use]
    pub const fn id(&self) -> &TopologyId {
        &self.topology.id
    }

    /// Returns the state by its name.
    #[must_use]
    pub const fn state(&self) -> TopologyState {
        match self.lifecycle {
            Lifecycle::Active => TopologyState::Active,
            Lifecycle::Inactive => TopologyState::Inactive,
            Lifecycle::Rebalancing { .. } => TopologyState::Rebalancing,
            Lifecycle::Killed { .. } => TopologyState::Killed,
        }
    }

    /// Returns what the workers are to do.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        match self.lifecycle {
            Lifecycle::Rebalancing { .. } | Lifecycle::Killed { .. } => Phase::Draining,
            Lifecycle::Active | Lifecycle::Inactive if !self.launched => Phase::Starting,
            Lifecycle::Active => Phase::Active,
            Lifecycle::Inactive => Phase::Inactive,
        }
    }

    /// Returns the topology as others are told of it: with the number of workers that it really has.
    #[must_use]
    pub fn told(&self) -> Topology {
        let n_workers = u32::try_from(self.workers.len())
            .ok()
            .and_then(NonZeroU32::new);
        Topology {
            n_workers: n_workers.unwrap_or(self.topology.n_workers),
            ..self.topology.clone()
        }
    }

    /// Tells whether the workers are to end, or have ended.
    #[must_use]
    pub const fn is_ending(&self) -> bool {
        matches!(self.lifecycle, Lifecycle::Killed { ending: true, .. })
    }

    /// Tells whether every worker has a slot.
    #[must_use]
    pub fn is_placed(&self) -> bool {
        self.workers.iter().all(|worker| worker.slot.is_some())
    }

    /// Returns how many tasks have no slot.
    #[must_use]
    pub fn n_tasks_unplaced(&self) -> usize {
        let unplaced = self.workers.iter().filter(|worker| worker.slot.is_none());
        unplaced.map(|worker| worker.tasks.len()).sum()
    }
}

impl Worker {
    /// Tells whether a copy with this fence is of the worker's latest placement.
    #[must_use]
    pub const fn is_copy(&self, fence: Fence) -> bool {
        fence.placement_epoch == self.epoch
    }
}
