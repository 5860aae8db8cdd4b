//! Nimbus over real gRPC on the loopback, with the store in memory and supervisors that say what tests want.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod blobs;
mod checkpoints;
mod cluster;
mod faults;
mod fleet;
mod harness;
mod logs;
mod operators;
mod supervisor;
