//! The next desired state while it is being worked out: a copy is made only when something changes.

use std::sync::Arc;

use squall_core::Moment;

use super::desired::{Desired, Record};
use super::limits::Limits;

/// A desired state that may be edited.
pub(super) struct Draft<'a> {
    base: &'a Desired,
    next: Option<Desired>,
    pub(super) now: Moment,
    pub(super) limits: &'a Limits,
}

impl<'a> Draft<'a> {
    pub(super) const fn new(base: &'a Desired, now: Moment, limits: &'a Limits) -> Self {
        Self {
            base,
            next: None,
            now,
            limits,
        }
    }

    /// Returns the state as it is by now.
    pub(super) fn get(&self) -> &Desired {
        self.next.as_ref().unwrap_or(self.base)
    }

    /// Returns the state to change it.
    pub(super) fn edit(&mut self) -> &mut Desired {
        self.next.get_or_insert_with(|| self.base.clone())
    }

    /// Returns a topology.
    pub(super) fn record(&self, number: u64) -> Option<&Arc<Record>> {
        self.get().topologies.get(&number)
    }

    /// Returns a topology to change it.
    pub(super) fn edit_record(&mut self, number: u64) -> Option<&mut Record> {
        self.edit().topologies.get_mut(&number).map(Arc::make_mut)
    }

    /// Returns the next assignment version.
    pub(super) fn next_version(&mut self) -> u64 {
        let desired = self.edit();
        desired.last_version += 1;
        desired.last_version
    }

    /// Takes back all changes.
    pub(super) fn discard(&mut self) {
        self.next = None;
    }

    /// Returns the changed state; `None` if nothing has changed.
    pub(super) fn finish(self) -> Option<Desired> {
        self.next
    }
}
