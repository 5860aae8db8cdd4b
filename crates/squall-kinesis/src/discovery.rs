//! Which shards are to be read now: lineage, eligibility, and what may be forgotten.
//!
//! A pure function of what is listed, what is stored and what runs. A shard becomes eligible when each
//! parent is finished, or is known neither to the stream nor to the state; so the records of a key come
//! in order across a reshard.
//!
//! **Invariant:** a shard that was not in the first listing starts at its oldest record.

use std::collections::{BTreeMap, BTreeSet};

use squall_core::{Value, hash_key};

use crate::api::{ShardId, ShardInfo};
use crate::checkpoint::{Checkpoint, ShardState};

/// All that the decision depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// The stream's shards as last listed.
    pub(crate) listed: &'a BTreeMap<ShardId, ShardInfo>,
    /// What is stored of the shards.
    pub(crate) stored: &'a BTreeMap<ShardId, ShardState>,
    /// The shards that this task reads, or has given up.
    pub(crate) taken: &'a BTreeSet<ShardId>,
    /// Which shards are this task's.
    pub(crate) share: Share,
}

/// The part of the shards that one of several tasks reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    /// The task's number among the component's.
    pub(crate) task_idx: usize,
    /// How many tasks the component has, at least 1.
    pub(crate) n_tasks: usize,
}

/// What is to be done now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Shards that are new to the state, to be stored before they are read. Of all tasks; but of closed
    /// ones only this task's, for its owner may have forgotten one that an older listing still has.
    pub(crate) create: Vec<(ShardId, ShardState)>,
    /// Shards of this task to start reading.
    pub(crate) start: Vec<ShardId>,
    /// Shards of this task that wait for a parent.
    pub(crate) waiting: Vec<ShardId>,
    /// Finished shards of this task that nothing refers to any more.
    pub(crate) forget: Vec<ShardId>,
    /// Every shard of the stream is closed and finished: nothing can come.
    pub(crate) finished: bool,
}

/// Decides; see [`Plan`].
pub(crate) fn plan(view: View<'_>) -> Plan {
    let mut plan = Plan::default();
    for (id, info) in view.listed {
        let wanted = view.share.owns(id) || !info.closed;
        if wanted && !view.stored.contains_key(id) {
            plan.create.push((id.clone(), new_state(info)));
        }
    }
    for (id, state) in view.stored {
        if !view.share.owns(id) {
            continue;
        }
        if state.checkpoint == Checkpoint::ShardEnd {
            if view.may_forget(id) {
                plan.forget.push(id.clone());
            }
        } else if !view.taken.contains(id) {
            if view.is_eligible(state) {
                plan.start.push(id.clone());
            } else {
                plan.waiting.push(id.clone());
            }
        }
    }
    plan.finished = !view.listed.is_empty()
        && view
            .listed
            .iter()
            .all(|(id, info)| info.closed && view.is_finished(id));
    plan
}

impl Share {
    /// Tells whether a shard is this task's: by the number in its name, which spreads neighbours; a name
    /// without a number by its hash.
    pub(crate) fn owns(self, shard: &ShardId) -> bool {
        let name = || hash_key([&Value::Str(shard.as_value().clone())]);
        let number = shard.number().unwrap_or_else(name);
        let n_tasks = u64::try_from(self.n_tasks.max(1)).unwrap_or(1);
        usize::try_from(number % n_tasks).is_ok_and(|task_idx| task_idx == self.task_idx)
    }
}

impl View<'_> {
    fn is_finished(&self, id: &ShardId) -> bool {
        let state = self.stored.get(id);
        state.is_some_and(|state| state.checkpoint == Checkpoint::ShardEnd)
    }

    fn is_eligible(&self, state: &ShardState) -> bool {
        state.parents.iter().all(|parent| {
            let unknown = !self.listed.contains_key(parent) && !self.stored.contains_key(parent);
            unknown || self.is_finished(parent)
        })
    }

    /// A finished shard is kept while it is listed, and while a child of it has made no progress: the
    /// child would look like a shard without a past.
    fn may_forget(&self, id: &ShardId) -> bool {
        let mut children = self
            .stored
            .values()
            .filter(|state| state.parents.contains(id));
        !self.listed.contains_key(id)
            && children.all(|child| {
                matches!(
                    child.checkpoint,
                    Checkpoint::After(_) | Checkpoint::ShardEnd
                )
            })
    }
}

/// A shard that appears later holds nothing that was there at the first start: all of it is new.
fn new_state(info: &ShardInfo) -> ShardState {
    ShardState {
        checkpoint: Checkpoint::TrimHorizon,
        parents: info.parents.clone(),
    }
}

#[cfg(test)]
mod tests;
