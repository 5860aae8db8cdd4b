//! The heart in virtual time, with supervisors that obey, fall silent, crash-loop and come back.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod commands;
mod faults;
mod launch;
mod random;
mod rebalance;
mod records;
mod restarts;
mod world;
