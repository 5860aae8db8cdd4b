//! Checkpoints of this worker's sources, kept by nimbus.
//!
//! What all tasks write is gathered into one request a second (`checkpoints/batcher.rs`), so that a thousand
//! shards cost nimbus a few commits. What became of each commit is told to who asked for it. Reads go at once.
//!
//! While nimbus is away calls are tried again, at each of its addresses in turn, until their deadline; then
//! the store is unavailable, and sources go on for as long as `max_uncheckpointed` lets them, or wait with
//! their start. A commit whose answer was lost is never sent again here: whether it was done, only who wrote
//! it can find out, by reading the key.

mod batcher;
mod call;
mod committer;
mod nimbus;
mod rotation;
mod store;

pub use nimbus::Nimbus;
pub use store::NimbusCheckpoints;
