#![doc = include_str!("../README.md")]
//!
//! **Invariant:** a topology is submitted only after its binary is stored, so that a submit that breaks off
//! leaves nothing half done.

mod binary;
mod nimbus;
mod trouble;
mod upload;

pub use binary::{Binary, BinaryError};
pub use nimbus::{LogPieces, Nimbus, addresses};
pub use trouble::Trouble;
