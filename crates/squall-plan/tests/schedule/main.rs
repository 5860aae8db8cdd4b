//! The scheduler: tasks to workers, workers to slots.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod assign;
mod explain;
mod growth;
mod place;

#[path = "../../benches/schedule/load.rs"]
mod load;
