//! Where the tokens of one task report, from whatever thread they end on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use squall_core::engine::{Anchors, TokenReport, TokenSink};
use squall_core::{ComponentId, Failure, FailureReason};

use super::{Contribution, Inbox, Word};
use crate::stats::TaskStats;

/// Takes the reports of one task's tokens to the owners of their roots.
pub(crate) struct TokenDesk {
    component: ComponentId,
    inboxes: Arc<[Inbox]>,
    stats: Arc<TaskStats>,
    /// Why tokens are being dropped, when it isn't the author who drops them.
    dropping: AtomicU8,
}

/// Why the engine drops an instance, and its tokens with it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Dropping {
    /// The task is started anew: innocent tuples are lost, and no attempt of theirs is used up.
    Restart = 1,
    /// The task ends.
    End = 2,
}

impl TokenDesk {
    pub(crate) const fn new(
        component: ComponentId,
        inboxes: Arc<[Inbox]>,
        stats: Arc<TaskStats>,
    ) -> Self {
        Self {
            component,
            inboxes,
            stats,
            dropping: AtomicU8::new(0),
        }
    }

    /// Takes note of a new token.
    pub(crate) fn count_token(&self) {
        self.stats.deferred.add(1);
    }

    /// Makes the desk of the task's next instance.
    pub(crate) fn renew(&self) -> Self {
        Self::new(
            self.component.clone(),
            self.inboxes.clone(),
            self.stats.clone(),
        )
    }

    /// Drops an instance. Its tokens that are dropped from now on, here or in work that it has spawned,
    /// fail for that reason, not as the author's doing.
    pub(crate) fn drop_instance(&self, why: Dropping, drop_it: impl FnOnce()) {
        self.dropping.store(why as u8, Ordering::SeqCst);
        drop_it();
    }

    fn failure_of_dropped(&self) -> Failure {
        let (reason, text) = match self.dropping.load(Ordering::SeqCst) {
            1 => (
                FailureReason::Lost,
                "the task that kept the token was started anew",
            ),
            2 => (
                FailureReason::Drained,
                "the task that kept the token has ended",
            ),
            _ => (FailureReason::Rejected, "the token was dropped"),
        };
        Failure::new(reason, Some(self.component.clone()), text)
    }

    fn tell(&self, anchors: &Anchors, mut word: impl FnMut(u64) -> Word) {
        for anchor in anchors.as_slice() {
            if let Some(inbox) = self.inboxes.get(anchor.root.task.idx()) {
                let (slot, generation) = (anchor.root.slot, anchor.root.generation);
                inbox.push(Contribution {
                    slot,
                    generation,
                    word: word(anchor.edge),
                });
            }
        }
    }
}

impl TokenSink for TokenDesk {
    fn report(&self, anchors: Anchors, report: TokenReport) {
        match report {
            TokenReport::Acked { held } => {
                self.stats.deferred.remove(1);
                self.stats.acked.add(1);
                if held {
                    self.tell(&anchors, |_| Word::Release);
                }
                self.tell(&anchors, Word::Xor);
            }
            TokenReport::Failed { error, held: _ } => {
                self.stats.deferred.remove(1);
                let failure = match error {
                    Some(error) => Failure::rejected(self.component.clone(), &error),
                    None => self.failure_of_dropped(),
                };
                self.stats.count_failure(failure.reason);
                self.tell(&anchors, |_| Word::Fail(Box::new(failure.clone())));
            }
            TokenReport::Held => self.tell(&anchors, |_| Word::Hold),
        }
    }
}
