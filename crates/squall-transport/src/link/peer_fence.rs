//! Which copy of another worker is the newest that anybody has heard of.

use squall_core::Fence;

/// The newest known fence of one peer. Only rises.
///
/// The assignment says in which epoch a peer was placed; the incarnation is known once it has spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerFence {
    newest: Fence,
}

/// What a fence that was heard of means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is the one that was known.
    Same,
    /// It is newer.
    Newer {
        /// The copy that has ended by that, if there was one; its incarnation is 0 if it never spoke.
        ended: Option<Fence>,
    },
    /// A newer one is known: whoever says this is an old copy, or talks of one.
    Stale {
        /// The one that is known.
        newest: Fence,
    },
}

impl PeerFence {
    /// Takes note of a fence that the peer itself has named.
    pub fn observe(&mut self, fence: Fence) -> Seen {
        if fence == self.newest {
            return Seen::Same;
        }
        if fence < self.newest {
            return Seen::Stale {
                newest: self.newest,
            };
        }
        let before = std::mem::replace(&mut self.newest, fence);
        // Incarnations count from 1: with 0, only the epoch was known. Who has never spoken to this worker
        // may have spoken to others: if it has moved, it has ended.
        let moved = fence.placement_epoch > before.placement_epoch;
        let ended = before.placement_epoch > 0 && (before.incarnation > 0 || moved);
        Seen::Newer {
            ended: ended.then_some(before),
        }
    }

    /// Takes note of the epoch in which an assignment places the peer.
    pub fn expect_epoch(&mut self, placement_epoch: u64) -> Seen {
        if placement_epoch == self.newest.placement_epoch {
            return Seen::Same;
        }
        self.observe(Fence {
            placement_epoch,
            incarnation: 0,
        })
    }

    /// Returns the newest fence. An incarnation of 0 stands for one that is not known.
    #[must_use]
    pub const fn newest(&self) -> Fence {
        self.newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn fence(placement_epoch: u64, incarnation: u64) -> Fence {
        Fence {
            placement_epoch,
            incarnation,
        }
    }

    #[test]
    fn only_rises_and_says_which_incarnation_has_ended() {
        let mut peer = PeerFence::default();
        assert_eq!(peer.expect_epoch(3), Seen::Newer { ended: None });
        assert_eq!(peer.observe(fence(3, 7)), Seen::Newer { ended: None });
        assert_eq!(peer.expect_epoch(3), Seen::Same);
        assert_eq!(peer.observe(fence(3, 7)), Seen::Same);
        let ended = Some(fence(3, 7));
        assert_eq!(peer.observe(fence(3, 8)), Seen::Newer { ended });
        let newest = fence(3, 8);
        assert_eq!(peer.observe(fence(3, 7)), Seen::Stale { newest });
        assert_eq!(peer.observe(fence(2, 99)), Seen::Stale { newest });
        assert_eq!(peer.expect_epoch(2), Seen::Stale { newest });
        // Moved: the old place's incarnation has ended, whatever the new one's is.
        let ended = Some(fence(3, 8));
        assert_eq!(peer.expect_epoch(4), Seen::Newer { ended });
        assert_eq!(peer.observe(fence(4, 1)), Seen::Newer { ended: None });
        assert_eq!(peer.newest(), fence(4, 1));
    }

    #[test]
    fn a_copy_that_never_spoke_has_ended_when_it_has_moved() {
        let mut peer = PeerFence::default();
        peer.expect_epoch(3);
        let ended = Some(fence(3, 0));
        assert_eq!(peer.expect_epoch(5), Seen::Newer { ended });
    }
}
