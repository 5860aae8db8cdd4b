//! Reading workers' logs: from the command line to nimbus, and from nimbus to supervisors.

use prost::bytes::Bytes;
use squall_core::engine::WorkerIdx;
use squall_core::{ComponentId, TopologyId};

use crate::bounds::{MAX_CHUNK_BYTES, MAX_LOG_LINES};
use crate::check;
use crate::field::{At, FieldError};
use crate::hash::ClusterId;
use crate::names::{TopologyName, topology_id};
use crate::note::Note;
use crate::wire;

/// Asks nimbus for the logs of a topology.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TailLog {
    /// The topology's name.
    pub name: TopologyName,
    /// Only lines that name this component.
    pub component: Option<ComponentId>,
    /// How many of the last lines of each worker to begin with: at most [`MAX_LOG_LINES`].
    pub n_lines: u32,
    /// Go on with what is written from now on.
    pub follow: bool,
}

/// Asks a supervisor for the log of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TailWorkerLog {
    /// The cluster.
    pub cluster: ClusterId,
    /// The asking leader's epoch, from 1.
    pub leader_epoch: u64,
    /// The worker's topology.
    pub topology: TopologyId,
    /// Which of the topology's workers.
    pub worker: WorkerIdx,
    /// Only lines that name this component.
    pub component: Option<ComponentId>,
    /// How many of the last lines to begin with: at most [`MAX_LOG_LINES`].
    pub n_lines: u32,
    /// Go on with what is written from now on.
    pub follow: bool,
}

/// A piece of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPiece {
    /// Whose log.
    pub topology: TopologyId,
    /// Which worker's.
    pub worker: WorkerIdx,
    /// Whole lines with their ends, or a part of one that is longer: at most [`MAX_CHUNK_BYTES`].
    pub text: Bytes,
    /// Why this worker's log can't be read further.
    pub trouble: Option<Note>,
}

/// Takes a component's name that may be absent.
fn component(name: String) -> Result<Option<ComponentId>, FieldError> {
    if name.is_empty() {
        return Ok(None);
    }
    check::component("component_id", name).map(Some)
}

/// Makes what [`component`] takes.
fn component_to_wire(component: Option<ComponentId>) -> String {
    component.map(|id| id.to_string()).unwrap_or_default()
}

fn n_lines(n_lines: u32) -> Result<u32, FieldError> {
    check::number("n_lines", n_lines, 0..=MAX_LOG_LINES)
}

impl TryFrom<wire::TailLogRequest> for TailLog {
    type Error = FieldError;

    fn try_from(wire: wire::TailLogRequest) -> Result<Self, FieldError> {
        Ok(Self {
            name: wire.name.try_into().at("name")?,
            component: component(wire.component_id)?,
            n_lines: n_lines(wire.n_lines)?,
            follow: wire.follow,
        })
    }
}

impl From<TailLog> for wire::TailLogRequest {
    fn from(tail: TailLog) -> Self {
        Self {
            name: tail.name.into(),
            component_id: component_to_wire(tail.component),
            n_lines: tail.n_lines,
            follow: tail.follow,
        }
    }
}

impl TryFrom<wire::TailWorkerLogRequest> for TailWorkerLog {
    type Error = FieldError;

    fn try_from(wire: wire::TailWorkerLogRequest) -> Result<Self, FieldError> {
        Ok(Self {
            cluster: wire.cluster_id.parse().at("cluster_id")?,
            leader_epoch: check::number("leader_epoch", wire.leader_epoch, 1..=u64::MAX)?,
            topology: topology_id("topology_id", wire.topology_id)?,
            worker: check::worker_idx("worker_idx", wire.worker_idx)?,
            component: component(wire.component_id)?,
            n_lines: n_lines(wire.n_lines)?,
            follow: wire.follow,
        })
    }
}

impl From<TailWorkerLog> for wire::TailWorkerLogRequest {
    fn from(tail: TailWorkerLog) -> Self {
        Self {
            cluster_id: tail.cluster.to_string(),
            leader_epoch: tail.leader_epoch,
            topology_id: tail.topology.to_string(),
            worker_idx: tail.worker.0,
            component_id: component_to_wire(tail.component),
            n_lines: tail.n_lines,
            follow: tail.follow,
        }
    }
}

impl TryFrom<wire::TailLogResponse> for LogPiece {
    type Error = FieldError;

    fn try_from(wire: wire::TailLogResponse) -> Result<Self, FieldError> {
        Ok(Self {
            topology: topology_id("topology_id", wire.topology_id)?,
            worker: check::worker_idx("worker_idx", wire.worker_idx)?,
            text: check::bytes("text", wire.text, 0..=MAX_CHUNK_BYTES)?,
            trouble: Note::given("trouble", wire.trouble)?,
        })
    }
}

impl From<LogPiece> for wire::TailLogResponse {
    fn from(piece: LogPiece) -> Self {
        Self {
            topology_id: piece.topology.to_string(),
            worker_idx: piece.worker.0,
            text: piece.text,
            trouble: Note::or_empty(piece.trouble),
        }
    }
}
