//! A nimbus that keeps checkpoints in memory, and plays tricks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use squall_core::{Entry, Write};
use squall_proto::wire::checkpoints_server::{Checkpoints, CheckpointsServer};
use squall_proto::{
    Address, CheckpointOutcome, CheckpointPage, CommitCheckpoints, ListCheckpoints, LoadCheckpoint,
    Refusal, wire,
};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use super::Serving;

/// What happens to a call.
#[derive(Clone, Debug)]
pub(crate) enum Trick {
    /// It is refused.
    Refuse(Refusal),
    /// It is done, and the answer gets lost.
    LoseAnswer,
}

/// How many entries a page has.
const PAGE: usize = 3;

#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) entries: BTreeMap<String, Entry>,
    /// The commits of each request.
    pub(crate) requests: Vec<usize>,
    pub(crate) n_loads: usize,
    pub(crate) tricks: VecDeque<Trick>,
}

/// A nimbus, and what it keeps. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct FakeNimbus {
    pub(crate) kept: Arc<Mutex<Kept>>,
}

impl FakeNimbus {
    /// Serves at an address until what is returned is dropped.
    pub(crate) fn serve(&self, address: &Address) -> Serving {
        let service = CheckpointsServer::new(self.clone());
        Serving::start(address, move |incoming| {
            Server::builder().serve_with_incoming(service, incoming)
        })
    }

    pub(crate) fn play(&self, trick: Trick) {
        self.kept.lock().unwrap().tricks.push_back(trick);
    }

    fn next_trick(&self) -> Result<bool, Status> {
        match self.kept.lock().unwrap().tricks.pop_front() {
            Some(Trick::Refuse(refusal)) => Err(refusal.into()),
            Some(Trick::LoseAnswer) => Ok(true),
            None => Ok(false),
        }
    }
}

impl Kept {
    fn commit(&mut self, fence: squall_core::Fence, writes: &[Write]) -> CheckpointOutcome {
        for write in writes {
            let found = self.entries.get(&write.key);
            let key = write.key.clone();
            if let Some(newer) = found.filter(|entry| entry.fence > fence) {
                let found = newer.fence;
                return CheckpointOutcome::Fenced { key, found };
            }
            let version = found.map(|entry| entry.version);
            if version != write.expected {
                return CheckpointOutcome::Conflict {
                    key,
                    expected: write.expected,
                    found: version,
                };
            }
        }
        let versions = writes.iter().map(|write| {
            let version = write.expected.unwrap_or(0) + 1;
            match &write.value {
                Some(value) => {
                    let value = value.clone();
                    let entry = Entry {
                        value,
                        version,
                        fence,
                    };
                    self.entries.insert(write.key.clone(), entry);
                    version
                }
                None => {
                    self.entries.remove(&write.key);
                    0
                }
            }
        });
        CheckpointOutcome::Committed(versions.collect())
    }
}

#[tonic::async_trait]
impl Checkpoints for FakeNimbus {
    async fn load_checkpoint(
        &self,
        request: Request<wire::LoadCheckpointRequest>,
    ) -> Result<Response<wire::LoadCheckpointResponse>, Status> {
        let load = LoadCheckpoint::try_from(request.into_inner())?;
        self.next_trick()?;
        let mut kept = self.kept.lock().unwrap();
        kept.n_loads += 1;
        let entry = kept.entries.get(&load.key).cloned();
        Ok(Response::new(entry.map(|entry| (load.key, entry)).into()))
    }

    async fn list_checkpoints(
        &self,
        request: Request<wire::ListCheckpointsRequest>,
    ) -> Result<Response<wire::ListCheckpointsResponse>, Status> {
        let list = ListCheckpoints::try_from(request.into_inner())?;
        self.next_trick()?;
        let kept = self.kept.lock().unwrap();
        let found = kept.entries.iter().filter(|(key, _)| {
            key.starts_with(&list.prefix) && list.after.as_ref().is_none_or(|after| *key > after)
        });
        let mut entries: Vec<_> = found
            .map(|(key, entry)| (key.clone(), entry.clone()))
            .collect();
        let more = entries.len() > PAGE;
        entries.truncate(PAGE);
        Ok(Response::new(CheckpointPage { entries, more }.into()))
    }

    async fn commit_checkpoints(
        &self,
        request: Request<wire::CommitCheckpointsRequest>,
    ) -> Result<Response<wire::CommitCheckpointsResponse>, Status> {
        let commit = CommitCheckpoints::try_from(request.into_inner())?;
        let lose = self.next_trick()?;
        let mut kept = self.kept.lock().unwrap();
        kept.requests.push(commit.commits.len());
        let fence = commit.client.fence;
        let outcomes: Vec<CheckpointOutcome> = commit
            .commits
            .iter()
            .map(|writes| kept.commit(fence, writes))
            .collect();
        match lose {
            true => Err(Status::unavailable("the connection broke")),
            false => Ok(Response::new(outcomes.into())),
        }
    }
}
