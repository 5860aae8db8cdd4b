//! The launch file: what a supervisor writes for a worker before it starts it.
//!
//! It is a message as well: a worker that was built years ago reads the file of a newer supervisor.

use prost::Message;
use prost::bytes::Bytes;
use squall_core::Fence;
use squall_core::engine::WorkerIdx;
use thiserror::Error;

use crate::address::Address;
use crate::assignment::{Assignment, WorkerPlacement};
use crate::bounds::MAX_NIMBUSES;
use crate::check;
use crate::fence;
use crate::field::{At, FieldError};
use crate::handshake::Handshake;
use crate::hash::Cookie;
use crate::topology::Topology;
use crate::wire;

/// All that a worker is told when it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The supervisor's handshake.
    pub handshake: Handshake,
    /// What to run.
    pub topology: Topology,
    /// Where all workers are, this one among them.
    pub assignment: Assignment,
    /// Which worker it is.
    pub worker: WorkerIdx,
    /// Which copy of it; the epoch is the one of its placement.
    pub fence: Fence,
    /// What proves that it is this supervisor's.
    pub cookie: Cookie,
    /// Where the supervisor listens for its workers.
    pub supervisor_address: Address,
    /// Where nimbus is, in the order to try: 1 to [`MAX_NIMBUSES`].
    pub nimbus_addresses: Vec<Address>,
    /// Where the worker listens for its peers.
    pub bind_address: Address,
}

/// What is wrong with a launch file.
#[derive(Debug, Error)]
pub enum LaunchError {
    /// It is none.
    #[error("this is no launch file: {0}")]
    Decode(#[from] prost::DecodeError),
    /// A field can't be.
    #[error("the launch file is wrong: {0}")]
    Field(#[from] FieldError),
}

impl Launch {
    /// Returns the content of the file.
    #[must_use]
    pub fn to_file(&self) -> Vec<u8> {
        wire::Launch::from(self.clone()).encode_to_vec()
    }

    /// Reads the content of the file.
    ///
    /// # Errors
    /// It is something else, or a field can't be.
    pub fn from_file(content: Vec<u8>) -> Result<Self, LaunchError> {
        Ok(wire::Launch::decode(Bytes::from(content))?.try_into()?)
    }

    /// Returns the worker's own placement.
    #[must_use]
    pub fn placement(&self) -> Option<&WorkerPlacement> {
        self.assignment.worker(self.worker)
    }
}

impl TryFrom<wire::Launch> for Launch {
    type Error = FieldError;

    fn try_from(wire: wire::Launch) -> Result<Self, FieldError> {
        let nimbuses = wire.nimbus_addresses;
        let launch = Self {
            handshake: check::required("handshake", wire.handshake)?,
            topology: check::required("topology", wire.topology)?,
            assignment: check::required("assignment", wire.assignment)?,
            worker: check::worker_idx("worker_idx", wire.worker_idx)?,
            fence: fence::started("fence", wire.fence)?,
            cookie: wire.cookie.parse().at("cookie")?,
            supervisor_address: wire
                .supervisor_address
                .try_into()
                .at("supervisor_address")?,
            nimbus_addresses: check::list("nimbus_addresses", nimbuses, 1..=MAX_NIMBUSES)?,
            bind_address: wire.bind_address.try_into().at("bind_address")?,
        };
        launch.assignment.check_is_of(&launch.topology.id)?;
        match launch.placement() {
            Some(own) if own.placement_epoch == launch.fence.placement_epoch => Ok(launch),
            Some(own) => {
                let (path, found) = ("fence.placement_epoch", launch.fence.placement_epoch);
                let expected = format!("the placement's {}", own.placement_epoch);
                Err(FieldError::new(path, expected, found))
            }
            None => {
                let expected = "a worker of the assignment";
                Err(FieldError::new("worker_idx", expected, launch.worker))
            }
        }
    }
}

impl From<Launch> for wire::Launch {
    fn from(launch: Launch) -> Self {
        let nimbuses = launch.nimbus_addresses;
        Self {
            handshake: Some(launch.handshake.into()),
            topology: Some(launch.topology.into()),
            assignment: Some(launch.assignment.into()),
            worker_idx: launch.worker.0,
            fence: Some(launch.fence.into()),
            cookie: launch.cookie.to_string(),
            supervisor_address: launch.supervisor_address.into(),
            nimbus_addresses: nimbuses.into_iter().map(Into::into).collect(),
            bind_address: launch.bind_address.into(),
        }
    }
}
