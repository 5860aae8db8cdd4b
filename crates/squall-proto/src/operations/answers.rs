//! What nimbus answers to operators about topologies.

use squall_core::{SupervisorId, TopologyId};

use crate::assignment::Plan;
use crate::bounds::{MAX_TOPOLOGIES, MAX_WORKERS};
use crate::check;
use crate::counters::Counters;
use crate::field::{At, FieldError};
use crate::names::{supervisor_id, topology_id};
use crate::slot::SlotStatus;
use crate::topology::{Phase, Topology, TopologyState};
use crate::wire;

/// What was, or would be, submitted or moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The topology; none after the dry run of a submit.
    pub topology: Option<TopologyId>,
    /// Where its workers go.
    pub plan: Plan,
}

/// A topology in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopologySummary {
    /// Its id.
    pub topology: TopologyId,
    /// What it is to be.
    pub state: TopologyState,
    /// What its workers do.
    pub phase: Phase,
    /// How many tasks it has.
    pub n_tasks: u32,
    /// How many workers it has.
    pub n_workers: u32,
    /// How many of those are ready.
    pub n_workers_ready: u32,
    /// How many of the others end again and again where they are.
    pub n_workers_crash_looping: u32,
    /// How many tasks have no place.
    pub n_tasks_unplaced: u32,
    /// When it was submitted, in milliseconds since 1970-01-01 UTC.
    pub submitted_unix_ms: u64,
}

/// All about a topology.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// What was submitted.
    pub topology: Topology,
    /// Its line in the list.
    pub summary: TopologySummary,
    /// Where it runs, and why there.
    pub plan: Plan,
    /// How its workers fare: at most [`MAX_WORKERS`].
    pub workers: Vec<ReportedSlot>,
    /// What they did, added up.
    pub counters: Counters,
}

/// A slot as its supervisor last told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedSlot {
    /// The supervisor.
    pub supervisor: SupervisorId,
    /// The slot, without its counters.
    pub slot: SlotStatus,
    /// How old that is.
    pub age_ms: u64,
}

/// Calls that are answered with the id of the topology and nothing else.
macro_rules! promises {
    ($($response:ident),+) => {
        $(
            impl TryFrom<wire::$response> for TopologyId {
                type Error = FieldError;

                fn try_from(wire: wire::$response) -> Result<Self, FieldError> {
                    topology_id("topology_id", wire.topology_id)
                }
            }

            impl From<TopologyId> for wire::$response {
                fn from(id: TopologyId) -> Self {
                    Self { topology_id: id.to_string() }
                }
            }
        )+
    };
}

promises!(KillResponse, SetActiveResponse);

impl TryFrom<wire::SubmitResponse> for Planned {
    type Error = FieldError;

    fn try_from(wire: wire::SubmitResponse) -> Result<Self, FieldError> {
        let topology = match wire.topology_id {
            id if id.is_empty() => None,
            id => Some(topology_id("topology_id", id)?),
        };
        let plan = check::required("plan", wire.plan)?;
        Ok(Self { topology, plan })
    }
}

impl From<Planned> for wire::SubmitResponse {
    fn from(planned: Planned) -> Self {
        Self {
            topology_id: planned
                .topology
                .map(|id| id.to_string())
                .unwrap_or_default(),
            plan: Some(planned.plan.into()),
        }
    }
}

impl TryFrom<wire::RebalanceResponse> for Planned {
    type Error = FieldError;

    fn try_from(wire: wire::RebalanceResponse) -> Result<Self, FieldError> {
        Ok(Self {
            topology: Some(topology_id("topology_id", wire.topology_id)?),
            plan: check::required("plan", wire.plan)?,
        })
    }
}

impl From<Planned> for wire::RebalanceResponse {
    fn from(planned: Planned) -> Self {
        let wire::SubmitResponse { topology_id, plan } = planned.into();
        Self { topology_id, plan }
    }
}

impl TryFrom<wire::ListTopologiesResponse> for Vec<TopologySummary> {
    type Error = FieldError;

    fn try_from(wire: wire::ListTopologiesResponse) -> Result<Self, FieldError> {
        check::list("topologies", wire.topologies, 0..=MAX_TOPOLOGIES)
    }
}

impl From<Vec<TopologySummary>> for wire::ListTopologiesResponse {
    fn from(topologies: Vec<TopologySummary>) -> Self {
        Self {
            topologies: topologies.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::TopologySummary> for TopologySummary {
    type Error = FieldError;

    fn try_from(wire: wire::TopologySummary) -> Result<Self, FieldError> {
        Ok(Self {
            topology: topology_id("topology_id", wire.topology_id)?,
            state: wire.state.try_into().at("state")?,
            phase: wire.phase.try_into().at("phase")?,
            n_tasks: wire.n_tasks,
            n_workers: wire.n_workers,
            n_workers_ready: wire.n_workers_ready,
            n_workers_crash_looping: wire.n_workers_crash_looping,
            n_tasks_unplaced: wire.n_tasks_unplaced,
            submitted_unix_ms: wire.submitted_unix_ms,
        })
    }
}

impl From<TopologySummary> for wire::TopologySummary {
    fn from(summary: TopologySummary) -> Self {
        Self {
            topology_id: summary.topology.to_string(),
            state: summary.state.into(),
            phase: summary.phase.into(),
            n_tasks: summary.n_tasks,
            n_workers: summary.n_workers,
            n_workers_ready: summary.n_workers_ready,
            n_workers_crash_looping: summary.n_workers_crash_looping,
            n_tasks_unplaced: summary.n_tasks_unplaced,
            submitted_unix_ms: summary.submitted_unix_ms,
        }
    }
}

impl TryFrom<wire::DescribeResponse> for Description {
    type Error = FieldError;

    fn try_from(wire: wire::DescribeResponse) -> Result<Self, FieldError> {
        Ok(Self {
            topology: check::required("topology", wire.topology)?,
            summary: check::required("summary", wire.summary)?,
            plan: check::required("plan", wire.plan)?,
            workers: check::list("workers", wire.workers, 0..=MAX_WORKERS as usize)?,
            counters: check::required("counters", wire.counters)?,
        })
    }
}

impl From<Description> for wire::DescribeResponse {
    fn from(description: Description) -> Self {
        Self {
            topology: Some(description.topology.into()),
            summary: Some(description.summary.into()),
            plan: Some(description.plan.into()),
            workers: description.workers.into_iter().map(Into::into).collect(),
            counters: Some(description.counters.into()),
        }
    }
}

impl TryFrom<wire::WorkerStatus> for ReportedSlot {
    type Error = FieldError;

    fn try_from(wire: wire::WorkerStatus) -> Result<Self, FieldError> {
        Ok(Self {
            supervisor: supervisor_id(&wire.supervisor_id).at("supervisor_id")?,
            slot: check::required("slot", wire.slot)?,
            age_ms: wire.age_ms,
        })
    }
}

impl From<ReportedSlot> for wire::WorkerStatus {
    fn from(reported: ReportedSlot) -> Self {
        Self {
            supervisor_id: reported.supervisor.to_string(),
            slot: Some(reported.slot.into()),
            age_ms: reported.age_ms,
        }
    }
}
