//! Commits of many writers at once: independent of each other, and together in as few transactions as may be.

use std::collections::HashSet;

use squall_core::{Fence, StoreError, Write};

use crate::cluster::txn::{MAX_TXN_BYTES, MAX_TXN_OPS};
use crate::cluster::{Outcome, Txn};
use crate::commit::{apply, check_bounds, check_write};

use super::{ClusterCheckpoints, entry, row, stored_under, unavailable};

/// How often commits are tried again when somebody else has written between their reading and their writing.
const MAX_TRIES: usize = 16;
/// What a row has besides its value, in bytes.
const ROW_BYTES: usize = 24;

/// The new version of each key, or why nothing was written.
type Answer = Result<Vec<u64>, StoreError>;

/// Commits that share a transaction: none names a key of another.
#[derive(Default)]
struct Group {
    /// Their places among all commits, and they.
    commits: Vec<(usize, Fence, Vec<Write>)>,
    keys: HashSet<String>,
    n_bytes: usize,
}

impl ClusterCheckpoints {
    /// Performs commits in their order, each all or nothing and answered on its own, as if they came one
    /// after the other. Those that don't name a key of each other are durable together, by one transaction
    /// as far as one holds them.
    pub async fn commit_many(&self, commits: Vec<(Fence, Vec<Write>)>) -> Vec<Answer> {
        let mut answers: Vec<Answer> = Vec::new();
        let mut group = Group::default();
        for (place, (fence, writes)) in commits.into_iter().enumerate() {
            let checked = check_bounds(&writes);
            let legal = checked.is_ok();
            answers.push(checked.map(|()| Vec::new()));
            if !legal {
                continue;
            }
            if !group.has_room_for(&writes) {
                self.perform(std::mem::take(&mut group), &mut answers).await;
            }
            group.push(place, fence, writes);
        }
        self.perform(group, &mut answers).await;
        answers
    }

    async fn perform(&self, group: Group, answers: &mut [Answer]) {
        let mut open = group.commits;
        for _ in 0..MAX_TRIES {
            if open.is_empty() {
                return;
            }
            match self.perform_once(&mut open, answers).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => return refuse(&open, answers, &error),
            }
        }
        let reason =
            format!("others have written between reading and writing, {MAX_TRIES} times in a row");
        refuse(&open, answers, &StoreError::Unavailable(reason));
    }

    /// Answers the commits that can't be, and tries to write the others; false if they have to be judged anew.
    async fn perform_once(
        &self,
        open: &mut Vec<(usize, Fence, Vec<Write>)>,
        answers: &mut [Answer],
    ) -> Result<bool, StoreError> {
        let writes = || open.iter().flat_map(|(_, _, writes)| writes);
        let keys = writes().map(|write| stored_under(&write.key)).collect();
        let stored = self.store.get_many(keys).await.map_err(unavailable)?;
        let mut stored = stored.into_iter();
        let mut txn = Txn::new(self.leader_epoch);
        let mut legal = Vec::with_capacity(open.len());
        for (place, fence, writes) in std::mem::take(open) {
            let stored: Vec<_> = stored.by_ref().take(writes.len()).collect();
            let pairs = || writes.iter().zip(&stored);
            let judged = pairs().try_for_each(|(write, stored)| {
                let found = stored.as_ref().map(entry).transpose()?;
                let found = found.map(|entry| (entry.version, entry.fence));
                check_write(found, fence, write)
            });
            if let Err(error) = judged {
                answer(answers, place, Err(error));
                continue;
            }
            let mut versions = Vec::with_capacity(writes.len());
            for (write, stored) in pairs() {
                let (key, entry) = apply(fence, write.clone());
                let key = stored_under(&key);
                let revision = stored.as_ref().map(|stored| stored.revision);
                versions.push(entry.as_ref().map_or(0, |entry| entry.version));
                txn = txn.expect(key.clone(), revision);
                txn = match entry {
                    Some(entry) => txn.put(key, row(&entry)),
                    None => txn.delete(key),
                };
            }
            legal.push(versions);
            open.push((place, fence, writes));
        }
        if open.is_empty() {
            return Ok(true);
        }
        match self.store.commit(txn).await.map_err(unavailable)? {
            Outcome::Committed { .. } => {
                for ((place, _, _), versions) in open.iter().zip(legal) {
                    answer(answers, *place, Ok(versions));
                }
                Ok(true)
            }
            Outcome::Conflict { .. } => Ok(false),
            Outcome::StaleLeader { .. } => Err(StoreError::Unavailable(
                "another nimbus leads the cluster now".to_owned(),
            )),
        }
    }
}

impl Group {
    /// Tells whether a commit may join. One that is too large for any transaction gets one of its own, for
    /// the store to refuse.
    fn has_room_for(&self, writes: &[Write]) -> bool {
        let n_bytes = self.n_bytes + n_bytes(writes);
        let n_ops = self.keys.len() + writes.len();
        self.commits.is_empty()
            || n_bytes <= MAX_TXN_BYTES
                && n_ops <= MAX_TXN_OPS
                && writes.iter().all(|write| !self.keys.contains(&write.key))
    }

    fn push(&mut self, place: usize, fence: Fence, writes: Vec<Write>) {
        self.n_bytes += n_bytes(&writes);
        self.keys
            .extend(writes.iter().map(|write| write.key.clone()));
        self.commits.push((place, fence, writes));
    }
}

fn n_bytes(writes: &[Write]) -> usize {
    let bytes = writes.iter().map(|write| {
        let value = write
            .value
            .as_ref()
            .map_or(0, |value| ROW_BYTES + value.len());
        stored_under(&write.key).len() + value
    });
    bytes.sum()
}

fn refuse(open: &[(usize, Fence, Vec<Write>)], answers: &mut [Answer], error: &StoreError) {
    for (place, _, _) in open {
        let error = match error {
            StoreError::Invalid(reason) => StoreError::Invalid(reason.clone()),
            other => StoreError::Unavailable(plain(other)),
        };
        answer(answers, *place, Err(error));
    }
}

/// Returns a reason without the words that are put before it again.
fn plain(error: &StoreError) -> String {
    match error {
        StoreError::Unavailable(reason) => reason.clone(),
        other => other.to_string(),
    }
}

fn answer(answers: &mut [Answer], place: usize, with: Answer) {
    if let Some(answer) = answers.get_mut(place) {
        *answer = with;
    }
}
