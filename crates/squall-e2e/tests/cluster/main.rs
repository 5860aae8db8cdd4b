//! Clusters of real processes, as operators have them: what is submitted runs, loses nothing when a worker is
//! killed, and goes when it is told to.

mod chaos;
mod disk;
mod faults;
mod heartbeats;
mod hostile;
mod life;
mod numbers;
mod partitions;
mod refusals;
mod tapped;
#[cfg(feature = "faults")]
mod windows;
