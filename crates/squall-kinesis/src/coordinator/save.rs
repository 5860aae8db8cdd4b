//! Saves checkpoints, as `step(event, now) -> (effect, outcome)`: what has changed goes to the store in
//! chunks, one at a time, each write a compare-and-set on what its task saved before.
//!
//! ```text
//!   Idle --Wanted--> Committing --Committed--> the next chunk, or Idle
//!                      ^   | refused                      | failed: Idle, until it is wanted again
//!                      +-- Reading: whose write was it? --+
//! ```
//! A chunk is all or nothing; a round of several is not, and need not be: a shard's checkpoint says
//! nothing of another's. A parent's end and its child's progress can't even be in one round, for the
//! child is started when the end is stored.
//!
//! **Invariant:** a shard whose state somebody else has written is dropped: nothing of it is saved or
//! emitted any more by the reader that was running.
//!
//! **Invariant:** while the fate of a write is unknown, that write is repeated and nothing newer is written
//! to its key.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use squall_core::{Entry, Fence, Moment, StoreError, Write};
use tokio::sync::oneshot;

use crate::api::ShardId;
use crate::checkpoint::{Checkpoint, Keys, ShardState};
use crate::shard::Shared;
use crate::state::Chunk;

/// How often a round reads what refused it, before it is put off: each reading settles a shard at least,
/// unless the store contradicts itself.
const MAX_READINGS: u32 = 64;

/// The running shards of a task, as far as saving goes.
pub(crate) struct Saver {
    keys: Keys,
    fence: Fence,
    shards: BTreeMap<ShardId, Running>,
    state: State,
    /// The shards that the round has not looked at.
    to_visit: VecDeque<ShardId>,
    n_readings: u32,
    /// A round was wanted while one was under way.
    again: bool,
    /// Where the next round begins: behind what the last one did, so that a store that takes a few
    /// chunks at a time gets round to all.
    begin_at: Option<ShardId>,
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// What has changed is to be saved.
    Wanted,
    /// The answer to [`Effect::Commit`].
    Committed(Result<Vec<u64>, StoreError>),
    /// The answer to [`Effect::Read`].
    Read(Result<BTreeMap<ShardId, Entry>, StoreError>),
}

/// What the shell has to do; it reports back by the event that belongs to it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing until more is wanted.
    Rest,
    /// Write these, all or nothing.
    Commit(Vec<Write>),
    /// Read all that is stored of the stream's shards.
    Read,
}

/// What came of a step.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Shards whose end is saved; they run no more.
    pub(crate) finished: Vec<ShardId>,
    /// Shards that somebody else has written without a newer fence: to be started again from there.
    pub(crate) overtaken: Vec<ShardId>,
    /// Shards that a newer copy of a task owns: not ours any more.
    pub(crate) fenced: Vec<ShardId>,
    /// The shards whose checkpoints were saved, with their new versions.
    pub(crate) saved: Vec<(ShardId, ShardState, u64)>,
    /// What ended the round before its time.
    pub(crate) failed: Option<StoreError>,
}

#[derive(Debug)]
enum State {
    Idle,
    Committing(Vec<Written>),
    Reading(Vec<Written>),
}

/// A shard of a chunk.
#[derive(Debug)]
struct Written {
    id: ShardId,
    /// It was written before, without an answer: there may be more to write than this.
    repeated: bool,
}

struct Running {
    shared: Arc<Shared>,
    saved: ShardState,
    version: u64,
    /// What was written without an answer, and how many records it covers: when it stands there, the
    /// write was ours.
    unanswered: Option<(ShardState, u64)>,
    /// Dropping it ends the reader at once.
    reader: oneshot::Sender<()>,
}

impl Saver {
    pub(crate) const fn new(keys: Keys, fence: Fence) -> Self {
        Self {
            keys,
            fence,
            shards: BTreeMap::new(),
            state: State::Idle,
            to_visit: VecDeque::new(),
            n_readings: 0,
            again: false,
            begin_at: None,
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

    /// Tells whether a round is under way.
    pub(crate) const fn is_busy(&self) -> bool {
        !matches!(self.state, State::Idle)
    }

    /// Takes out the shards whose readers died of a fault of ours: to be started again.
    pub(crate) fn take_dead(&mut self) -> Vec<ShardId> {
        let is_dead = |running: &Running| {
            // A reader says how it ended before it goes.
            running.reader.is_closed() && running.shared.lock().end.is_none()
        };
        let dead = self.shards.extract_if(.., |_, running| is_dead(running));
        let drop_shard = |(id, running): (ShardId, Running)| {
            running.shared.lock().dropped = true;
            id
        };
        dead.map(drop_shard).collect()
    }

    /// Takes an event, and says what is to be done next.
    pub(crate) fn step(&mut self, event: Event, now: Moment) -> (Effect, Outcome) {
        let mut outcome = Outcome::default();
        let state = std::mem::replace(&mut self.state, State::Idle);
        let effect = match (event, state) {
            (Event::Wanted, State::Idle) => {
                self.begin_round();
                self.next_chunk(now)
            }
            (Event::Wanted, busy) => {
                self.again = true;
                self.state = busy;
                Effect::Rest
            }
            (Event::Committed(Ok(versions)), State::Committing(chunk)) => {
                for (written, version) in chunk.into_iter().zip(versions) {
                    if written.repeated {
                        self.to_visit.push_back(written.id.clone());
                    }
                    self.settle(written.id, version, now, &mut outcome);
                }
                self.next_chunk(now)
            }
            (
                Event::Committed(Err(StoreError::Conflict { .. } | StoreError::Fenced { .. })),
                State::Committing(chunk),
            ) if self.n_readings < MAX_READINGS => {
                self.n_readings += 1;
                self.state = State::Reading(chunk);
                Effect::Read
            }
            (Event::Read(Ok(found)), State::Reading(chunk)) => {
                for written in chunk {
                    self.resolve(written.id, &found, now, &mut outcome);
                }
                self.next_chunk(now)
            }
            (Event::Committed(Err(error)), State::Committing(chunk))
            | (Event::Read(Err(error)), State::Reading(chunk)) => {
                outcome.failed = Some(error);
                self.begin_at = chunk.into_iter().next().map(|written| written.id);
                self.to_visit.clear();
                self.again = false;
                Effect::Rest
            }
            // An answer that nobody has asked for.
            (_, state) => {
                self.state = state;
                Effect::Rest
            }
        };
        (effect, outcome)
    }

    /// All shards, from where the last round was broken off.
    fn begin_round(&mut self) {
        self.n_readings = 0;
        self.again = false;
        self.to_visit.clear();
        self.to_visit.extend(self.shards.keys().cloned());
        if let Some(begin_at) = self.begin_at.take() {
            let n_before = self.shards.range(..begin_at).count();
            self.to_visit.rotate_left(n_before);
        }
    }

    /// Gathers the next chunk of what has changed.
    fn next_chunk(&mut self, now: Moment) -> Effect {
        if self.to_visit.is_empty() && std::mem::take(&mut self.again) {
            self.begin_round();
        }
        let mut chunk = Chunk::default();
        let mut written = Vec::new();
        while let Some(id) = self.to_visit.pop_front() {
            let Some((write, covers)) = self.write_of(&id, now) else {
                continue;
            };
            if let Err(_full) = chunk.push(write) {
                self.to_visit.push_front(id);
                break;
            }
            let running = self.shards.get_mut(&id);
            let before = running.and_then(|running| running.unanswered.replace(covers));
            written.push(Written {
                id,
                repeated: before.is_some(),
            });
        }
        if written.is_empty() {
            return Effect::Rest;
        }
        self.state = State::Committing(written);
        Effect::Commit(chunk.into_writes())
    }

    /// Returns what is to be written of a shard, and what that covers; `None` when nothing is.
    fn write_of(&self, id: &ShardId, now: Moment) -> Option<(Write, (ShardState, u64))> {
        let running = self.shards.get(id)?;
        let covers = match &running.unanswered {
            Some(unanswered) => unanswered.clone(),
            None => running.due(now)?,
        };
        Some((
            Write {
                key: self.keys.of_shard(id),
                expected: Some(running.version),
                value: Some(covers.0.encode().ok()?),
            },
            covers,
        ))
    }

    /// Books that what was written stands there, and takes a shard out whose end is saved.
    fn settle(&mut self, id: ShardId, version: u64, now: Moment, outcome: &mut Outcome) {
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
        let saved = (id.clone(), running.saved.clone(), version);
        outcome.saved.push(saved);
        if running.saved.checkpoint == Checkpoint::ShardEnd {
            self.shards.remove(&id);
            outcome.finished.push(id);
        }
    }

    /// Finds out whose write a refused one met.
    fn resolve(
        &mut self,
        id: ShardId,
        found: &BTreeMap<ShardId, Entry>,
        now: Moment,
        outcome: &mut Outcome,
    ) {
        let Some(running) = self.shards.get(&id) else {
            return;
        };
        let found = found.get(&id);
        match found {
            Some(entry) if entry.version == running.version && entry.fence <= self.fence => {
                // Another shard of the chunk was refused.
                self.to_visit.push_front(id);
                return;
            }
            Some(entry) if entry.fence == self.fence && running.has_written(entry) => {
                // An answer was lost on the way. What has come since is to be written too.
                self.settle(id.clone(), entry.version, now, outcome);
                self.to_visit.push_back(id);
                return;
            }
            _ => {}
        }
        running.shared.lock().dropped = true;
        self.shards.remove(&id);
        match found {
            Some(entry) if entry.fence > self.fence => outcome.fenced.push(id),
            _ => outcome.overtaken.push(id),
        }
    }
}

impl Running {
    /// Returns the checkpoint that is to be saved and how many records it covers; `None` when it stands
    /// there already.
    fn due(&self, now: Moment) -> Option<(ShardState, u64)> {
        let mut progress = self.shared.lock();
        let n_covered = progress.tracker.n_below_checkpoint();
        let changed = progress.checkpoint();
        let changed = changed.filter(|checkpoint| *checkpoint != self.saved.checkpoint);
        let Some(checkpoint) = changed else {
            progress.saved_at = now;
            progress.n_saved = n_covered;
            return None;
        };
        let state = ShardState {
            checkpoint,
            parents: self.saved.parents.clone(),
        };
        Some((state, n_covered))
    }

    fn has_written(&self, entry: &Entry) -> bool {
        let unanswered = self.unanswered.as_ref();
        unanswered.is_some_and(|(unanswered, _)| {
            ShardState::decode(&entry.value).is_ok_and(|state| state == *unanswered)
        })
    }
}

#[cfg(test)]
mod tests;
