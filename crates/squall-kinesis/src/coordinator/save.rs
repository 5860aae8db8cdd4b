//! Saves checkpoints: all that have changed in one commit, each as a compare-and-set on what its task
//! saved before.
//!
//! **Invariant:** a shard whose state somebody else has written is dropped: nothing of it is saved or
//! emitted any more by the reader that was running.

use std::collections::BTreeMap;
use std::sync::Arc;

use squall_core::{Clock, Fence, StoreError, Write};
use tokio::sync::oneshot;

use crate::api::ShardId;
use crate::checkpoint::{Checkpoint, ShardState};
use crate::problem::{Problem, Reporter};
use crate::shard::Shared;
use crate::state::StateStore;

/// The running shards of a task, as far as saving goes.
pub(crate) struct Saver {
    state: StateStore,
    clock: Arc<dyn Clock>,
    fence: Fence,
    shards: BTreeMap<ShardId, Running>,
    reporter: Arc<Reporter>,
}

struct Running {
    shared: Arc<Shared>,
    saved: ShardState,
    version: u64,
    /// What was written without an answer, and how many records it covers. It is written again, and
    /// nothing newer, until its fate is known: when it stands there, the write was ours.
    unanswered: Option<(ShardState, u64)>,
    /// Dropping it ends the reader at once.
    reader: oneshot::Sender<()>,
}

/// What came of a save.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Shards whose end is saved; they run no more.
    pub(crate) finished: Vec<ShardId>,
    /// Shards that somebody else has written under the same fence: to be started again from there.
    pub(crate) overtaken: Vec<ShardId>,
    /// Shards that a newer copy of a task owns: not ours any more.
    pub(crate) fenced: Vec<ShardId>,
    /// What kept some from being saved.
    pub(crate) failed: Option<StoreError>,
    /// The shards whose checkpoints were saved, with their new versions.
    pub(crate) saved: Vec<(ShardId, ShardState, u64)>,
}

/// A checkpoint that is to be saved, and how many records it covers.
struct Due {
    id: ShardId,
    state: ShardState,
    n_covered: u64,
    /// It was written before, without an answer.
    repeated: bool,
}

impl Saver {
    pub(crate) const fn new(
        state: StateStore,
        clock: Arc<dyn Clock>,
        fence: Fence,
        reporter: Arc<Reporter>,
    ) -> Self {
        Self {
            state,
            clock,
            fence,
            shards: BTreeMap::new(),
            reporter,
        }
    }

    /// Takes on a shard that starts from what is stored under `version`.
    ///
    /// The reader ends at once when `reader` is dropped.
    pub(crate) fn add(
        &mut self,
        shared: Arc<Shared>,
        (saved, version): (ShardState, u64),
        reader: oneshot::Sender<()>,
    ) {
        let running = Running {
            shared,
            saved,
            version,
            unanswered: None,
            reader,
        };
        self.shards.insert(running.shared.id.clone(), running);
    }

    /// Returns the running shards.
    pub(crate) fn shards(&self) -> impl Iterator<Item = &Arc<Shared>> {
        self.shards.values().map(|running| &running.shared)
    }

    /// Takes out the shards whose readers died of a fault of ours: to be started again.
    pub(crate) fn take_dead(&mut self) -> Vec<ShardId> {
        let is_dead = |running: &Running| {
            // A reader says how it ended before it goes.
            running.reader.is_closed() && running.shared.lock().end.is_none()
        };
        let dead = self.shards.extract_if(.., |_, running| is_dead(running));
        let drop_shard = |(id, running): (ShardId, Running)| {
            tracing::error!(shard_id = %id, "the shard's reader died: starting another");
            running.shared.lock().dropped = true;
            id
        };
        dead.map(drop_shard).collect()
    }

    /// Saves what has changed. What can't be saved stays to be saved.
    pub(crate) async fn save(&mut self) -> Outcome {
        let mut outcome = Outcome::default();
        loop {
            let due = self.due();
            if due.is_empty() {
                return outcome;
            }
            let answer = match self.writes(&due) {
                Ok(writes) => self.commit(writes).await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(versions) => {
                    let repeated = due.iter().any(|due| due.repeated);
                    self.succeeded(due, &versions, &mut outcome);
                    if !repeated {
                        return outcome;
                    }
                }
                Err(StoreError::Conflict { key, .. } | StoreError::Fenced { key, .. })
                    if self.resolve(&key, &mut outcome).await => {}
                Err(error) => {
                    self.reporter.store_failed(Problem::StateUnwritable, &error);
                    outcome.failed = Some(error);
                    return outcome;
                }
            }
        }
    }

    fn due(&self) -> Vec<Due> {
        let now = self.clock.now();
        let mut due = Vec::new();
        for (id, running) in &self.shards {
            if let Some((state, n_covered)) = &running.unanswered {
                due.push(Due {
                    id: id.clone(),
                    state: state.clone(),
                    n_covered: *n_covered,
                    repeated: true,
                });
                continue;
            }
            let mut progress = running.shared.lock();
            match progress.checkpoint() {
                Some(checkpoint) if checkpoint != running.saved.checkpoint => due.push(Due {
                    id: id.clone(),
                    state: ShardState {
                        checkpoint,
                        parents: running.saved.parents.clone(),
                    },
                    n_covered: progress.tracker.n_below_checkpoint(),
                    repeated: false,
                }),
                Some(_) => {
                    progress.saved_at = now;
                    progress.n_saved = progress.tracker.n_below_checkpoint();
                }
                None => progress.saved_at = now,
            }
        }
        due
    }

    fn writes(&mut self, due: &[Due]) -> Result<Vec<Write>, StoreError> {
        let mut writes = Vec::with_capacity(due.len());
        for due in due {
            let Some(running) = self.shards.get_mut(&due.id) else {
                continue;
            };
            let value = due.state.encode();
            let value = value.map_err(|error| StoreError::Invalid(error.to_string()))?;
            running.unanswered = Some((due.state.clone(), due.n_covered));
            writes.push(Write {
                key: self.state.keys.of_shard(&due.id),
                expected: Some(running.version),
                value: Some(value),
            });
        }
        Ok(writes)
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Vec<u64>, StoreError> {
        self.state.commit(self.fence, writes).await
    }

    fn succeeded(&mut self, due: Vec<Due>, versions: &[u64], outcome: &mut Outcome) {
        self.reporter.store_succeeded(Problem::StateUnwritable);
        for (due, version) in due.into_iter().zip(versions) {
            self.settle(due.id, *version, outcome);
        }
    }

    /// Books that what was written stands there, and takes a shard out whose end is saved.
    fn settle(&mut self, id: ShardId, version: u64, outcome: &mut Outcome) {
        let now = self.clock.now();
        let Some(running) = self.shards.get_mut(&id) else {
            return;
        };
        running.version = version;
        if let Some((state, n_covered)) = running.unanswered.take() {
            running.saved = state;
            let mut progress = running.shared.lock();
            progress.n_saved = n_covered;
            progress.saved_at = now;
        }
        let saved = (id.clone(), running.saved.clone(), running.version);
        outcome.saved.push(saved);
        if running.saved.checkpoint == Checkpoint::ShardEnd {
            self.shards.remove(&id);
            outcome.finished.push(id);
        }
    }

    /// Finds out whose write a refused one met. True when the rest can be tried again.
    async fn resolve(&mut self, key: &str, outcome: &mut Outcome) -> bool {
        let Ok(found) = self.state.load_key(key).await else {
            return false;
        };
        let mut running = self.shards.iter_mut();
        let Some((id, running)) = running.find(|(id, _)| self.state.keys.of_shard(id) == key)
        else {
            return false;
        };
        let id = id.clone();
        if let Some(entry) = &found
            && entry.fence == self.fence
            && let Some((unanswered, _)) = &running.unanswered
            && ShardState::decode(&entry.value).is_ok_and(|state| state == *unanswered)
        {
            // An answer was lost on the way: the write is ours.
            self.settle(id, entry.version, outcome);
            return true;
        }
        tracing::error!(shard_id = %id, "somebody else has written the checkpoint: shard dropped");
        running.shared.lock().dropped = true;
        self.shards.remove(&id);
        match found {
            Some(entry) if entry.fence > self.fence => outcome.fenced.push(id),
            _ => outcome.overtaken.push(id),
        }
        true
    }
}
