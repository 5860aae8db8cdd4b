//! Where a topology's workers run, and why there.

use std::collections::HashSet;

use squall_core::engine::WorkerIdx;
use squall_core::{SupervisorId, TaskId, TopologyId};

use crate::address::Address;
use crate::bounds::{MAX_TASKS, MAX_WORKERS};
use crate::check;
use crate::field::{At, FieldError};
use crate::names::{supervisor_id, topology_id};
use crate::note::Note;
use crate::tasks;
use crate::wire;

/// The most workers, as the length of a list.
const MAX_PLACED: usize = MAX_WORKERS as usize;

/// Where a topology runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The topology.
    pub topology: TopologyId,
    /// Raised with each change, from 1, by one counter of the whole cluster.
    pub version: u64,
    /// The placed workers in the order of their indexes: at most [`MAX_WORKERS`]. No task, slot or address
    /// stands in it twice.
    pub workers: Vec<WorkerPlacement>,
}

/// Where a worker runs and which tasks are its.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerPlacement {
    /// Which worker.
    pub worker: WorkerIdx,
    /// Whose slot it runs in.
    pub supervisor: SupervisorId,
    /// The address under which its peers reach it. Its port is the slot's.
    pub address: Address,
    /// Its tasks in the order of their ids, at least one.
    pub tasks: Vec<TaskId>,
    /// The assignment version in which it last moved: 1 to the assignment's.
    pub placement_epoch: u64,
}

/// An assignment, explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where the workers go.
    pub assignment: Assignment,
    /// Why there.
    pub reasons: Vec<PlacementReason>,
    /// What has no place.
    pub unplaced: Vec<Unplaced>,
}

/// Why a worker was placed where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementReason {
    /// Which worker.
    pub worker: WorkerIdx,
    /// Why.
    pub reason: Note,
}

/// Tasks that have no place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unplaced {
    /// Which worker's.
    pub worker: WorkerIdx,
    /// The tasks in the order of their ids.
    pub tasks: Vec<TaskId>,
    /// Why, and what would give them a place.
    pub reason: Note,
}

impl Assignment {
    /// Returns a worker's placement; none if it has none.
    #[must_use]
    pub fn worker(&self, idx: WorkerIdx) -> Option<&WorkerPlacement> {
        let found = self
            .workers
            .binary_search_by_key(&idx, |placement| placement.worker);
        found.ok().and_then(|place| self.workers.get(place))
    }

    /// Iterates over the workers in the slots of one supervisor.
    pub fn workers_of<'a>(
        &'a self,
        supervisor: &'a SupervisorId,
    ) -> impl Iterator<Item = &'a WorkerPlacement> {
        self.workers
            .iter()
            .filter(move |placement| placement.supervisor == *supervisor)
    }
}

impl Assignment {
    /// Checks that the field `assignment` belongs to the topology beside it.
    pub(crate) fn check_is_of(&self, topology: &TopologyId) -> Result<(), FieldError> {
        if self.topology == *topology {
            return Ok(());
        }
        let (path, found) = ("assignment.topology_id", self.topology.as_str());
        Err(FieldError::of_text(path, topology.as_str(), found))
    }
}

impl WorkerPlacement {
    /// Returns the TCP port of its slot.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }
}

impl TryFrom<wire::Assignment> for Assignment {
    type Error = FieldError;

    fn try_from(wire: wire::Assignment) -> Result<Self, FieldError> {
        let version = check::number("version", wire.version, 1..=u64::MAX)?;
        let topology = topology_id("topology_id", wire.topology_id)?;
        let workers: Vec<WorkerPlacement> = check::list("workers", wire.workers, 0..=MAX_PLACED)?;
        let mut seen = vec![false; MAX_TASKS as usize];
        let mut next = 0;
        for (place, worker) in workers.iter().enumerate() {
            check_worker(worker, next, version, &mut seen).at_idx("workers", place)?;
            next = worker.worker.0 + 1;
        }
        check_slots(&workers)?;
        Ok(Self {
            topology,
            version,
            workers,
        })
    }
}

/// Checks a worker against those before it.
fn check_worker(
    worker: &WorkerPlacement,
    next: u32,
    version: u64,
    seen: &mut [bool],
) -> Result<(), FieldError> {
    if worker.worker.0 < next {
        let expected = format!("the order of the indexes, at least {next}");
        return Err(FieldError::new("worker_idx", expected, worker.worker));
    }
    check::number("placement_epoch", worker.placement_epoch, 1..=version)?;
    for task in &worker.tasks {
        if seen
            .get_mut(task.idx())
            .is_none_or(|seen| std::mem::replace(seen, true))
        {
            let expected = "tasks that no worker before has";
            return Err(FieldError::new("tasks", expected, task));
        }
    }
    Ok(())
}

fn check_slots(workers: &[WorkerPlacement]) -> Result<(), FieldError> {
    let addresses = workers.iter().map(|worker| &worker.address);
    check::distinct("workers", addresses, "address")?;
    let slots = workers
        .iter()
        .map(|worker| (&worker.supervisor, worker.port()));
    check::distinct("workers", slots, "slot")
}

impl From<Assignment> for wire::Assignment {
    fn from(assignment: Assignment) -> Self {
        Self {
            topology_id: assignment.topology.to_string(),
            version: assignment.version,
            workers: assignment.workers.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::WorkerPlacement> for WorkerPlacement {
    type Error = FieldError;

    fn try_from(wire: wire::WorkerPlacement) -> Result<Self, FieldError> {
        let tasks = tasks::tasks("tasks", &wire.tasks)?;
        check::within("tasks", tasks.len(), &(1..=MAX_TASKS as usize), "tasks")?;
        Ok(Self {
            worker: check::worker_idx("worker_idx", wire.worker_idx)?,
            supervisor: supervisor_id(&wire.supervisor_id).at("supervisor_id")?,
            address: wire.address.try_into().at("address")?,
            tasks,
            placement_epoch: wire.placement_epoch,
        })
    }
}

impl From<WorkerPlacement> for wire::WorkerPlacement {
    fn from(placement: WorkerPlacement) -> Self {
        Self {
            worker_idx: placement.worker.0,
            supervisor_id: placement.supervisor.to_string(),
            address: placement.address.into(),
            tasks: tasks::ranges(placement.tasks),
            placement_epoch: placement.placement_epoch,
        }
    }
}

impl TryFrom<wire::Plan> for Plan {
    type Error = FieldError;

    fn try_from(wire: wire::Plan) -> Result<Self, FieldError> {
        let plan = Self {
            assignment: check::required("assignment", wire.assignment)?,
            reasons: check::list("reasons", wire.reasons, 0..=MAX_PLACED)?,
            unplaced: check::list("unplaced", wire.unplaced, 0..=MAX_PLACED)?,
        };
        let placed: HashSet<WorkerIdx> = plan
            .assignment
            .workers
            .iter()
            .map(|placement| placement.worker)
            .collect();
        for (idx, unplaced) in plan.unplaced.iter().enumerate() {
            if placed.contains(&unplaced.worker) {
                let error = FieldError::new("worker_idx", "one without a place", unplaced.worker);
                return Err(error).at_idx("unplaced", idx);
            }
        }
        Ok(plan)
    }
}

impl From<Plan> for wire::Plan {
    fn from(plan: Plan) -> Self {
        Self {
            assignment: Some(plan.assignment.into()),
            reasons: plan.reasons.into_iter().map(Into::into).collect(),
            unplaced: plan.unplaced.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::PlacementReason> for PlacementReason {
    type Error = FieldError;

    fn try_from(wire: wire::PlacementReason) -> Result<Self, FieldError> {
        Ok(Self {
            worker: check::worker_idx("worker_idx", wire.worker_idx)?,
            reason: Note::checked("reason", wire.reason)?,
        })
    }
}

impl From<PlacementReason> for wire::PlacementReason {
    fn from(reason: PlacementReason) -> Self {
        Self {
            worker_idx: reason.worker.0,
            reason: reason.reason.into(),
        }
    }
}

impl TryFrom<wire::Unplaced> for Unplaced {
    type Error = FieldError;

    fn try_from(wire: wire::Unplaced) -> Result<Self, FieldError> {
        Ok(Self {
            worker: check::worker_idx("worker_idx", wire.worker_idx)?,
            tasks: tasks::tasks("tasks", &wire.tasks)?,
            reason: Note::checked("reason", wire.reason)?,
        })
    }
}

impl From<Unplaced> for wire::Unplaced {
    fn from(unplaced: Unplaced) -> Self {
        Self {
            worker_idx: unplaced.worker.0,
            tasks: tasks::ranges(unplaced.tasks),
            reason: unplaced.reason.into(),
        }
    }
}
