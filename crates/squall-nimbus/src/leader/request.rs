//! What the leader is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use squall_core::{Moment, SupervisorId};
use squall_proto::{Refusal, SupervisorHello, SupervisorStatus, TopologyOrder};
use tokio::sync::{oneshot, watch};

use crate::heart::{Desired, Event, Limits, Observed, Reply, SlotReport};

/// A request to the leader.
pub(super) enum Request {
    /// An operator's command.
    Command {
        event: Box<Event>,
        reply: oneshot::Sender<Result<Reply, Refusal>>,
    },
    /// A supervisor's stream begins.
    Attend {
        hello: Box<SupervisorHello>,
        reply: oneshot::Sender<Result<Attendance, Refusal>>,
    },
    /// A supervisor says how it fares.
    Report {
        supervisor: SupervisorId,
        attendance: u64,
        slots: BTreeMap<u16, SlotReport>,
        status: Arc<SupervisorStatus>,
    },
    /// A supervisor's stream has ended.
    Leave {
        supervisor: SupervisorId,
        attendance: u64,
    },
    /// A question.
    Ask(Box<dyn FnOnce(&View<'_>) + Send>),
}

/// A supervisor's stream.
#[derive(Debug)]
pub(crate) struct Attendance {
    /// Its number: a newer stream of the same supervisor replaces it.
    pub(crate) number: u64,
    /// What the supervisor is to run. Closed when the stream is replaced.
    pub(crate) orders: watch::Receiver<Arc<Vec<TopologyOrder>>>,
}

/// What may be looked at.
pub(crate) struct View<'a> {
    pub(crate) desired: &'a Desired,
    pub(crate) observed: &'a Observed,
    pub(crate) statuses: &'a BTreeMap<SupervisorId, Status>,
    pub(crate) limits: &'a Limits,
    pub(crate) now: Moment,
}

/// What a supervisor last said, without counters.
pub(crate) struct Status {
    pub(crate) status: Arc<SupervisorStatus>,
    pub(crate) at: Moment,
}
