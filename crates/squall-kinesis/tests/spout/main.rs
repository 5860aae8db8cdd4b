//! The spout without an engine: against a Kinesis that does what a test tells it, in virtual time, and
//! against the embedded endpoint, in real time.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod audit;
mod delivery;
mod driver;
mod endpoint;
mod fake;
mod faults;
mod many;
mod outages;
mod random;
mod setup;
mod shards;
mod stores;
mod storms;
mod world;

use squall_core::{Failure, FailureReason};

/// A failure that counts as an attempt.
fn rejected() -> Failure {
    Failure::new(FailureReason::Rejected, Some("bolt".into()), "no luck")
}
