//! What commands work with: the program's components, topologies, and its tokio runtime.

use std::sync::Arc;

use tokio::runtime::Handle;

use squall_core::Registry;

use crate::app::built::BuiltTopology;

/// A program whose command line was read.
pub struct Program {
    pub(super) registry: Arc<Registry>,
    pub(super) topologies: Vec<BuiltTopology>,
    pub(super) tokio: Handle,
    pub(super) log_filter: Option<String>,
}

impl Program {
    /// Returns the registered components.
    #[must_use]
    pub const fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Returns the runtime that asynchronous work goes to; commands run outside it and may block on it.
    #[must_use]
    pub const fn tokio(&self) -> &Handle {
        &self.tokio
    }

    /// Returns what is to be logged, where the command line or the environment says so.
    #[must_use]
    pub fn log_filter(&self) -> Option<&str> {
        self.log_filter.as_deref()
    }
}
