//! The memory that a topology's own bounds add up to, printed when it starts.

use std::fmt;

use squall_core::{ByteSize, Settings};
use squall_plan::{Kind, Layout};

/// An upper bound on the tuples that the engine keeps at once, by where it keeps them. What components
/// keep themselves is theirs to bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MemoryBound {
    /// Tuples between components: `edge_bytes` for each edge, and as much again for what is executed.
    pub edges_bytes: u64,
    /// What spouts may keep for replay: `max_spout_pending_bytes` for each task.
    pub pending_bytes: u64,
    /// Ledgers: 52 bytes for each tree that may be pending.
    pub ledgers_bytes: u64,
    /// What windows may hold.
    pub held_bytes: u64,
}

impl MemoryBound {
    /// Adds up the bounds of a whole topology.
    #[must_use]
    pub fn new(layout: &Layout, settings: &Settings) -> Self {
        let n_edges = layout.components.iter().map(|component| {
            let mut emitters: Vec<usize> =
                component.inputs.iter().map(|input| input.from).collect();
            emitters.sort_unstable();
            emitters.dedup();
            // One of several tasks of an emitter may share the reader's loop: that one has an edge of its own.
            let n_senders = emitters
                .iter()
                .map(|emitter| layout.components[*emitter].n_tasks().min(2));
            n_senders.sum::<usize>() * component.n_tasks()
        });
        let spouts = layout
            .components
            .iter()
            .filter(|component| component.kind == Kind::Spout);
        let n_spout_tasks = spouts.map(|component| component.n_tasks() as u64).sum();
        Self::of(n_edges.sum(), n_spout_tasks, settings)
    }

    /// Adds up the bounds of `n_edges` edges, each between a component and a task, and of the spouts' tasks.
    #[must_use]
    pub(crate) fn of(n_edges: usize, n_spout_tasks: u64, settings: &Settings) -> Self {
        Self {
            edges_bytes: (2 * n_edges as u64).saturating_mul(settings.edge_bytes.0),
            pending_bytes: n_spout_tasks.saturating_mul(settings.max_spout_pending_bytes.0),
            ledgers_bytes: (52 * n_spout_tasks)
                .saturating_mul(u64::from(settings.max_spout_pending)),
            held_bytes: settings.max_held_bytes.0,
        }
    }

    /// Returns the sum.
    #[must_use]
    pub const fn total_bytes(&self) -> u64 {
        self.edges_bytes
            .saturating_add(self.pending_bytes)
            .saturating_add(self.ledgers_bytes)
            .saturating_add(self.held_bytes)
    }
}

impl fmt::Display for MemoryBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| ByteSize(bytes.div_ceil(1 << 20).min(u64::MAX >> 20) << 20);
        write!(
            f,
            "at most {} of tuples: {} on edges, {} pending, {} in ledgers, {} held by bolts",
            mib(self.total_bytes()),
            mib(self.edges_bytes),
            mib(self.pending_bytes),
            mib(self.ledgers_bytes),
            mib(self.held_bytes)
        )
    }
}
