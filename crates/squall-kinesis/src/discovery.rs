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
use crate::checkpoint::{Checkpoint, ShardState, StreamState};
use crate::config::Resolved;

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
    /// Where a shard begins of which nothing is stored.
    pub(crate) beginning: Beginning<'a>,
}

/// Where shards begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beginning<'a> {
    /// What the config says of the shards that were there at the first start.
    pub(crate) initial: &'a Resolved,
    /// When that was, and which they were.
    pub(crate) stream: &'a StreamState,
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
    /// Shards of this task that are new to the state, to be stored before they are read. Only who owns a
    /// shard writes its key: another's fence might keep the owner from it.
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
        if view.share.owns(id) && !view.stored.contains_key(id) {
            let state = ShardState {
                checkpoint: view.beginning.of(id),
                parents: info.parents.clone(),
            };
            plan.create.push((id.clone(), state));
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

impl Beginning<'_> {
    /// Returns where a shard begins: by the config when it was there at the first start. One that came
    /// later holds nothing that was there before: all of it is new.
    pub(crate) fn of(&self, id: &ShardId) -> Checkpoint {
        let is_new = match (self.stream.newest, id.number()) {
            (Some(newest), Some(number)) => number > newest,
            // A name of another form, which doesn't tell.
            (Some(_), None) => false,
            (None, _) => true,
        };
        if is_new {
            Checkpoint::TrimHorizon
        } else {
            self.initial.checkpoint_of(id, self.stream.started_ms)
        }
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

#[cfg(test)]
mod tests;
