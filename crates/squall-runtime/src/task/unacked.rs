//! Which of a spout's messages were failed and not acked since.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use squall_core::MessageId;

use crate::stats::TaskStats;

/// The most messages that are remembered by their ids: at most 18 MiB. Beyond them each failure counts as
/// a message of its own, and none is taken off again.
const MAX_IDS: usize = 1 << 20;

/// The messages of one spout's task whose last verdict was a failure. Shown in the task's counters.
///
/// A message is known by its id. A spout that emits a failed message again does so under the same id, or
/// it has given that id up.
#[derive(Debug, Default)]
pub(crate) struct Unacked {
    ids: HashSet<u64, RandomState>,
    n_beyond: u64,
}

impl Unacked {
    /// Takes note that a message has failed.
    pub(crate) fn fail(&mut self, message: MessageId, stats: &TaskStats) {
        if self.ids.len() < MAX_IDS || self.ids.contains(&message.0) {
            self.ids.insert(message.0);
        } else {
            self.n_beyond += 1;
        }
        self.show(stats);
    }

    /// Takes note that a message was acked. Mostly none has failed: then it costs nothing.
    pub(crate) fn ack(&mut self, message: MessageId, stats: &TaskStats) {
        if !self.ids.is_empty() && self.ids.remove(&message.0) {
            self.show(stats);
        }
    }

    /// Forgets all: the instance that gave the ids is gone, and the next one begins anew.
    pub(crate) fn clear(&mut self, stats: &TaskStats) {
        *self = Self::default();
        self.show(stats);
    }

    fn show(&self, stats: &TaskStats) {
        stats.unacked.set(self.ids.len() as u64 + self.n_beyond);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_message_once_until_it_is_acked() {
        let (mut unacked, stats) = (Unacked::default(), TaskStats::new([]));
        for id in [7, 8, 7] {
            unacked.fail(MessageId(id), &stats);
        }
        assert_eq!(stats.unacked.get(), 2);
        for id in [7, 9] {
            unacked.ack(MessageId(id), &stats);
        }
        assert_eq!(stats.unacked.get(), 1);
        unacked.clear(&stats);
        assert_eq!(stats.unacked.get(), 0);
    }
}
