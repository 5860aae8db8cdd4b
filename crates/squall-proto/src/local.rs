//! Between a supervisor and the workers that it started.

mod launch;

use std::num::NonZeroU32;

use squall_core::engine::WorkerIdx;
use squall_core::{Fence, TopologyId};

use crate::assignment::Assignment;
use crate::check;
use crate::counters::{self, Counters};
use crate::fence;
use crate::field::{At, FieldError};
use crate::handshake::Handshake;
use crate::hash::Cookie;
use crate::names::topology_id;
use crate::topology::Phase;
use crate::wire;

pub use launch::{Launch, LaunchError};

/// From a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerReport {
    /// The first message of the stream.
    Hello(WorkerHello),
    /// All others.
    Status(WorkerStatus),
}

/// Who a worker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerHello {
    /// Its handshake.
    pub handshake: Handshake,
    /// What it found in its launch file.
    pub cookie: Cookie,
    /// Its process.
    pub pid: NonZeroU32,
    /// Its topology.
    pub topology: TopologyId,
    /// Which of the topology's workers.
    pub worker: WorkerIdx,
    /// Which copy of it.
    pub fence: Fence,
}

/// How a worker fares: the whole of it, each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerStatus {
    /// Its tasks are built and its links to all peers stand.
    pub ready: bool,
    /// It drains, and nothing of its own is pending any more.
    pub drained: bool,
    /// How long ago its slowest loop last began a turn.
    pub oldest_turn_ms: u64,
    /// The version of the assignment that it last heard of, from 1.
    pub assignment_version: u64,
    /// What it did since it started. Sent after [`Counters::fit`].
    pub counters: Counters,
}

/// From the supervisor: what a worker is to know and do. Each order replaces the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerOrder {
    /// The supervisor's handshake.
    pub handshake: Handshake,
    /// Where all workers are.
    pub assignment: Assignment,
    /// What they are to do.
    pub phase: Phase,
    /// Every task is placed and every worker of this very assignment is ready.
    pub all_ready: bool,
}

impl TryFrom<wire::WorkerReport> for WorkerReport {
    type Error = FieldError;

    fn try_from(wire: wire::WorkerReport) -> Result<Self, FieldError> {
        use wire::worker_report::Report;
        match wire.report {
            Some(Report::Hello(hello)) => hello.try_into().map(Self::Hello).at("hello"),
            Some(Report::Status(status)) => status.try_into().map(Self::Status).at("status"),
            None => Err(FieldError::missing("report")),
        }
    }
}

impl From<WorkerReport> for wire::WorkerReport {
    fn from(report: WorkerReport) -> Self {
        use wire::worker_report::Report;
        let report = match report {
            WorkerReport::Hello(hello) => Report::Hello(hello.into()),
            WorkerReport::Status(status) => Report::Status(status.into()),
        };
        Self {
            report: Some(report),
        }
    }
}

impl TryFrom<wire::WorkerHello> for WorkerHello {
    type Error = FieldError;

    fn try_from(wire: wire::WorkerHello) -> Result<Self, FieldError> {
        let pid = NonZeroU32::new(wire.pid);
        Ok(Self {
            handshake: check::required("handshake", wire.handshake)?,
            cookie: wire.cookie.parse().at("cookie")?,
            pid: pid.ok_or_else(|| FieldError::new("pid", "a process's id, not 0", 0))?,
            topology: topology_id("topology_id", wire.topology_id)?,
            worker: check::worker_idx("worker_idx", wire.worker_idx)?,
            fence: fence::started("fence", wire.fence)?,
        })
    }
}

impl From<WorkerHello> for wire::WorkerHello {
    fn from(hello: WorkerHello) -> Self {
        Self {
            handshake: Some(hello.handshake.into()),
            cookie: hello.cookie.to_string(),
            pid: hello.pid.get(),
            topology_id: hello.topology.to_string(),
            worker_idx: hello.worker.0,
            fence: Some(hello.fence.into()),
        }
    }
}

impl TryFrom<wire::WorkerStatusReport> for WorkerStatus {
    type Error = FieldError;

    fn try_from(wire: wire::WorkerStatusReport) -> Result<Self, FieldError> {
        let version = wire.assignment_version;
        Ok(Self {
            ready: wire.ready,
            drained: wire.drained,
            oldest_turn_ms: wire.oldest_turn_ms,
            assignment_version: check::number("assignment_version", version, 1..=u64::MAX)?,
            counters: counters::of_worker("counters", wire.counters)?,
        })
    }
}

impl From<WorkerStatus> for wire::WorkerStatusReport {
    fn from(status: WorkerStatus) -> Self {
        Self {
            ready: status.ready,
            drained: status.drained,
            oldest_turn_ms: status.oldest_turn_ms,
            assignment_version: status.assignment_version,
            counters: Some(status.counters.into()),
        }
    }
}

impl TryFrom<wire::WorkerOrder> for WorkerOrder {
    type Error = FieldError;

    fn try_from(wire: wire::WorkerOrder) -> Result<Self, FieldError> {
        Ok(Self {
            handshake: check::required("handshake", wire.handshake)?,
            assignment: check::required("assignment", wire.assignment)?,
            phase: wire.phase.try_into().at("phase")?,
            all_ready: wire.all_ready,
        })
    }
}

impl From<WorkerOrder> for wire::WorkerOrder {
    fn from(order: WorkerOrder) -> Self {
        Self {
            handshake: Some(order.handshake.into()),
            assignment: Some(order.assignment.into()),
            phase: order.phase.into(),
            all_ready: order.all_ready,
        }
    }
}
