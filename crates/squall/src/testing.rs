//! What the tests of topologies and components are written with: no sleeps, no threads, no ports.
//!
//! [`BoltHarness`] and [`SpoutHarness`] run one component by hand, [`LocalCluster`] runs topologies in
//! virtual time, and [`complete`] feeds one and returns what each component made of it.

mod bolt;
mod cluster;
mod complete;
mod feed;
mod record;
mod recorder;
mod spawner;
mod spout;
mod task;
mod tuple;

pub use crate::tuple;
pub use bolt::{BoltHarness, Effects};
pub use cluster::{ClusterError, LocalCluster, LocalTopology};
pub use complete::{CompleteError, Completed, complete};
pub use feed::GivenUp;
pub use recorder::{Emitted, Ended, Tie};
pub use spawner::TestSpawner;
pub use spout::{SpoutHarness, Turn};
pub use tuple::{COMPONENT, sent_by, tuple_of};
