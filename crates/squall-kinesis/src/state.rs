//! The stored state of one application's stream: reading it, beginning it, adding to it.

mod chunk;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use squall_core::{CheckpointStore, Entry, Fence, StoreError, Write};
use thiserror::Error;
use tokio::time::timeout;

use crate::api::{ShardId, ShardInfo};
use crate::checkpoint::{Checkpoint, FormatError, Keys, Part, ShardState, StreamState};
use crate::config::Resolved;

pub(crate) use chunk::{Chunk, MAX_WRITES};

/// Everything that is stored of a stream.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// The stream, and the version of its key; `None` before the first start.
    pub(crate) stream: Option<(StreamState, u64)>,
    /// The shards.
    pub(crate) shards: BTreeMap<ShardId, ShardState>,
    /// The version of each shard's key.
    pub(crate) versions: BTreeMap<ShardId, u64>,
}

impl Stored {
    /// Tells whether a record of the stream was ever done.
    pub(crate) fn has_progress(&self) -> bool {
        self.shards.values().any(|state| {
            matches!(
                state.checkpoint,
                Checkpoint::After(_) | Checkpoint::ShardEnd
            )
        })
    }
}

/// A state that can't be read or written.
#[derive(Debug, Error)]
pub(crate) enum StateError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("`{key}`: {source}")]
    Format { key: String, source: FormatError },
}

/// How long an operation of the checkpoint store may take. A longer one counts as failed, though it may
/// have been done, or be done yet.
const STORE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a creation is tried that other tasks' creations get in the way of; each try leaves out what
/// they have created.
const MAX_TRIES: usize = 1000;

/// The place of one stream's state. No operation takes longer than ten seconds.
#[derive(Clone)]
pub(crate) struct StateStore {
    pub(crate) store: Arc<dyn CheckpointStore>,
    pub(crate) keys: Keys,
}

impl StateStore {
    /// Reads everything. An error is no empty state.
    pub(crate) async fn load(&self) -> Result<Stored, StateError> {
        let mut stored = Stored::default();
        let listing = self.store.list(self.keys.prefix());
        for (key, entry) in in_time("a listing", listing).await? {
            let part = self.keys.part(&key);
            let damaged = |source| StateError::Format { key, source };
            match part {
                Some(Part::Stream) => {
                    let stream = StreamState::decode(&entry.value).map_err(damaged)?;
                    stored.stream = Some((stream, entry.version));
                }
                Some(Part::Shard(id)) => {
                    let state = ShardState::decode(&entry.value).map_err(damaged)?;
                    stored.shards.insert(id.clone(), state);
                    stored.versions.insert(id, entry.version);
                }
                None => {}
            }
        }
        Ok(stored)
    }

    /// Stores when the application was first started, and returns that with the version of its key: when
    /// it was noted before, or another task is faster, the first word stands.
    pub(crate) async fn note_start(
        &self,
        found: Option<(StreamState, u64)>,
        now_ms: u64,
    ) -> Result<(StreamState, u64), StateError> {
        if let Some(noted) = found {
            return Ok(noted);
        }
        let stream = StreamState {
            started_ms: now_ms,
            unlisted: true,
        };
        let write = self.stream_write(&stream, None)?;
        self.commit_unless_there(vec![write]).await?;
        let noted = self.load().await?.stream;
        noted.ok_or_else(forgotten)
    }

    /// Stores the initial position of each listed shard, once: when another task was faster, its word
    /// stands. The stream counts as begun when the last chunk is stored; each is refused when another
    /// task's was stored since, so that nobody adds to a state that runs already.
    pub(crate) async fn begin(
        &self,
        initial: &Resolved,
        listed: &[ShardInfo],
        stored: &Stored,
        noted: (StreamState, u64),
    ) -> Result<(), StateError> {
        let (mut stream, mut version) = noted;
        let new = listed
            .iter()
            .filter(|info| !stored.shards.contains_key(&info.id));
        let states = new.map(|info| {
            let state = ShardState {
                checkpoint: initial.checkpoint_of(&info.id, stream.started_ms),
                parents: info.parents.clone(),
            };
            (info.id.clone(), state)
        });
        let mut missing = self.creations(states)?;
        for _ in 0..MAX_TRIES {
            if !stream.unlisted {
                return Ok(());
            }
            let mut rest = missing.clone();
            let mut writes = Chunk::take_from(&mut rest).into_writes();
            let mark = StreamState {
                unlisted: !rest.is_empty(),
                ..stream.clone()
            };
            writes.push(self.stream_write(&mark, Some(version))?);
            match self.commit(Fence::default(), writes).await {
                Ok(versions) => {
                    version = versions.last().copied().unwrap_or(version);
                    (stream, missing) = (mark, rest);
                }
                Err(StoreError::Conflict { .. } | StoreError::Fenced { .. }) => {
                    let found = self.load().await?;
                    missing.retain(|write| !self.has(&found, write));
                    (stream, version) = found.stream.ok_or_else(forgotten)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Unavailable("other tasks write the same keys".to_owned()).into())
    }

    /// Stores shards that are new, each unless it is there already.
    pub(crate) async fn create(
        &self,
        shards: impl IntoIterator<Item = (ShardId, ShardState)>,
    ) -> Result<(), StateError> {
        let mut missing = self.creations(shards)?;
        for _ in 0..MAX_TRIES {
            let mut rest = missing.clone();
            let writes = Chunk::take_from(&mut rest).into_writes();
            if writes.is_empty() {
                return Ok(());
            }
            match self.commit(Fence::default(), writes).await {
                Ok(_) => missing = rest,
                Err(StoreError::Conflict { .. } | StoreError::Fenced { .. }) => {
                    let found = self.load().await?;
                    missing.retain(|write| !self.has(&found, write));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Unavailable("other tasks write the same keys".to_owned()).into())
    }

    /// Deletes what is stored of shards, unless somebody has written it since: then nothing.
    pub(crate) async fn delete(
        &self,
        shards: &[(ShardId, u64)],
        fence: Fence,
    ) -> Result<(), StoreError> {
        let delete = |(shard, version): &(ShardId, u64)| Write {
            key: self.keys.of_shard(shard),
            expected: Some(*version),
            value: None,
        };
        let writes = shards.iter().map(delete).collect();
        self.commit(fence, writes).await.map(drop)
    }

    /// Reads what is stored of each shard, as it is.
    pub(crate) async fn entries(&self) -> Result<BTreeMap<ShardId, Entry>, StoreError> {
        let listing = self.store.list(self.keys.prefix());
        let found = in_time("a listing", listing).await?;
        let of_shard = |(key, entry): (String, Entry)| match self.keys.part(&key) {
            Some(Part::Shard(id)) => Some((id, entry)),
            Some(Part::Stream) | None => None,
        };
        Ok(found.into_iter().filter_map(of_shard).collect())
    }

    /// Writes all or nothing; after [`StoreError::Unavailable`] nobody knows which.
    pub(crate) async fn commit(
        &self,
        fence: Fence,
        writes: Vec<Write>,
    ) -> Result<Vec<u64>, StoreError> {
        in_time("a commit", self.store.commit(fence, writes)).await
    }

    fn stream_write(
        &self,
        stream: &StreamState,
        expected: Option<u64>,
    ) -> Result<Write, StateError> {
        let key = self.keys.of_stream();
        match stream.encode() {
            Ok(value) => Ok(Write {
                key,
                expected,
                value: Some(value),
            }),
            Err(source) => Err(StateError::Format { key, source }),
        }
    }

    fn creations(
        &self,
        shards: impl IntoIterator<Item = (ShardId, ShardState)>,
    ) -> Result<VecDeque<Write>, StateError> {
        let creation = |(id, state): (ShardId, ShardState)| {
            let key = self.keys.of_shard(&id);
            match state.encode() {
                Ok(value) => Ok(Write {
                    key,
                    expected: None,
                    value: Some(value),
                }),
                Err(source) => Err(StateError::Format { key, source }),
            }
        };
        shards.into_iter().map(creation).collect()
    }

    fn has(&self, stored: &Stored, write: &Write) -> bool {
        match self.keys.part(&write.key) {
            Some(Part::Shard(id)) => stored.shards.contains_key(&id),
            Some(Part::Stream) | None => false,
        }
    }

    /// The least fence: the shard may belong to another task, whose own fence must not be lower.
    async fn commit_unless_there(&self, writes: Vec<Write>) -> Result<(), StateError> {
        match self.commit(Fence::default(), writes).await {
            Ok(_) | Err(StoreError::Conflict { .. } | StoreError::Fenced { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Deletes all that is stored of an application's stream, so that its next start is its first. Returns
/// how many shards were forgotten. The topology must not be running.
///
/// # Errors
/// Any [`StoreError`]; nothing was deleted, or, above a thousand shards, only a part.
pub async fn forget(
    store: &dyn CheckpointStore,
    application: &str,
    stream: &str,
) -> Result<usize, StoreError> {
    let keys = Keys::new(application, stream);
    let mut found = in_time("a listing", store.list(keys.prefix())).await?;
    found.retain(|(key, _)| keys.part(key).is_some());
    let fence = found.iter().map(|(_, entry)| entry.fence).max();
    let fence = fence.unwrap_or_default();
    let of_shard = |(key, _): &&(String, _)| matches!(keys.part(key), Some(Part::Shard(_)));
    let n_shards = found.iter().filter(of_shard).count();
    let delete = |(key, entry): &(String, Entry)| Write {
        key: key.clone(),
        expected: Some(entry.version),
        value: None,
    };
    for part in found.chunks(MAX_WRITES) {
        let writes = part.iter().map(delete).collect();
        in_time("a commit", store.commit(fence, writes)).await?;
    }
    Ok(n_shards)
}

/// Somebody has deleted the state that was just begun.
fn forgotten() -> StateError {
    StoreError::Unavailable("the first start is gone".to_owned()).into()
}

async fn in_time<T>(
    what: &str,
    operation: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let silent = |_| {
        let reason = format!("{what} had no answer within {}s", STORE_TIMEOUT.as_secs());
        Err(StoreError::Unavailable(reason))
    };
    timeout(STORE_TIMEOUT, operation)
        .await
        .unwrap_or_else(silent)
}
