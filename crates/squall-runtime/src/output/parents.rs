//! What a row's trees learn of it: the id of a tuple that waits, or what was left of one that was called with.

use squall_core::AckToken;
use squall_core::engine::{Anchor, Anchors};

use crate::ack::{Lanes, Word};

/// Where the ids of a row's tuples go.
pub(super) enum Parents<'a> {
    /// To what these trees are told next.
    Trees(&'a mut Anchors),
    /// To what is said when the tokens end.
    Tokens(&'a [&'a AckToken]),
}

impl Parents<'_> {
    /// Brings a tuple to life that will wait in an edge.
    #[inline]
    pub(super) fn grow(&mut self, rng: &mut fastrand::Rng) -> Anchors {
        match self {
            Self::Trees(trees) => trees.grow(&mut || draw(rng)),
            Self::Tokens(tokens) => {
                let grown = tokens.iter().map(|token| token.grow(&mut || draw(rng)));
                grown.fold(Anchors::None, Anchors::merge)
            }
        }
    }

    /// Begins a call. In one tree, which the caller contributes to after it, the tuple needs no id.
    #[inline]
    pub(super) fn enter(&mut self, rng: &mut fastrand::Rng) -> Anchors {
        match self {
            Self::Trees(Anchors::None) => Anchors::None,
            Self::Trees(Anchors::One(Anchor { root, .. })) => Anchors::One(Anchor {
                root: *root,
                edge: 0,
            }),
            _ => self.grow(rng),
        }
    }

    /// Ends a call: takes what was left to the trees.
    #[inline]
    pub(super) fn leave(&mut self, left: &Anchors, lanes: &mut Lanes) {
        match (self, left) {
            (_, Anchors::None) => {}
            (Self::Trees(Anchors::One(parent)), Anchors::One(left)) => parent.edge ^= left.edge,
            _ => {
                for anchor in left.as_slice() {
                    lanes.push(anchor.root, Word::Xor(anchor.edge));
                }
            }
        }
    }
}

/// Draws an edge id: random and not zero.
pub(super) fn draw(rng: &mut fastrand::Rng) -> u64 {
    loop {
        let id = rng.u64(..);
        if id != 0 {
            return id;
        }
    }
}
