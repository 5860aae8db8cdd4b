//! Where sources in workers remember how far they came: the contract of `squall_core::CheckpointStore`, as
//! calls.

mod answers;

use squall_core::engine::WorkerIdx;
use squall_core::{
    Entry, Fence, MAX_KEY_BYTES, MAX_VALUE_BYTES, MAX_WRITES_PER_COMMIT, TopologyId, Write,
};

use crate::bounds::{MAX_COMMIT_BYTES, MAX_COMMITS};
use crate::check;
use crate::fence;
use crate::field::{At, FieldError};
use crate::hash::ClusterId;
use crate::names::topology_id;
use crate::wire;

pub use answers::{CheckpointOutcome, CheckpointPage};

/// Who reads or writes: a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointClient {
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its topology.
    pub topology: TopologyId,
    /// Which of the topology's workers.
    pub worker: WorkerIdx,
    /// Which copy of it.
    pub fence: Fence,
}

/// Asks for one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadCheckpoint {
    /// Who asks.
    pub client: CheckpointClient,
    /// The key: 1 to [`MAX_KEY_BYTES`].
    pub key: String,
}

/// Asks for the keys that begin with a text, a page at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListCheckpoints {
    /// Who asks.
    pub client: CheckpointClient,
    /// What the keys begin with.
    pub prefix: String,
    /// Only keys behind this one: the last of the page before.
    pub after: Option<String>,
}

/// Asks for writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitCheckpoints {
    /// Who asks. Its fence holds for all commits.
    pub client: CheckpointClient,
    /// Each is all or nothing, and independent of the others: 1 to [`MAX_COMMITS`], together at most
    /// [`MAX_WRITES_PER_COMMIT`] writes and [`MAX_COMMIT_BYTES`]. No key stands in it twice.
    pub commits: Vec<Vec<Write>>,
}

impl TryFrom<wire::CheckpointClient> for CheckpointClient {
    type Error = FieldError;

    fn try_from(wire: wire::CheckpointClient) -> Result<Self, FieldError> {
        Ok(Self {
            cluster: wire.cluster_id.parse().at("cluster_id")?,
            topology: topology_id("topology_id", wire.topology_id)?,
            worker: check::worker_idx("worker_idx", wire.worker_idx)?,
            fence: fence::started("fence", wire.fence)?,
        })
    }
}

impl From<CheckpointClient> for wire::CheckpointClient {
    fn from(client: CheckpointClient) -> Self {
        Self {
            cluster_id: client.cluster.to_string(),
            topology_id: client.topology.to_string(),
            worker_idx: client.worker.0,
            fence: Some(client.fence.into()),
        }
    }
}

/// Takes a key.
fn key(field: &str, key: String) -> Result<String, FieldError> {
    check::text(field, key, 1..=MAX_KEY_BYTES)
}

impl TryFrom<wire::CheckpointEntry> for (String, Entry) {
    type Error = FieldError;

    fn try_from(wire: wire::CheckpointEntry) -> Result<Self, FieldError> {
        let entry = Entry {
            value: check::bytes("value", wire.value, 0..=MAX_VALUE_BYTES)?,
            version: check::number("version", wire.version, 1..=u64::MAX)?,
            fence: check::required("fence", wire.fence)?,
        };
        Ok((key("key", wire.key)?, entry))
    }
}

impl From<(String, Entry)> for wire::CheckpointEntry {
    fn from((key, entry): (String, Entry)) -> Self {
        Self {
            key,
            value: entry.value,
            version: entry.version,
            fence: Some(entry.fence.into()),
        }
    }
}

impl TryFrom<wire::LoadCheckpointRequest> for LoadCheckpoint {
    type Error = FieldError;

    fn try_from(wire: wire::LoadCheckpointRequest) -> Result<Self, FieldError> {
        Ok(Self {
            client: check::required("client", wire.client)?,
            key: key("key", wire.key)?,
        })
    }
}

impl From<LoadCheckpoint> for wire::LoadCheckpointRequest {
    fn from(load: LoadCheckpoint) -> Self {
        Self {
            client: Some(load.client.into()),
            key: load.key,
        }
    }
}

impl TryFrom<wire::ListCheckpointsRequest> for ListCheckpoints {
    type Error = FieldError;

    fn try_from(wire: wire::ListCheckpointsRequest) -> Result<Self, FieldError> {
        let after = check::text("after_key", wire.after_key, 0..=MAX_KEY_BYTES)?;
        Ok(Self {
            client: check::required("client", wire.client)?,
            prefix: check::text("prefix", wire.prefix, 0..=MAX_KEY_BYTES)?,
            after: Some(after).filter(|key| !key.is_empty()),
        })
    }
}

impl From<ListCheckpoints> for wire::ListCheckpointsRequest {
    fn from(list: ListCheckpoints) -> Self {
        Self {
            client: Some(list.client.into()),
            prefix: list.prefix,
            after_key: list.after.unwrap_or_default(),
        }
    }
}

impl TryFrom<wire::CommitCheckpointsRequest> for CommitCheckpoints {
    type Error = FieldError;

    fn try_from(wire: wire::CommitCheckpointsRequest) -> Result<Self, FieldError> {
        let commits: Vec<Vec<Write>> = check::list("commits", wire.commits, 1..=MAX_COMMITS)?;
        let writes = || commits.iter().flatten();
        let n_writes = writes().count();
        check::within("commits", n_writes, &(1..=MAX_WRITES_PER_COMMIT), "writes")?;
        let bytes = |write: &Write| write.key.len() + write.value.as_ref().map_or(0, Vec::len);
        let n_bytes = writes().map(bytes).sum();
        check::within("commits", n_bytes, &(0..=MAX_COMMIT_BYTES), "bytes")?;
        check::distinct("commits.writes", writes().map(|write| &write.key), "key")?;
        Ok(Self {
            client: check::required("client", wire.client)?,
            commits,
        })
    }
}

impl From<CommitCheckpoints> for wire::CommitCheckpointsRequest {
    fn from(commit: CommitCheckpoints) -> Self {
        Self {
            client: Some(commit.client.into()),
            commits: commit.commits.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::CheckpointCommit> for Vec<Write> {
    type Error = FieldError;

    fn try_from(wire: wire::CheckpointCommit) -> Result<Self, FieldError> {
        check::list("writes", wire.writes, 1..=MAX_WRITES_PER_COMMIT)
    }
}

impl From<Vec<Write>> for wire::CheckpointCommit {
    fn from(writes: Vec<Write>) -> Self {
        Self {
            writes: writes.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::CheckpointWrite> for Write {
    type Error = FieldError;

    fn try_from(wire: wire::CheckpointWrite) -> Result<Self, FieldError> {
        let value = wire
            .value
            .map(|value| check::bytes("value", value, 0..=MAX_VALUE_BYTES));
        let expected = wire
            .expected_version
            .map(|version| check::number("expected_version", version, 1..=u64::MAX));
        Ok(Self {
            key: key("key", wire.key)?,
            expected: expected.transpose()?,
            value: value.transpose()?,
        })
    }
}

impl From<Write> for wire::CheckpointWrite {
    fn from(write: Write) -> Self {
        Self {
            key: write.key,
            expected_version: write.expected,
            value: write.value,
        }
    }
}
