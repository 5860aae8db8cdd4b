//! What a section takes of its edge's credit.
//!
//! Both ends work it out from the bytes and counts of the section itself, so that they never disagree, and
//! so that what the receiver keeps is bounded by credit that was given.

use squall_core::engine::{Anchor, Run};

/// The cost of a section in bytes.
///
/// **Invariant:** a decoded delivery keeps at most as many bytes as its section's cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    bytes: usize,
}

impl Cost {
    /// What a row adds to its bytes: it may have a tree of its own.
    const ROW: usize = size_of::<Run>() + size_of::<u64>();
    /// What a value adds, also one in a list.
    const VALUE: usize = 24;
    /// What an entry of a map adds, its value's own not counted.
    const ENTRY: usize = 24;
    /// What a mark costs in all.
    pub(crate) const MARK: usize = 64;

    /// Adds bytes of the section's body.
    pub(crate) const fn add_bytes(&mut self, n_bytes: usize) {
        self.bytes += n_bytes;
    }

    pub(crate) const fn add_row(&mut self) {
        self.bytes += Self::ROW;
    }

    pub(crate) const fn add_values(&mut self, n_values: usize) {
        self.bytes += n_values * Self::VALUE;
    }

    pub(crate) const fn add_entry(&mut self) {
        self.bytes += Self::ENTRY;
    }

    /// Adds the roots and edge ids of a row that belongs to several trees.
    pub(crate) const fn add_anchors(&mut self, n_anchors: usize) {
        self.bytes += n_anchors * size_of::<Anchor>();
    }

    /// Returns the bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.bytes
    }
}
