//! Schedules a topology: tasks to workers, workers to the slots of a cluster's supervisors.
//!
//! [`assign_workers`] deals a layout's tasks out; [`place`] finds a slot for each worker that has none, or
//! whose slot is no good any more, and says of each why it is where it is. Both are deterministic: equal
//! input gives equal output, whatever the order of the supervisors.

mod assign;
mod cluster;
mod explain;
mod place;
mod presence;

use squall_core::{Str, SupervisorId, TopologyId};

pub use assign::{assign_workers, name_tasks};
pub use explain::{Cause, Reason, Shortage};
pub use place::place;

/// A supervisor as the scheduler sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supervisor {
    /// Its name, unique in the cluster.
    pub id: SupervisorId,
    /// The machine that it runs on: what is spread over, and what is lost at once.
    pub machine: Str,
    /// The TCP ports of its slots.
    pub slots: Vec<u16>,
    /// What may be expected of it.
    pub liveness: Liveness,
}

/// What may be expected of a supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It runs workers and takes new ones.
    Live,
    /// It runs workers, which are to go elsewhere, and takes no new ones.
    Draining,
    /// Nothing has been heard of it for too long.
    Lost,
}

/// The place of one worker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// The supervisor.
    pub supervisor: SupervisorId,
    /// The TCP port.
    pub port: u16,
}

/// What a topology wants.
#[derive(Clone, Debug)]
pub struct Demand {
    /// The topology.
    pub topology: TopologyId,
    /// Its workers, by index.
    pub workers: Vec<Wanted>,
    /// Spread the workers anew, as after a rebalance: healthy ones may move where that spreads better.
    pub respread: bool,
}

/// What one worker wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Where it is.
    pub current: Option<Slot>,
    /// Supervisors under which it crash-looped: their machines are the last resort, and they themselves
    /// are none.
    pub shun: Vec<SupervisorId>,
}

/// Where one worker goes, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Its slot; `None` while there is none.
    pub slot: Option<Slot>,
    /// Why.
    pub reason: Reason,
}
