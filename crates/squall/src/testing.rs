//! What the tests of topologies and components are written with: no sleeps, no threads, no ports.
//!
//! [`BoltHarness`] and [`SpoutHarness`] run one component by hand.

mod bolt;
mod recorder;
mod spawner;
mod spout;
mod task;
mod tuple;

pub use crate::tuple;
pub use bolt::{BoltHarness, Effects};
pub use recorder::{Emitted, Ended, Tie};
pub use spawner::TestSpawner;
pub use spout::{SpoutHarness, Turn};
pub use tuple::{COMPONENT, sent_by, tuple_of};
