//! What all parts of a supervisor share.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use squall_core::SupervisorId;
use squall_daemon::identity::Identity;
use squall_proto::{Address, Handshake};
use tokio::sync::Notify;

use crate::binaries::Binaries;
use crate::clock::TimerClock;
use crate::home::Leader;
use crate::slots::Limits;

/// What a supervisor is and has, for its parts.
pub(crate) struct Context {
    pub(crate) clock: TimerClock,
    pub(crate) supervisor_id: SupervisorId,
    pub(crate) limits: Limits,
    pub(crate) binaries: Binaries,
    /// Where workers listen for their peers.
    pub(crate) bind_ip: IpAddr,
    /// Where workers find their supervisor.
    pub(crate) local_address: Address,
    /// Where nimbus is, in the order to try.
    pub(crate) nimbus: Vec<Address>,
    /// What runs here.
    pub(crate) identity: Identity,
    /// Something that nimbus should know at once has changed.
    pub(crate) changed: Notify,
    /// Whose orders are taken.
    pub(crate) leader: Mutex<Leader>,
}

impl Context {
    /// Returns whose orders are taken.
    pub(crate) fn leader(&self) -> Leader {
        self.leader
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Takes orders from this leader on.
    pub(crate) fn set_leader(&self, leader: Leader) {
        *self.leader.lock().unwrap_or_else(PoisonError::into_inner) = leader;
    }

    /// Returns what the supervisor says of itself.
    pub(crate) fn handshake(&self) -> Handshake {
        self.identity.handshake(self.leader().cluster)
    }
}
