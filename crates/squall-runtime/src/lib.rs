//! The data plane inside one process: loops, executors, edges, groupings, the ack ledger, counters.
//!
//! [`start`] runs a checked topology on threads; [`Simulation`] runs the same tasks in virtual time.

mod ack;
mod assembly;
mod bell;
mod clock;
mod control;
mod draft;
mod edge;
mod event_loop;
mod group;
mod memory;
mod mutation;
mod output;
mod ports;
mod running;
mod seat;
mod services;
mod simulation;
mod stats;
mod task;

pub use clock::SystemClock;
pub use group::RouterError;
pub use memory::MemoryBound;
pub use ports::{Part, Ports};
pub use running::{RunError, Running, start};
pub use services::{Options, Services, StartError};
pub use simulation::Simulation;
pub use stats::{
    FailureCounters, Latency, StreamCounters, TaskSnapshot, TopologySnapshot, TopologyState,
};

/// The hot parts by themselves, for the benches; no part of the API.
#[doc(hidden)]
pub mod parts {
    pub use crate::ack::{Contribution, Ended, First, Ledger, Load, Outcome, Word};
    pub use crate::edge::EdgeBench;
    pub use crate::group::{Picks, Router};
}
