//! Both ends of the lane to one owner of roots, between two workers.

use std::sync::Arc;
use std::task::Waker;

use squall_core::TaskId;
use squall_core::engine::{AckInlet, AckOutlet, Contribution};

use crate::ack::Inbox;

/// One owner's inbox: a link empties it when the owner is elsewhere, and fills it when it is here.
pub(crate) struct AckEnd {
    inboxes: Arc<[Inbox]>,
    owner: TaskId,
}

impl AckEnd {
    /// Makes the end of the lane to the task `owner`.
    pub(crate) const fn new(inboxes: Arc<[Inbox]>, owner: TaskId) -> Self {
        Self { inboxes, owner }
    }

    fn inbox(&self) -> Option<&Inbox> {
        self.inboxes.get(self.owner.idx())
    }
}

impl AckOutlet for AckEnd {
    fn take(&self, into: &mut Vec<Contribution>) {
        if let Some(inbox) = self.inbox() {
            inbox.bell().hush();
            inbox.drain(|contribution| into.push(contribution));
        }
    }

    fn set_waker(&self, waker: Waker) {
        if let Some(inbox) = self.inbox() {
            inbox.bell().set_waker(waker);
        }
    }
}

impl AckInlet for AckEnd {
    fn contribute(&self, contributions: &mut Vec<Contribution>) {
        match self.inbox() {
            _ if contributions.is_empty() => {}
            Some(inbox) => inbox.push_all(contributions.drain(..)),
            None => contributions.clear(),
        }
    }
}
