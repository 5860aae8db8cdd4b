//! How the desired state stands in the store: a key for each topology, supervisor and spec.
//!
//! Specs stand by themselves, for they may be large and never change. What a later nimbus has to read is written
//! down here and nowhere else; `tests/heart/records.rs` holds it.

mod read;
mod rows;
mod write;

pub use read::{Broken, desired_from};
pub use write::{Batch, changes};

/// The prefix of all keys of nimbus.
pub const PREFIX: &str = "nimbus/";
/// The counters.
const COUNTERS: &str = "nimbus/counters";
/// A topology, by number.
const TOPOLOGY: &str = "nimbus/topology/";
/// What a topology is to be, by number.
const DESIRED: &str = "nimbus/desired/";
/// A spec, by the topology's number.
const SPEC: &str = "nimbus/spec/";
/// A supervisor, by id.
const SUPERVISOR: &str = "nimbus/supervisor/";

/// How much is put into one transaction, in bytes: less than half of what one may hold, so that the last thing
/// always fits.
const BATCH_BYTES: usize = 4 << 20;

/// Makes the key of something that has a number: in the order of the numbers.
fn numbered(prefix: &str, number: u64) -> String {
    format!("{prefix}{number:020}")
}
