//! Where the tokens of one task report, from whatever thread they end on.

use std::sync::Arc;

use squall_core::engine::{Anchors, TokenReport, TokenSink};
use squall_core::{ComponentError, ComponentId, Failure};

use super::{Contribution, Inbox, Word};
use crate::stats::TaskStats;

/// Takes the reports of one task's tokens to the owners of their roots.
pub(crate) struct TokenDesk {
    component: ComponentId,
    inboxes: Arc<[Inbox]>,
    stats: Arc<TaskStats>,
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
        }
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
                self.stats.acked.add(1);
                if held {
                    self.tell(&anchors, |_| Word::Release);
                }
                self.tell(&anchors, Word::Xor);
            }
            TokenReport::Failed { error, held: _ } => {
                let error = error.unwrap_or_else(|| ComponentError::from("the token was dropped"));
                let failure = Failure::rejected(self.component.clone(), &error);
                self.stats.count_failure(failure.reason);
                self.tell(&anchors, |_| Word::Fail(Box::new(failure.clone())));
            }
            TokenReport::Held => self.tell(&anchors, |_| Word::Hold),
        }
    }
}
