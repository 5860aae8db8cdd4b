//! Stores that remember how far sources came: [`MemoryStore`] for tests and runs that need not resume,
//! [`FileStore`] for everything in one process.
//!
//! Both keep the contract of [`squall_core::CheckpointStore`], and both pass the same tests
//! (`tests/conformance.rs`): whatever comes later, a cluster's store or DynamoDB, has to pass them too.
//!
//! **Invariant:** a commit is all or nothing, and durable before it is answered.

pub mod cluster;
mod commit;
mod disk;
mod file;
mod memory;
mod worker;

pub use disk::OpenError;
pub use file::FileStore;
pub use memory::MemoryStore;
