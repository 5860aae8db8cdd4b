//! A transaction on the cluster's state, and what makes one legal: the same for every store.

use std::collections::HashSet;

use bytes::Bytes;

use crate::cluster::{Change, ClusterError, LeaderEpoch, Outcome, Revision};

/// The longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 2048;
/// The most preconditions, and the most operations, of one transaction. An etcd server has to be started with
/// `--max-txn-ops` at least as high.
pub const MAX_TXN_OPS: usize = 10_000;
/// The most bytes of keys and values in one transaction, so that a value is at most this. An etcd server has
/// to be started with `--max-request-bytes` of 10 MiB, which is what etcd advises at most.
pub const MAX_TXN_BYTES: usize = 9 << 20;

/// Writes that are done together if all that they rely on still holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Txn {
    /// Who commits: refused unless this is the current leader's epoch.
    pub leader_epoch: LeaderEpoch,
    /// What must hold, of any keys, written to or not.
    pub preconditions: Vec<Precondition>,
    /// What to do; no key twice.
    pub ops: Vec<Op>,
}

/// What a transaction relies on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Precondition {
    /// The key.
    pub key: String,
    /// The revision at which it must stand; `None` means that there must be no such key.
    pub expected: Option<Revision>,
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Stores a value under a key, over whatever stands there.
    Put {
        /// 1 to [`MAX_KEY_BYTES`] bytes of UTF-8; by convention `kind/name`.
        key: String,
        /// The new value.
        value: Bytes,
    },
    /// Deletes a key; no harm if there is none.
    Delete {
        /// The key.
        key: String,
    },
}

impl Op {
    /// The key that is written.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }
}

impl Txn {
    /// Begins a transaction of the leader with this epoch.
    #[must_use]
    pub fn new(leader_epoch: LeaderEpoch) -> Self {
        Self {
            leader_epoch,
            preconditions: Vec::new(),
            ops: Vec::new(),
        }
    }

    /// Relies on a key standing at this revision.
    #[must_use]
    pub fn at(self, key: impl Into<String>, revision: Revision) -> Self {
        self.expect(key, Some(revision))
    }

    /// Relies on there being no such key.
    #[must_use]
    pub fn absent(self, key: impl Into<String>) -> Self {
        self.expect(key, None)
    }

    /// Relies on a key being as it was found: at this revision, or absent.
    #[must_use]
    pub fn expect(mut self, key: impl Into<String>, expected: Option<Revision>) -> Self {
        let key = key.into();
        self.preconditions.push(Precondition { key, expected });
        self
    }

    /// Stores a value under a key.
    #[must_use]
    pub fn put(mut self, key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        let (key, value) = (key.into(), value.into());
        self.ops.push(Op::Put { key, value });
        self
    }

    /// Deletes a key.
    #[must_use]
    pub fn delete(mut self, key: impl Into<String>) -> Self {
        self.ops.push(Op::Delete { key: key.into() });
        self
    }

    /// The bytes of keys and values to write.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        self.ops.iter().map(n_bytes).sum()
    }

    /// Checks what can be checked without looking into the store.
    ///
    /// # Errors
    /// [`ClusterError::Invalid`], with the bound that is passed.
    pub fn check(&self) -> Result<(), ClusterError> {
        let n_most = self.ops.len().max(self.preconditions.len());
        if n_most > MAX_TXN_OPS {
            return Err(invalid(format!(
                "a transaction of {n_most} operations or preconditions is above {MAX_TXN_OPS}"
            )));
        }
        let expected = self.preconditions.iter().map(|expected| &*expected.key);
        for key in expected.chain(self.ops.iter().map(Op::key)) {
            if key.is_empty() || key.len() > MAX_KEY_BYTES {
                return Err(invalid(format!(
                    "a key of {} bytes is outside 1 to {MAX_KEY_BYTES}",
                    key.len()
                )));
            }
        }
        let mut keys = HashSet::with_capacity(self.ops.len());
        if let Some(twice) = self.ops.iter().find(|op| !keys.insert(op.key())) {
            return Err(invalid(format!(
                "`{}` is written twice in one transaction",
                twice.key()
            )));
        }
        let n_bytes = self.n_bytes();
        if n_bytes > MAX_TXN_BYTES {
            return Err(invalid(format!(
                "a transaction of {n_bytes} bytes of keys and values is above {MAX_TXN_BYTES}"
            )));
        }
        Ok(())
    }
}

/// What a store knows beside its keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) revision: Revision,
    pub(crate) leader_epoch: LeaderEpoch,
    /// The bytes of all keys and values.
    pub(crate) n_bytes: u64,
}

/// What is stored under a key, as far as a transaction's judge cares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) revision: Revision,
    pub(crate) n_value_bytes: usize,
}

/// What a legal transaction leaves behind.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) head: Head,
    /// Empty when nothing changes.
    pub(crate) changes: Vec<Change>,
}

/// Decides over a transaction that [`Txn::check`] has passed. `find` looks a key up; an outer error is
/// its own.
///
/// The epoch is compared first: a former leader must stop, whatever else it got wrong.
pub(crate) fn judge<E>(
    head: Head,
    max_bytes: u64,
    txn: Txn,
    mut find: impl FnMut(&str) -> Result<Option<Found>, E>,
) -> Result<Result<Plan, Refused>, E> {
    if txn.leader_epoch != head.leader_epoch {
        return Ok(Err(Refused::Answer(Outcome::StaleLeader {
            current: head.leader_epoch,
        })));
    }
    for Precondition { key, expected } in txn.preconditions {
        let found = find(&key)?.map(|found| found.revision);
        if found != expected {
            return Ok(Err(Refused::Answer(Outcome::Conflict { key, found })));
        }
    }
    let revision = Revision(head.revision.0 + 1);
    let mut n_bytes = head.n_bytes;
    let mut changes = Vec::with_capacity(txn.ops.len());
    for op in txn.ops {
        let found = find(op.key())?;
        if found.is_none() && matches!(op, Op::Delete { .. }) {
            continue;
        }
        let n_old = found.map_or(0, |found| op.key().len() + found.n_value_bytes);
        let (key, value) = match op {
            Op::Put { key, value } => (key, Some(value)),
            Op::Delete { key } => (key, None),
        };
        let n_new = value.as_ref().map_or(0, |value| key.len() + value.len());
        n_bytes = n_bytes.saturating_sub(n_old as u64) + n_new as u64;
        changes.push(Change {
            key,
            revision,
            value,
        });
    }
    if n_bytes > max_bytes && n_bytes > head.n_bytes {
        return Ok(Err(Refused::Full { n_bytes }));
    }
    let head = match changes.is_empty() {
        true => head,
        false => Head {
            revision,
            n_bytes,
            ..head
        },
    };
    Ok(Ok(Plan { head, changes }))
}

/// Why a transaction is not performed.
#[derive(Debug)]
pub(crate) enum Refused {
    Answer(Outcome),
    /// The store would hold this many bytes.
    Full {
        n_bytes: u64,
    },
}

impl Refused {
    /// Makes the caller's answer of it.
    pub(crate) fn into_answer(self, max_bytes: u64) -> Result<Outcome, ClusterError> {
        match self {
            Self::Answer(outcome) => Ok(outcome),
            Self::Full { n_bytes } => Err(ClusterError::Full(format!(
                "the cluster store would hold {n_bytes} bytes, more than its bound of {max_bytes}: \
                 remove topologies that are not needed, or raise the bound"
            ))),
        }
    }
}

/// Checks how many keys are read at once.
pub(crate) fn check_keys(keys: &[String]) -> Result<(), ClusterError> {
    match keys.len() {
        0..=MAX_TXN_OPS => Ok(()),
        n_keys => Err(invalid(format!(
            "{n_keys} keys are more than the {MAX_TXN_OPS} that are read at once"
        ))),
    }
}

fn n_bytes(op: &Op) -> usize {
    match op {
        Op::Put { key, value } => key.len() + value.len(),
        Op::Delete { key } => key.len(),
    }
}

fn invalid(message: String) -> ClusterError {
    ClusterError::Invalid(message)
}
