//! How far a shard is done: the checkpoint behind acks that come in any order.
//!
//! Instead of a set of intervals of what is done, the tracker keeps what isn't: each pending record
//! remembers the position that was emitted just before it. The checkpoint is then what stands before the
//! first pending record, and a million acks above one pending record take no memory at all.
//!
//! **Invariant:** the checkpoint never moves backwards, and nothing pending is at or below it.

use std::collections::BTreeMap;

use crate::position::Position;

/// A record's number among those its shard has emitted, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ordinal(pub(crate) u64);

/// Which records of a shard are emitted and not done. Memory: O(pending).
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    pending: BTreeMap<Ordinal, Pending>,
    n_emitted: u64,
    last: Option<Position>,
}

#[derive(Debug)]
struct Pending {
    /// What was emitted just before; `None` for the first record.
    before: Option<Position>,
    arrival_ms: Option<i64>,
}

impl Tracker {
    /// Books the first emit of a record. Positions increase from call to call.
    pub(crate) fn emit(&mut self, position: Position, arrival_ms: Option<i64>) -> Ordinal {
        debug_assert!(self.last.as_ref().is_none_or(|last| *last < position));
        let ordinal = Ordinal(self.n_emitted);
        let before = self.last.replace(position);
        self.pending.insert(ordinal, Pending { before, arrival_ms });
        self.n_emitted += 1;
        ordinal
    }

    /// Books that a record is done: acked, dead-lettered or dropped. False when it was done before.
    pub(crate) fn done(&mut self, ordinal: Ordinal) -> bool {
        self.pending.remove(&ordinal).is_some()
    }

    /// Returns the largest position such that every emitted one up to it is done.
    pub(crate) fn checkpoint(&self) -> Option<&Position> {
        match self.pending.first_key_value() {
            Some((_, first)) => first.before.as_ref(),
            None => self.last.as_ref(),
        }
    }

    /// Returns how many records are at or below the checkpoint.
    pub(crate) fn n_below_checkpoint(&self) -> u64 {
        let first = self.pending.first_key_value();
        first.map_or(self.n_emitted, |(ordinal, _)| ordinal.0)
    }

    /// Returns how many records are emitted and not done.
    pub(crate) fn n_pending(&self) -> usize {
        self.pending.len()
    }

    /// Returns when the oldest pending record arrived, where that is known.
    pub(crate) fn oldest_arrival_ms(&self) -> Option<i64> {
        self.pending.first_key_value()?.1.arrival_ms
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sequence::Sequence;

    /// Positions with gaps, beyond 128 bits.
    fn position(n: usize) -> Position {
        let text = format!(
            "4959033827149025660855969253836157109592157598913{:07}",
            n * 3
        );
        Position::plain(Sequence::parse(&text).unwrap())
    }

    #[test]
    fn a_million_acks_above_one_pending_record_take_no_memory() {
        let mut tracker = Tracker::default();
        let first = tracker.emit(position(0), None);
        for n in 1..=1_000_000 {
            let ordinal = tracker.emit(position(n), None);
            assert!(tracker.done(ordinal));
        }
        assert_eq!((tracker.pending.len(), tracker.checkpoint()), (1, None));
        tracker.done(first);
        assert_eq!(tracker.checkpoint(), Some(&position(1_000_000)));
    }

    #[test]
    fn the_oldest_pending_record_tells_the_lag() {
        let mut tracker = Tracker::default();
        let ordinals: Vec<_> = (0..3)
            .map(|n| tracker.emit(position(n), i64::try_from(n).ok()))
            .collect();
        tracker.done(ordinals[1]);
        assert_eq!(tracker.oldest_arrival_ms(), Some(0));
        tracker.done(ordinals[0]);
        assert_eq!(tracker.oldest_arrival_ms(), Some(2));
        tracker.done(ordinals[2]);
        assert_eq!(tracker.oldest_arrival_ms(), None);
    }

    proptest! {
        /// Against the definition, word by word, over a plain list.
        #[test]
        fn the_checkpoint_is_the_largest_position_below_which_all_is_done(
            steps in proptest::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..200)
        ) {
            let mut tracker = Tracker::default();
            let mut plain: Vec<(Ordinal, bool)> = Vec::new();
            let mut highest = None;
            for (emit, which) in steps {
                if emit || plain.is_empty() {
                    plain.push((tracker.emit(position(plain.len()), None), false));
                } else {
                    let idx = which.index(plain.len());
                    let (ordinal, done) = &mut plain[idx];
                    prop_assert_eq!(tracker.done(*ordinal), !*done);
                    *done = true;
                }
                let n_done = plain.iter().take_while(|(_, done)| *done).count();
                let expected = n_done.checked_sub(1).map(position);
                prop_assert_eq!(tracker.checkpoint(), expected.as_ref());
                prop_assert_eq!(tracker.n_below_checkpoint(), n_done as u64);
                prop_assert_eq!(tracker.n_pending(), plain.iter().filter(|(_, done)| !done).count());
                prop_assert!(highest <= expected, "never backwards");
                highest = expected;
            }
        }
    }
}
