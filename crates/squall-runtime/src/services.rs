//! What the world around a topology provides, and how it is to be run.

use std::sync::Arc;

use squall_core::{CheckpointStore, Clock, Fence, Spawner};
use thiserror::Error;

use crate::ports::Part;

/// The world around a topology. The engine has no clock, no store and no async runtime of its own.
#[derive(Clone)]
pub struct Services {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Runs the asynchronous work of components.
    pub spawner: Arc<dyn Spawner>,
    /// Remembers how far sources came.
    pub checkpoints: Arc<dyn CheckpointStore>,
    /// Which copy of the topology this is.
    pub fence: Fence,
}

/// How a topology is run; no effect on what it computes.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many loop threads there are; `None` is one for each core, at most one for each task.
    pub n_loops: Option<usize>,
    /// Whether neighbours that can share a loop do. On by default.
    pub fuse: bool,
    /// How many tuples a task deals with before it calls readers on its loop, or is called itself, instead of tuples
    /// being sent over an edge. Who calls and who is called wait for each other: one that blocks does neither, and
    /// begins anew.
    pub call_after: u32,
    /// Which tasks run here and which elsewhere; `None` is all of them here. The spouts of a part wait for
    /// [`crate::Running::activate`] before they open.
    pub part: Option<Part>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            n_loops: None,
            fuse: true,
            call_after: 256,
            part: None,
        }
    }
}

/// A topology that can't be started. Nothing runs.
#[derive(Debug, Error)]
pub enum StartError {
    /// A grouping doesn't fit its stream.
    #[error("`{reader}` can't read `{emitter}`: {source}")]
    Grouping {
        /// The reading component.
        reader: String,
        /// The emitting component.
        emitter: String,
        /// What doesn't fit.
        source: crate::group::RouterError,
    },
    /// An input names a stream that its component doesn't declare.
    #[error("`{reader}` reads stream `{stream}`, which `{emitter}` doesn't declare")]
    NoStream {
        /// The reading component.
        reader: String,
        /// The emitting component.
        emitter: String,
        /// The stream.
        stream: String,
    },
    /// The operating system gave no thread.
    #[error("no thread could be started")]
    Thread(#[from] std::io::Error),
}
