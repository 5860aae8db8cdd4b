//! The ends of edges and lanes that lead to other workers, when a runtime has only a part of a topology.
//!
//! Links to those workers empty the outlets, fill the inlets and report what they lost. To the tasks of
//! this worker an edge to a task elsewhere is like any other: bounded, and parked at when it is full.

mod acks;
mod edges;
mod events;
mod part;
mod reach;

use std::sync::Arc;

use squall_core::TaskId;
use squall_core::engine::{AckInlet, AckOutlet, EdgeId, Inlet, LinkEvents, Outlet};

pub(crate) use acks::AckEnd;
pub(crate) use edges::{EdgeInlet, EdgeOutlet};
pub(crate) use events::Events;
pub use part::Part;

/// Everything that links need of this worker's part of a topology.
#[derive(Clone)]
pub struct Ports {
    /// The edges from tasks of this worker to tasks elsewhere.
    pub outlets: Vec<(EdgeId, Arc<dyn Outlet>)>,
    /// The edges from tasks elsewhere to tasks of this worker.
    pub inlets: Vec<(EdgeId, Arc<dyn Inlet>)>,
    /// By task elsewhere: what is said about the roots that it owns.
    pub ack_outlets: Vec<(TaskId, Arc<dyn AckOutlet>)>,
    /// By task of this worker: where others say something about the roots that it owns.
    pub ack_inlets: Vec<(TaskId, Arc<dyn AckInlet>)>,
    /// Where links report.
    pub events: Arc<dyn LinkEvents>,
}
