//! What tasks count, and the snapshot that shows it.

mod counters;
mod snapshot;

pub(crate) use counters::TaskStats;
pub use snapshot::{
    FailureCounters, Latency, StreamCounters, TaskSnapshot, TopologySnapshot, TopologyState,
};
