//! What links need of the worker around them.

use std::fmt;
use std::sync::Arc;

use squall_core::engine::{AckInlet, AckOutlet, EdgeId, Inlet, LinkEvents, Outlet};
use squall_core::{BoxFuture, Clock, TaskId};
use squall_proto::Address;
use tonic::transport::{Channel, Error};

/// The ends of edges and ack lanes that this worker's part of the topology has, for as long as it runs.
#[derive(Clone)]
pub struct Ports {
    /// For each component with tasks here and each task elsewhere that reads it: what is to be sent there.
    pub outlets: Vec<(EdgeId, Arc<dyn Outlet>)>,
    /// For each component with tasks elsewhere and each task here that reads it: where it arrives.
    pub inlets: Vec<(EdgeId, Arc<dyn Inlet>)>,
    /// For each task elsewhere that may own roots: what is said about them here.
    pub ack_outlets: Vec<(TaskId, Arc<dyn AckOutlet>)>,
    /// For each task here that may own roots: where it is said.
    pub ack_inlets: Vec<(TaskId, Arc<dyn AckInlet>)>,
    /// Hears of losses and ends.
    pub events: Arc<dyn LinkEvents>,
    /// Tells the time that arriving deliveries are stamped with.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ports")
            .field("n_outlets", &self.outlets.len())
            .field("n_inlets", &self.inlets.len())
            .field("n_ack_outlets", &self.ack_outlets.len())
            .field("n_ack_inlets", &self.ack_inlets.len())
            .finish_non_exhaustive()
    }
}

/// Makes connections to other workers: with TCP_NODELAY, the windows and the keep-alive that
/// `squall_proto::limits` gives to links, and later with credentials.
pub trait Dial: Send + Sync {
    /// Connects once. A connection that does not stand within `CONNECT_DEADLINE` is given up by the caller.
    fn dial<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, Result<Channel, Error>>;
}
