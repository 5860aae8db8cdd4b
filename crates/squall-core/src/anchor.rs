//! What ties a tuple to the trees it belongs to. Storm: `MessageId`, `daemon/Acker`.

use crate::ids::TaskId;

/// A tuple tree: the slot in its owner's ledger, and the generation that tells this use of the slot
/// from every other.
///
/// **Invariant:** a generation never comes twice in one slot of one incarnation, so what arrives late
/// for a finished tree can't touch its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RootId {
    /// The task that owns the root: usually a spout's.
    pub task: TaskId,
    /// The slot in that task's ledger.
    pub slot: u32,
    /// Which use of the slot: at least 40 bits, starting at random with each incarnation.
    pub generation: u64,
}

/// One live tuple's place in one tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The tree.
    pub root: RootId,
    /// The tuple's edge id, random and non-zero when drawn; XORed into the root's entry when the tuple
    /// comes to life and again when it is acked.
    pub edge: u64,
}

/// All the trees that a tuple belongs to: none for an untracked one, mostly one, several after a join.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Anchors {
    /// Untracked.
    #[default]
    None,
    /// One tree.
    One(Anchor),
    /// Several trees, each named once.
    Many(Box<[Anchor]>),
}

impl Anchors {
    /// Returns the anchors as a slice.
    #[must_use]
    #[inline]
    pub fn as_slice(&self) -> &[Anchor] {
        match self {
            Self::None => &[],
            Self::One(anchor) => std::slice::from_ref(anchor),
            Self::Many(anchors) => anchors,
        }
    }

    /// Returns the anchors as a mutable slice.
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [Anchor] {
        match self {
            Self::None => &mut [],
            Self::One(anchor) => std::slice::from_mut(anchor),
            Self::Many(anchors) => anchors,
        }
    }

    /// Grows a child under each of these trees: draws an edge id for it in each and XORs that into the
    /// parent's own, so that the parent's ack brings the child to life in the same stroke.
    #[must_use]
    #[inline]
    pub fn grow(&mut self, draw: &mut impl FnMut() -> u64) -> Self {
        // Nearly every tuple belongs to one tree or none: no list to copy.
        match self {
            Self::None => return Self::None,
            Self::One(anchor) => {
                let edge = draw();
                anchor.edge ^= edge;
                return Self::One(Anchor {
                    root: anchor.root,
                    edge,
                });
            }
            Self::Many(_) => {}
        }
        let mut child = self.clone();
        for (parent, child) in self.as_mut_slice().iter_mut().zip(child.as_mut_slice()) {
            child.edge = draw();
            parent.edge ^= child.edge;
        }
        child
    }

    /// Adds the trees of `other`: a tree that both have gets the XOR of both edge ids.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::None, other) => other,
            (this, Self::None) => this,
            (this, other) => {
                let mut merged = this.as_slice().to_vec();
                for anchor in other.as_slice() {
                    match merged.iter_mut().find(|known| known.root == anchor.root) {
                        Some(known) => known.edge ^= anchor.edge,
                        None => merged.push(*anchor),
                    }
                }
                match *merged.as_slice() {
                    [anchor] => Self::One(anchor),
                    _ => Self::Many(merged.into_boxed_slice()),
                }
            }
        }
    }
}
