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
    /// Returns the shards whose ends are stored.
    pub(crate) fn ended(&self) -> impl Iterator<Item = &ShardId> {
        let ended = |state: &ShardState| state.checkpoint == Checkpoint::ShardEnd;
        let shards = self.shards.iter();
        shards.filter_map(move |(id, state)| ended(state).then_some(id))
    }

    /// Tells whether a shard's end is stored.
    pub(crate) fn has_ended(&self, id: &ShardId) -> bool {
        let state = self.shards.get(id);
        state.is_some_and(|state| state.checkpoint == Checkpoint::ShardEnd)
    }

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

/// How long an operation of the checkpoint store may take: longer than a store behind a network takes to
/// say that it is away. A longer one counts as failed, though it may have been done, or be done yet.
const STORE_TIMEOUT: Duration = Duration::from_secs(15);

/// How often a creation is tried that other tasks' creations get in the way of; each try leaves out what
/// they have created.
const MAX_TRIES: usize = 1000;

/// The place of one stream's state. No operation takes longer than fifteen seconds.
#[derive(Clone)]
pub(crate) struct StateStore {
    pub(crate) store: Arc<dyn CheckpointStore>,
    pub(crate) keys: Keys,
    /// Under which the task writes.
    pub(crate) fence: Fence,
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
            newest: None,
        };
        let write = self.stream_write(&stream, None)?;
        match self.commit(vec![write]).await {
            Ok(_) | Err(StoreError::Conflict { .. } | StoreError::Fenced { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        self.load_stream().await
    }

    /// Stores which shards were there at the first start, unless another task was faster: then its word
    /// stands. Returns what is stored.
    pub(crate) async fn note_listing(
        &self,
        (stream, version): (StreamState, u64),
        listed: &[ShardInfo],
    ) -> Result<StreamState, StateError> {
        if !stream.unlisted {
            return Ok(stream);
        }
        let newest = listed.iter().filter_map(|info| info.id.number()).max();
        let noted = StreamState {
            unlisted: false,
            newest: Some(newest.unwrap_or(0)),
            ..stream
        };
        let write = self.stream_write(&noted, Some(version))?;
        match self.commit(vec![write]).await {
            Ok(_) => return Ok(noted),
            Err(StoreError::Conflict { .. } | StoreError::Fenced { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let (found, _) = self.load_stream().await?;
        if found.unlisted {
            let reason = "another task has begun and not listed the stream yet";
            return Err(StoreError::Unavailable(reason.to_owned()).into());
        }
        Ok(found)
    }

    async fn load_stream(&self) -> Result<(StreamState, u64), StateError> {
        // Somebody may have deleted the state that was just begun.
        let gone = || StoreError::Unavailable("the first start is gone".to_owned());
        Ok(self.load().await?.stream.ok_or_else(gone)?)
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
            match self.commit(writes).await {
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
    pub(crate) async fn delete(&self, shards: &[(ShardId, u64)]) -> Result<(), StoreError> {
        let delete = |(shard, version): &(ShardId, u64)| Write {
            key: self.keys.of_shard(shard),
            expected: Some(*version),
            value: None,
        };
        let writes = shards.iter().map(delete).collect();
        self.commit(writes).await.map(drop)
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
    pub(crate) async fn commit(&self, writes: Vec<Write>) -> Result<Vec<u64>, StoreError> {
        in_time("a commit", self.store.commit(self.fence, writes)).await
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
