//! Gathers commits into requests: one at a time, and at most one a second. Pure.
//!
//! **Invariant:** each commit that was taken on gets exactly one answer, and no request has a key twice.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use squall_core::{
    Fence, MAX_KEY_BYTES, MAX_VALUE_BYTES, MAX_WRITES_PER_COMMIT, Moment, StoreError, Write,
};
use squall_proto::CheckpointOutcome;
use squall_proto::bounds::{MAX_COMMIT_BYTES, MAX_COMMITS};

/// How much time lies between two requests.
const INTERVAL: Duration = Duration::from_secs(1);
/// How many bytes may wait, and how many commits. What comes on top is refused: sources repeat it.
const MAX_WAITING_BYTES: usize = 2 * MAX_COMMIT_BYTES;
const MAX_WAITING: usize = 4 * MAX_COMMITS;

/// Gathers commits. `W` is where a commit's answer goes.
#[derive(Debug)]
pub(super) struct Batcher<W> {
    waiting: VecDeque<Commit<W>>,
    waiting_bytes: usize,
    sent: Option<Vec<Sent<W>>>,
    next_at: Moment,
}

/// What became of a commit.
pub(super) type Answer = Result<Vec<u64>, StoreError>;

/// Why a whole request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BatchError {
    /// There was no answer, or one that says: later. Whether it was done may be unknown.
    Unavailable(String),
    /// It can't be, whenever it is tried.
    Invalid(String),
    /// A newer copy of this worker is known.
    Fenced(Fence),
}

#[derive(Debug)]
struct Commit<W> {
    writes: Vec<Write>,
    n_bytes: usize,
    waiter: W,
}

#[derive(Debug)]
struct Sent<W> {
    n_writes: usize,
    first_key: String,
    waiter: W,
}

impl<W> Batcher<W> {
    /// Begins without commits.
    pub(super) fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            sent: None,
            next_at: Moment::ZERO,
        }
    }

    /// Takes a commit on.
    ///
    /// # Errors
    /// It isn't taken on, and this is its answer.
    pub(super) fn ask(&mut self, writes: Vec<Write>, waiter: W) -> Result<(), (W, StoreError)> {
        let n_bytes = match check(&writes) {
            Ok(n_bytes) => n_bytes,
            Err(why) => return Err((waiter, StoreError::Invalid(why))),
        };
        if self.waiting.len() >= MAX_WAITING || self.waiting_bytes + n_bytes > MAX_WAITING_BYTES {
            let why = "too many checkpoints of this worker wait to be written";
            return Err((waiter, StoreError::Unavailable(why.to_owned())));
        }
        self.waiting_bytes += n_bytes;
        self.waiting.push_back(Commit {
            writes,
            n_bytes,
            waiter,
        });
        Ok(())
    }

    /// Returns when the next request may go; `None` while one is on its way, or nothing waits.
    pub(super) fn due(&self) -> Option<Moment> {
        (self.sent.is_none() && !self.waiting.is_empty()).then_some(self.next_at)
    }

    /// Makes the next request of what waits, in order, and drops what is asked for by who `is_gone`. A commit
    /// to a key that an earlier one writes waits for the request after.
    pub(super) fn send(
        &mut self,
        now: Moment,
        is_gone: impl Fn(&W) -> bool,
    ) -> Option<Vec<Vec<Write>>> {
        if self.due().is_none_or(|due| due > now) {
            return None;
        }
        let mut commits = Vec::new();
        let (mut n_writes, mut n_bytes) = (0, 0);
        let (mut sent, mut left) = (Vec::new(), VecDeque::new());
        let mut keys = HashSet::new();
        for commit in self
            .waiting
            .drain(..)
            .filter(|commit| !is_gone(&commit.waiter))
        {
            let is_new = commit.writes.iter().all(|write| !keys.contains(&write.key));
            keys.extend(commit.writes.iter().map(|write| write.key.clone()));
            let fits = commits.len() < MAX_COMMITS
                && n_writes + commit.writes.len() <= MAX_WRITES_PER_COMMIT
                && n_bytes + commit.n_bytes <= MAX_COMMIT_BYTES;
            if !is_new || !fits {
                left.push_back(commit);
                continue;
            }
            n_writes += commit.writes.len();
            n_bytes += commit.n_bytes;
            sent.push(Sent {
                n_writes: commit.writes.len(),
                first_key: commit
                    .writes
                    .first()
                    .map(|write| write.key.clone())
                    .unwrap_or_default(),
                waiter: commit.waiter,
            });
            commits.push(commit.writes);
        }
        self.waiting = left;
        self.waiting_bytes = self.waiting.iter().map(|commit| commit.n_bytes).sum();
        if commits.is_empty() {
            return None;
        }
        self.sent = Some(sent);
        self.next_at = now + INTERVAL;
        Some(commits)
    }

    /// Takes the answer to the request that is on its way, and says who is to be told what.
    pub(super) fn answered(
        &mut self,
        answer: Result<Vec<CheckpointOutcome>, BatchError>,
    ) -> Vec<(W, Answer)> {
        let sent = self.sent.take().unwrap_or_default();
        let outcomes = answer.and_then(|outcomes| match outcomes.len() == sent.len() {
            true => Ok(outcomes),
            false => Err(BatchError::Unavailable(format!(
                "nimbus gave {} answers to {} commits",
                outcomes.len(),
                sent.len()
            ))),
        });
        let tell = |(sent, answer): (Sent<W>, Answer)| (sent.waiter, answer);
        match outcomes {
            Ok(outcomes) => {
                let answers = sent.into_iter().zip(outcomes).map(|(sent, outcome)| {
                    let answer = check_versions(outcome.into_store(), sent.n_writes);
                    tell((sent, answer))
                });
                answers.collect()
            }
            Err(error) => {
                let answers = sent.into_iter().map(|sent| {
                    let answer = Err(error.of(&sent.first_key));
                    tell((sent, answer))
                });
                answers.collect()
            }
        }
    }
}

impl BatchError {
    /// Says it to one who has written a key.
    pub(super) fn of(&self, key: &str) -> StoreError {
        match self {
            Self::Unavailable(why) => StoreError::Unavailable(why.clone()),
            Self::Invalid(why) => StoreError::Invalid(why.clone()),
            Self::Fenced(found) => StoreError::Fenced {
                key: key.to_owned(),
                found: *found,
            },
        }
    }
}

fn check_versions(answer: Answer, n_writes: usize) -> Answer {
    match answer {
        Ok(versions) if versions.len() != n_writes => Err(StoreError::Unavailable(format!(
            "nimbus gave {} versions to {n_writes} writes",
            versions.len()
        ))),
        other => other,
    }
}

/// Holds one commit to its bounds, so that a wrong one fails nobody else's; returns its bytes.
fn check(writes: &[Write]) -> Result<usize, String> {
    if !(1..=MAX_WRITES_PER_COMMIT).contains(&writes.len()) {
        let n = writes.len();
        return Err(format!(
            "a commit has 1 to {MAX_WRITES_PER_COMMIT} writes, not {n}"
        ));
    }
    let mut keys = HashSet::new();
    let mut n_bytes = 0;
    for Write { key, value, .. } in writes {
        if !(1..=MAX_KEY_BYTES).contains(&key.len()) {
            let n = key.len();
            return Err(format!("a key has 1 to {MAX_KEY_BYTES} bytes, not {n}"));
        }
        let n_value_bytes = value.as_ref().map_or(0, Vec::len);
        if n_value_bytes > MAX_VALUE_BYTES {
            return Err(format!(
                "`{key}`: a value has at most {MAX_VALUE_BYTES} bytes, not {n_value_bytes}"
            ));
        }
        if !keys.insert(key) {
            return Err(format!("`{key}` stands twice in one commit"));
        }
        n_bytes += key.len() + n_value_bytes;
    }
    if n_bytes > MAX_COMMIT_BYTES {
        return Err(format!(
            "a commit has at most {MAX_COMMIT_BYTES} bytes, not {n_bytes}"
        ));
    }
    Ok(n_bytes)
}

#[cfg(test)]
mod tests;
