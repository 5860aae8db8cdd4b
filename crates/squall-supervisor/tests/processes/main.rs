//! Real processes: fake workers under a supervisor, and a supervisor under `kill -9`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod adoption;
mod faults;
mod kit;
mod orders;
