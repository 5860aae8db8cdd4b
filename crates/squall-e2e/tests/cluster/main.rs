//! Clusters of real processes, as operators have them: what is submitted runs, loses nothing when a worker is
//! killed, and goes when it is told to.

mod chaos;
mod faults;
mod heartbeats;
mod life;
mod numbers;
mod refusals;
