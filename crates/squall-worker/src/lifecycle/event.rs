//! The words of a worker's life: what happens to it, what it sees of itself, what it does.

use squall_core::{Fence, Moment};
use squall_proto::{Assignment, Refusal, WorkerOrder};

use crate::exit::ExitReason;

/// What happens to a worker.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// The supervisor has said what is to be.
    Ordered(WorkerOrder),
    /// It refuses this worker, or can't hear it.
    Refused(Refusal),
    /// The moment of [`super::Lifecycle::deadline`] has come, and this is how things are.
    Looked(Sight),
    /// Another worker, or nimbus, knows a newer copy of this one. An incarnation of 0 isn't known.
    Superseded(Fence),
    /// SIGTERM: it is to end.
    Told,
}

/// How things are in this worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sight {
    /// When that was.
    pub(crate) at: Moment,
    /// Every bolt here has been prepared.
    pub(crate) tasks_ready: bool,
    /// The links to all other workers that have a place stand.
    pub(crate) links_stand: bool,
    /// All that tasks have said about others' roots has arrived.
    pub(crate) links_idle: bool,
    /// The tuple trees of tasks here that have no verdict; 0 unless
    /// [`super::Lifecycle::counts_pending`].
    pub(crate) n_pending: u64,
    /// The spouts here have ended, and saved what they had to save.
    pub(crate) spouts_ended: bool,
    /// Why the tasks can't go on: they drain, and end.
    pub(crate) failing: Option<String>,
    /// The tasks have ended: as they should, or because they couldn't go on.
    pub(crate) outcome: Option<Result<(), String>>,
}

/// What the supervisor is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// It executes what comes and reaches all others.
    pub(crate) ready: bool,
    /// It was ordered to drain, and nothing of its own is pending.
    pub(crate) drained: bool,
    /// The assignment that it heard of last.
    pub(crate) assignment_version: u64,
}

/// What the shell has to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Link with the other workers as they are placed now.
    Link(Assignment),
    /// Have the spouts asked for tuples.
    Activate,
    /// Have them asked no more.
    Deactivate,
    /// Let what is pending finish, and the tasks end.
    Drain,
    /// Have the tasks end now.
    Force,
    /// Tell the supervisor.
    Report(Standing),
    /// It is over: nothing follows.
    End(ExitReason),
}
