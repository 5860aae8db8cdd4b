//! What operators ask of nimbus: the requests. The answers stand in `operations/answers.rs`.

mod answers;
mod cluster;
mod logs;

use std::num::NonZeroU32;
use std::time::Duration;

use prost::bytes::Bytes;

use crate::bounds::{MAX_SPEC_BYTES, MAX_WAIT_MS};
use crate::check;
use crate::field::{At, FieldError};
use crate::handshake::BinaryNeeds;
use crate::hash::Sha256;
use crate::names::TopologyName;
use crate::topology::{Parallelism, Program, n_workers, parallelism, parallelism_to_wire, program};
use crate::wire;

pub use answers::{Description, Planned, ReportedSlot, TopologySummary};
pub use cluster::{Drain, Hello, SupervisorInfo};
pub use logs::{LogPiece, TailLog, TailWorkerLog};

/// Asks for a topology to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submit {
    /// Its name, and the one that the spec gives. That they are the same is not checked here.
    pub name: TopologyName,
    /// The spec as JSON, not yet read: 1 to [`MAX_SPEC_BYTES`].
    pub spec_json: Bytes,
    /// The binary's hash.
    pub binary_sha256: Sha256,
    /// What the binary needs.
    pub needs: BinaryNeeds,
    /// How many workers to spread it over; none leaves that to nimbus.
    pub n_workers: Option<NonZeroU32>,
    /// How the binary builds it; none when it was declared in a file.
    pub program: Option<Program>,
    /// Only say what would happen.
    pub dry_run: bool,
}

/// Asks about a topology.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Describe {
    /// Its name.
    pub name: TopologyName,
}

/// Asks for an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kill {
    /// The topology's name.
    pub name: TopologyName,
    /// How long pending trees may take: whole milliseconds up to [`MAX_WAIT_MS`]; a longer one is cut when
    /// it is sent.
    pub wait: Duration,
}

/// Asks for spouts to go on or to pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetActive {
    /// The topology's name.
    pub name: TopologyName,
    /// Go on.
    pub active: bool,
}

/// Asks for another spread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebalance {
    /// The topology's name.
    pub name: TopologyName,
    /// The new number of workers; none keeps it.
    pub n_workers: Option<NonZeroU32>,
    /// The components that get another number of tasks.
    pub parallelism: Parallelism,
    /// How long pending trees may take: as for [`Kill::wait`].
    pub wait: Duration,
    /// Only say what would happen.
    pub dry_run: bool,
}

/// Takes a wait.
fn wait(wait_ms: u64) -> Result<Duration, FieldError> {
    check::number("wait_ms", wait_ms, 0..=MAX_WAIT_MS).map(Duration::from_millis)
}

/// Makes what [`wait`] takes.
fn wait_to_wire(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).map_or(MAX_WAIT_MS, |wait_ms| wait_ms.min(MAX_WAIT_MS))
}

impl TryFrom<wire::SubmitRequest> for Submit {
    type Error = FieldError;

    fn try_from(wire: wire::SubmitRequest) -> Result<Self, FieldError> {
        Ok(Self {
            name: wire.name.try_into().at("name")?,
            spec_json: check::bytes("spec_json", wire.spec_json, 1..=MAX_SPEC_BYTES)?,
            binary_sha256: wire.binary_sha256.try_into().at("binary_sha256")?,
            needs: check::required("needs", wire.needs)?,
            n_workers: n_workers("n_workers", wire.n_workers)?,
            program: program(wire.program, wire.args)?,
            dry_run: wire.dry_run,
        })
    }
}

impl From<Submit> for wire::SubmitRequest {
    fn from(submit: Submit) -> Self {
        let (program, args) = Program::to_wire(submit.program);
        Self {
            name: submit.name.into(),
            spec_json: submit.spec_json,
            binary_sha256: submit.binary_sha256.into(),
            needs: Some(submit.needs.into()),
            n_workers: submit.n_workers.map_or(0, NonZeroU32::get),
            program,
            args,
            dry_run: submit.dry_run,
        }
    }
}

impl TryFrom<wire::DescribeRequest> for Describe {
    type Error = FieldError;

    fn try_from(wire: wire::DescribeRequest) -> Result<Self, FieldError> {
        let name = wire.name.try_into().at("name")?;
        Ok(Self { name })
    }
}

impl From<Describe> for wire::DescribeRequest {
    fn from(describe: Describe) -> Self {
        Self {
            name: describe.name.into(),
        }
    }
}

impl TryFrom<wire::KillRequest> for Kill {
    type Error = FieldError;

    fn try_from(wire: wire::KillRequest) -> Result<Self, FieldError> {
        Ok(Self {
            name: wire.name.try_into().at("name")?,
            wait: wait(wire.wait_ms)?,
        })
    }
}

impl From<Kill> for wire::KillRequest {
    fn from(kill: Kill) -> Self {
        Self {
            name: kill.name.into(),
            wait_ms: wait_to_wire(kill.wait),
        }
    }
}

impl TryFrom<wire::SetActiveRequest> for SetActive {
    type Error = FieldError;

    fn try_from(wire: wire::SetActiveRequest) -> Result<Self, FieldError> {
        Ok(Self {
            name: wire.name.try_into().at("name")?,
            active: wire.active,
        })
    }
}

impl From<SetActive> for wire::SetActiveRequest {
    fn from(set: SetActive) -> Self {
        Self {
            name: set.name.into(),
            active: set.active,
        }
    }
}

impl TryFrom<wire::RebalanceRequest> for Rebalance {
    type Error = FieldError;

    fn try_from(wire: wire::RebalanceRequest) -> Result<Self, FieldError> {
        Ok(Self {
            name: wire.name.try_into().at("name")?,
            n_workers: n_workers("n_workers", wire.n_workers)?,
            parallelism: parallelism("parallelism", wire.parallelism)?,
            wait: wait(wire.wait_ms)?,
            dry_run: wire.dry_run,
        })
    }
}

impl From<Rebalance> for wire::RebalanceRequest {
    fn from(rebalance: Rebalance) -> Self {
        Self {
            name: rebalance.name.into(),
            n_workers: rebalance.n_workers.map_or(0, NonZeroU32::get),
            parallelism: parallelism_to_wire(rebalance.parallelism),
            wait_ms: wait_to_wire(rebalance.wait),
            dry_run: rebalance.dry_run,
        }
    }
}
