//! What a row's trees learn of it: the id of a tuple that waits, or what was left of one that was called with.

use squall_core::engine::{Anchor, Anchors, Batch};
use squall_core::{AckToken, Value};

use crate::ack::Lanes;
use crate::draft::{Draft, Origin};
use crate::task::Neighbour;

/// Where the ids of a row's tuples go.
pub(super) enum Parents<'a> {
    /// To what these trees are told next.
    Trees(&'a mut Anchors),
    /// To what is said when the tokens end.
    Tokens(&'a [&'a AckToken]),
}

impl Parents<'_> {
    /// Brings a tuple to life that will wait in an edge: adds its row to a delivery.
    #[inline]
    pub(super) fn lay(
        &mut self,
        draft: &mut Draft,
        origin: Origin<'_>,
        bytes: usize,
        rng: &mut fastrand::Rng,
        lay: impl FnOnce(&mut Batch),
    ) {
        match self {
            Self::Trees(Anchors::None) => draft.push_untracked(origin, bytes, lay),
            Self::Trees(Anchors::One(parent)) => {
                let (root, edge) = (parent.root, draw(rng));
                parent.edge ^= edge;
                draft.push_anchored(origin, Anchor { root, edge }, bytes, lay);
            }
            _ => draft.push(origin, &self.grow(rng), bytes, lay),
        }
    }

    /// Draws an id for a tuple in each of its trees.
    fn grow(&mut self, rng: &mut fastrand::Rng) -> Anchors {
        match self {
            Self::Trees(trees) => trees.grow(&mut || draw(rng)),
            Self::Tokens(tokens) => {
                let grown = tokens.iter().map(|token| token.grow(&mut || draw(rng)));
                grown.fold(Anchors::None, Anchors::merge)
            }
        }
    }

    /// Calls a reader with the row. In the caller's trees the tuple needs no id: what the call has to contribute is
    /// said with what the caller has. Under tokens it has one, as a token may end at any time.
    #[inline]
    pub(super) fn call(
        &mut self,
        reader: &mut Neighbour,
        origin: Origin<'_>,
        row: &mut Vec<Value>,
        rng: &mut fastrand::Rng,
        lanes: &mut Lanes,
    ) {
        if let Self::Trees(trees) = self {
            return reader.call(origin, row, trees);
        }
        let mut trees = self.grow(rng);
        reader.call(origin, row, &mut trees);
        for anchor in trees.as_slice() {
            lanes.push_xor(anchor.root, anchor.edge);
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
