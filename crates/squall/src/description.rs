//! What a program says of itself and of a topology when it is asked by `__describe`: the words between the
//! command that submits and the program that is submitted, which may be of different versions.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use squall_plan::{Problems, Signatures};

/// The largest description, in bytes of JSON: a spec of 1 MiB, a hundred problems, and room.
pub const MAX_DESCRIPTION_BYTES: usize = 8 << 20;

/// A program and what it makes of a topology. Fields are only added; a reader ignores those that it doesn't
/// know.
#[derive(Debug, Serialize, Deserialize)]
pub struct Description {
    /// The version of the engine that the program is built with.
    pub engine_version: String,
    /// The oldest protocol that it speaks, from 1.
    pub protocol_min: u32,
    /// The newest one.
    pub protocol_max: u32,
    /// The target triple that it was built for.
    pub target: String,
    /// What it has to say about the topology, as `validate` prints it; empty if there is nothing to say.
    pub report: String,
    /// The same for programs: errors and warnings with their places. Empty as well when a file can't be
    /// read, or a topology that is built in Rust refuses its arguments; then `report` says so.
    pub problems: Problems,
    /// The topology; none when it is invalid.
    pub topology: Option<DescribedTopology>,
}

/// A topology that is valid.
#[derive(Debug, Serialize, Deserialize)]
pub struct DescribedTopology {
    /// Its name.
    pub name: String,
    /// Where it was declared: its files, or that it is the program's own.
    pub origin: String,
    /// The `TopologySpec`, to be handed on byte for byte: a topology that is built in Rust is known again by
    /// the hash of it.
    pub spec: Box<RawValue>,
    /// How the program builds it; none when it was declared in files.
    pub program: Option<DescribedProgram>,
    /// What each component emits.
    pub signatures: Signatures,
}

/// A topology that is built in Rust.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribedProgram {
    /// The name under which the program has it.
    pub name: String,
    /// Its arguments, those that came from the environment among them: a worker has another one.
    pub args: Vec<String>,
}
