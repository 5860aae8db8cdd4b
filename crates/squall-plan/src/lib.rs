#![doc = include_str!("../README.md")]
//!
//! **Invariant:** pure functions only: no files, environment, clock or threads in this crate.

mod declare;
mod graph;
mod layout;
mod path;
mod problem;
mod report;
pub mod schedule;
mod schema;
mod validate;

pub use declare::{
    Declared, MAX_DEPTH, MAX_INPUT_BYTES, MAX_NODES, MAX_TEXT_BYTES, SourceFile, Sources, declare,
};
pub use graph::{to_dot, to_mermaid};
pub use layout::{ComponentLayout, InputLayout, Kind, Layout, Signatures};
pub use problem::{Origin, Place, Problem, Problems, Severity, Snippet};
pub use schema::topology_schema;
pub use validate::{Checked, MAX_TASKS, MAX_WORKERS, check, check_shape};
