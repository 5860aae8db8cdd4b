//! What has to survive the process.
//!
//! * [`MemoryStore`] and [`FileStore`] remember how far sources came, for everything in one process. They
//!   keep the contract of [`squall_core::CheckpointStore`] and pass the same tests (`tests/conformance.rs`), as
//!   does [`cluster::ClusterCheckpoints`].
//! * [`cluster`] keeps what the cluster wants to be: versioned values, transactions under the leader's epoch,
//!   watches (`tests/cluster/`).
//! * [`blob`] keeps uploaded binaries, each under the SHA-256 of its content.
//!
//! **Invariant:** a commit is all or nothing, and durable before it is answered.

pub mod blob;
pub mod cluster;
mod commit;
mod disk;
mod file;
mod memory;
mod worker;

pub use disk::OpenError;
pub use file::FileStore;
pub use memory::MemoryStore;
