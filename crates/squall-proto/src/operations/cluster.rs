//! What operators ask about the cluster itself: its protocol and its supervisors.

use squall_core::SupervisorId;

use crate::address::Address;
use crate::bounds::MAX_SUPERVISORS;
use crate::check;
use crate::coordination::{Resources, slots};
use crate::field::{At, FieldError};
use crate::handshake::Handshake;
use crate::names::supervisor_id;
use crate::slot::SlotStatus;
use crate::wire;

/// What nimbus answers to a hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Its handshake.
    pub handshake: Handshake,
    /// The protocol that both speak from now on, from 1.
    pub protocol: u32,
}

/// A supervisor as nimbus knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupervisorInfo {
    /// Its id.
    pub supervisor: SupervisorId,
    /// Its address.
    pub address: Address,
    /// What it said of itself.
    pub handshake: Handshake,
    /// What its machine has.
    pub resources: Resources,
    /// Its slots, without counters.
    pub slots: Vec<SlotStatus>,
    /// It takes no new workers.
    pub draining: bool,
    /// It is connected, or was so recently that nobody has given it up.
    pub alive: bool,
    /// How long ago it was last heard; 0 if never since nimbus started.
    pub age_ms: u64,
    /// Room on the disk of its data directory.
    pub disk_free_bytes: u64,
}

/// Asks for a supervisor to be emptied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// Which.
    pub supervisor: SupervisorId,
    /// Use it again instead.
    pub undo: bool,
}

impl TryFrom<wire::HelloRequest> for Handshake {
    type Error = FieldError;

    fn try_from(wire: wire::HelloRequest) -> Result<Self, FieldError> {
        check::required("handshake", wire.handshake)
    }
}

impl From<Handshake> for wire::HelloRequest {
    fn from(handshake: Handshake) -> Self {
        Self {
            handshake: Some(handshake.into()),
        }
    }
}

impl TryFrom<wire::HelloResponse> for Hello {
    type Error = FieldError;

    fn try_from(wire: wire::HelloResponse) -> Result<Self, FieldError> {
        Ok(Self {
            handshake: check::required("handshake", wire.handshake)?,
            protocol: check::number("protocol", wire.protocol, 1..=u32::MAX)?,
        })
    }
}

impl From<Hello> for wire::HelloResponse {
    fn from(hello: Hello) -> Self {
        Self {
            handshake: Some(hello.handshake.into()),
            protocol: hello.protocol,
        }
    }
}

impl TryFrom<wire::ListSupervisorsResponse> for Vec<SupervisorInfo> {
    type Error = FieldError;

    fn try_from(wire: wire::ListSupervisorsResponse) -> Result<Self, FieldError> {
        check::list("supervisors", wire.supervisors, 0..=MAX_SUPERVISORS)
    }
}

impl From<Vec<SupervisorInfo>> for wire::ListSupervisorsResponse {
    fn from(supervisors: Vec<SupervisorInfo>) -> Self {
        Self {
            supervisors: supervisors.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::SupervisorInfo> for SupervisorInfo {
    type Error = FieldError;

    fn try_from(wire: wire::SupervisorInfo) -> Result<Self, FieldError> {
        Ok(Self {
            supervisor: supervisor_id(&wire.supervisor_id).at("supervisor_id")?,
            address: wire.address.try_into().at("address")?,
            handshake: check::required("handshake", wire.handshake)?,
            resources: check::required("resources", wire.resources)?,
            slots: slots("slots", wire.slots)?,
            draining: wire.draining,
            alive: wire.alive,
            age_ms: wire.age_ms,
            disk_free_bytes: wire.disk_free_bytes,
        })
    }
}

impl From<SupervisorInfo> for wire::SupervisorInfo {
    fn from(info: SupervisorInfo) -> Self {
        Self {
            supervisor_id: info.supervisor.to_string(),
            address: info.address.into(),
            handshake: Some(info.handshake.into()),
            resources: Some(info.resources.into()),
            slots: info.slots.into_iter().map(Into::into).collect(),
            draining: info.draining,
            alive: info.alive,
            age_ms: info.age_ms,
            disk_free_bytes: info.disk_free_bytes,
        }
    }
}

impl TryFrom<wire::DrainRequest> for Drain {
    type Error = FieldError;

    fn try_from(wire: wire::DrainRequest) -> Result<Self, FieldError> {
        Ok(Self {
            supervisor: supervisor_id(&wire.supervisor_id).at("supervisor_id")?,
            undo: wire.undo,
        })
    }
}

impl From<Drain> for wire::DrainRequest {
    fn from(drain: Drain) -> Self {
        Self {
            supervisor_id: drain.supervisor.to_string(),
            undo: drain.undo,
        }
    }
}
