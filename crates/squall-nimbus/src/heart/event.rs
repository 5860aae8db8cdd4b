//! What happens to nimbus, and what it decides.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use squall_core::{SupervisorId, TopologyId};
use squall_proto::{Plan, Rebalance, Refusal, Sha256, Submit, SupervisorHello, TopologyName};

use super::desired::Desired;
use super::observed::SlotReport;

/// What happens.
#[derive(Clone, Debug)]
pub enum Event {
    /// An operator submits a topology. Its binary is stored, unless it is only asked what would be.
    Submit(Box<Submission>),
    /// An operator ends one.
    Kill {
        /// Which.
        name: TopologyName,
        /// How long it may drain.
        wait: Duration,
    },
    /// An operator pauses one, or lets it go on.
    SetActive {
        /// Which.
        name: TopologyName,
        /// Let it go on.
        active: bool,
    },
    /// An operator spreads one anew.
    Rebalance(Rebalance),
    /// An operator empties a supervisor.
    Drain {
        /// Which.
        supervisor: SupervisorId,
        /// Use it again instead.
        undo: bool,
    },
    /// A supervisor is there.
    Attended(Box<SupervisorHello>),
    /// A supervisor says how it fares.
    Reported {
        /// Which.
        supervisor: SupervisorId,
        /// What its slots do, empty ones left out.
        slots: BTreeMap<u16, SlotReport>,
        /// It is about to end.
        draining: bool,
    },
    /// Time has passed. Silence is noticed here, and whatever waits for a time.
    Tick,
}

/// A topology to be submitted.
#[derive(Clone, Debug)]
pub struct Submission {
    /// What was asked for.
    pub submit: Submit,
    /// What its spec is known by.
    pub spec_sha256: Sha256,
    /// The time in milliseconds since 1970.
    pub unix_ms: u64,
}

/// What is to be done about an event.
#[derive(Debug)]
pub struct Decision {
    /// What the cluster is to be from now on: to be stored before anything follows from it. `None` where
    /// nothing changes.
    pub next: Option<Desired>,
    /// The answer.
    pub reply: Result<Reply, Refusal>,
    /// The topologies whose workers may have become ready, or ceased to be.
    pub checked: BTreeSet<u64>,
}

/// The answer to whom it concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nobody waits for one.
    Done,
    /// A topology was submitted; `None` where that was only asked for.
    Submitted(Option<TopologyId>, Plan),
    /// A topology is ending, pausing or going on.
    Changed(TopologyId),
    /// A topology is to move; the plan is where it would go now.
    Rebalancing(TopologyId, Plan),
    /// So many workers are to leave a supervisor.
    Draining(u32),
}
