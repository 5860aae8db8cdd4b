//! What nimbus answers to those who read and write checkpoints.

use squall_core::{Entry, Fence, MAX_WRITES_PER_COMMIT, StoreError};

use crate::bounds::{MAX_COMMITS, MAX_PAGE_BYTES, MAX_PAGE_ENTRIES};
use crate::check;
use crate::checkpoints::key;
use crate::field::{At, FieldError};
use crate::wire;

/// A page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointPage {
    /// In the order of the keys' bytes: at most [`MAX_PAGE_ENTRIES`] and [`MAX_PAGE_BYTES`] of keys and
    /// values.
    pub entries: Vec<(String, Entry)>,
    /// There are further ones behind the last of these.
    pub more: bool,
}

/// What became of one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointOutcome {
    /// It is durable. The new versions, in the order of the writes; 0 for a deleted key.
    Committed(Vec<u64>),
    /// A key has another version than expected: nothing was written.
    Conflict {
        /// The key.
        key: String,
        /// The version that the write named.
        expected: Option<u64>,
        /// The version there is.
        found: Option<u64>,
    },
    /// A newer copy of the task has written: nothing was written, and the asker must stop.
    Fenced {
        /// The key.
        key: String,
        /// The newer copy's fence.
        found: Fence,
    },
}

impl CheckpointOutcome {
    /// Makes an answer of what a store said to one commit. What isn't about this commit alone comes back:
    /// the whole call fails with it.
    ///
    /// # Errors
    /// [`StoreError::Invalid`], [`StoreError::Unavailable`].
    pub fn from_store(said: Result<Vec<u64>, StoreError>) -> Result<Self, StoreError> {
        match said {
            Ok(versions) => Ok(Self::Committed(versions)),
            Err(StoreError::Conflict {
                key,
                expected,
                found,
            }) => Ok(Self::Conflict {
                key,
                expected,
                found,
            }),
            Err(StoreError::Fenced { key, found }) => Ok(Self::Fenced { key, found }),
            Err(error @ (StoreError::Invalid(_) | StoreError::Unavailable(_))) => Err(error),
        }
    }

    /// Says it as a store of the worker's own would have.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::Fenced`].
    pub fn into_store(self) -> Result<Vec<u64>, StoreError> {
        match self {
            Self::Committed(versions) => Ok(versions),
            Self::Conflict {
                key,
                expected,
                found,
            } => Err(StoreError::Conflict {
                key,
                expected,
                found,
            }),
            Self::Fenced { key, found } => Err(StoreError::Fenced { key, found }),
        }
    }
}

impl TryFrom<wire::LoadCheckpointResponse> for Option<(String, Entry)> {
    type Error = FieldError;

    fn try_from(wire: wire::LoadCheckpointResponse) -> Result<Self, FieldError> {
        wire.entry
            .map(|entry| <(String, Entry)>::try_from(entry).at("entry"))
            .transpose()
    }
}

impl From<Option<(String, Entry)>> for wire::LoadCheckpointResponse {
    fn from(entry: Option<(String, Entry)>) -> Self {
        Self {
            entry: entry.map(Into::into),
        }
    }
}

impl TryFrom<wire::ListCheckpointsResponse> for CheckpointPage {
    type Error = FieldError;

    fn try_from(wire: wire::ListCheckpointsResponse) -> Result<Self, FieldError> {
        let entries: Vec<(String, Entry)> =
            check::list("entries", wire.entries, 0..=MAX_PAGE_ENTRIES)?;
        let bytes = |(key, entry): &(String, Entry)| key.len() + entry.value.len();
        let n_bytes = entries.iter().map(bytes).sum();
        check::within("entries", n_bytes, &(0..=MAX_PAGE_BYTES), "bytes")?;
        // Who follows the listing asks for what is behind the last: it must get on.
        if !entries.is_sorted_by(|(a, _), (b, _)| a < b) {
            let expected = "the order of the keys, each once";
            return Err(FieldError::new("entries", expected, "another order"));
        }
        if wire.more && entries.is_empty() {
            let expected = "at least one entry before more";
            return Err(FieldError::new("entries", expected, "none"));
        }
        Ok(Self {
            entries,
            more: wire.more,
        })
    }
}

impl From<CheckpointPage> for wire::ListCheckpointsResponse {
    fn from(page: CheckpointPage) -> Self {
        Self {
            entries: page.entries.into_iter().map(Into::into).collect(),
            more: page.more,
        }
    }
}

impl TryFrom<wire::CommitCheckpointsResponse> for Vec<CheckpointOutcome> {
    type Error = FieldError;

    fn try_from(wire: wire::CommitCheckpointsResponse) -> Result<Self, FieldError> {
        check::list("outcomes", wire.outcomes, 0..=MAX_COMMITS)
    }
}

impl From<Vec<CheckpointOutcome>> for wire::CommitCheckpointsResponse {
    fn from(outcomes: Vec<CheckpointOutcome>) -> Self {
        Self {
            outcomes: outcomes.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::CheckpointOutcome> for CheckpointOutcome {
    type Error = FieldError;

    fn try_from(wire: wire::CheckpointOutcome) -> Result<Self, FieldError> {
        use wire::checkpoint_outcome::Outcome;
        Ok(match wire.outcome {
            Some(Outcome::Committed(committed)) => {
                let (versions, max) = (committed.versions, MAX_WRITES_PER_COMMIT);
                check::within("committed.versions", versions.len(), &(1..=max), "versions")?;
                Self::Committed(versions)
            }
            Some(Outcome::Conflict(conflict)) => Self::Conflict {
                key: key("conflict.key", conflict.key)?,
                expected: conflict.expected_version,
                found: conflict.found_version,
            },
            Some(Outcome::Fenced(fenced)) => Self::Fenced {
                key: key("fenced.key", fenced.key)?,
                found: check::required("found", fenced.found).at("fenced")?,
            },
            None => return Err(FieldError::missing("outcome")),
        })
    }
}

impl From<CheckpointOutcome> for wire::CheckpointOutcome {
    fn from(outcome: CheckpointOutcome) -> Self {
        use wire::checkpoint_outcome::Outcome;
        let outcome = match outcome {
            CheckpointOutcome::Committed(versions) => {
                Outcome::Committed(wire::CheckpointVersions { versions })
            }
            CheckpointOutcome::Conflict {
                key,
                expected,
                found,
            } => Outcome::Conflict(wire::CheckpointConflict {
                key,
                expected_version: expected,
                found_version: found,
            }),
            CheckpointOutcome::Fenced { key, found } => Outcome::Fenced(wire::CheckpointFenced {
                key,
                found: Some(found.into()),
            }),
        };
        Self {
            outcome: Some(outcome),
        }
    }
}
