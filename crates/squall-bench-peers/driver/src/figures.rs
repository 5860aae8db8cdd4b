//! What a driver finds, and the line that says it.

use serde::{Deserialize, Serialize};

/// What one process of a job found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Records that its sources emitted in the whole run; `None` where the engine was stopped and nobody knows.
    pub n_emitted: Option<u64>,
    /// Tuples that came to its sinks in the whole run.
    pub n_sunk: u64,
    /// What was measured in the middle of it.
    pub span: Span,
    /// Checkpoints that were completed; 0 where the engine makes none.
    pub n_checkpoints: u64,
}

/// A stretch of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Tuples that came to the sinks in it.
    pub n_sunk: u64,
    /// How long it was, in nanoseconds.
    pub nanos: u64,
    /// CPU time of all threads of the process, in nanoseconds.
    pub cpu_nanos: u64,
}
