//! Workers in one process, over real loopback links, with a supervisor and a nimbus of the tests'.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod checkpoints;
mod kit;
mod orders;
mod recovery;
