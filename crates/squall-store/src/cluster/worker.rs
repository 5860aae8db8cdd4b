//! The thread behind a [`crate::cluster::FileCluster`]: reads what is asked for, commits what waits
//! together, and opens the file again when the disk has failed.
//!
//! **Invariant:** nothing is answered or made known before the transaction that wrote it is durable, and a
//! commit that is answered as refused or failed is not in the file.

mod group;
mod tables;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;

use futures_channel::oneshot;
use redb::{Builder, Database, WriteTransaction};

use crate::OpenError;
use crate::cluster::file::{Disk, FileClusterConfig};
use crate::cluster::txn::Head;
use crate::cluster::watch::Hub;
use crate::cluster::{ClusterError, LeaderEpoch, Outcome, Page, Revision, Stored, Txn};
use crate::disk::is_full;
use group::{Granted, Group, Room, Wish};

/// The longest queue of requests; one more is refused as unavailable.
pub(crate) const MAX_QUEUED: usize = 256;
/// The most bytes that commits which are not answered yet may want to write together; one more is refused likewise.
pub(crate) const MAX_QUEUED_BYTES: usize = 64 << 20;
/// The most requests that are served together.
const MAX_GROUP: usize = 128;

/// Where an answer goes. A caller that has lost interest is no error.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, ClusterError>>;

/// What the worker is asked for.
pub(crate) enum Request {
    Read(Read),
    Write(Write),
}

/// A question about what is durable.
pub(crate) enum Read {
    GetMany {
        keys: Vec<String>,
        answer: Answer<Vec<Option<Stored>>>,
    },
    List {
        prefix: String,
        after: Option<String>,
        answer: Answer<Page>,
    },
}

/// A wish to change something, and where its answer goes.
pub(crate) enum Write {
    Commit {
        txn: Txn,
        answer: Answer<Outcome>,
        held: Held,
    },
    Raise {
        answer: Answer<LeaderEpoch>,
    },
}

/// A commit's share of [`MAX_QUEUED_BYTES`], until it is dropped.
pub(crate) struct Held {
    queued: Arc<AtomicUsize>,
    n_bytes: usize,
}

impl Held {
    /// Takes a share; `None` if there is not enough left.
    pub(crate) fn take(queued: &Arc<AtomicUsize>, n_bytes: usize) -> Option<Self> {
        let held = Self {
            queued: Arc::clone(queued),
            n_bytes,
        };
        let before = queued.fetch_add(n_bytes, Ordering::Relaxed);
        (before + n_bytes <= MAX_QUEUED_BYTES).then_some(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.queued.fetch_sub(self.n_bytes, Ordering::Relaxed);
    }
}

/// Owns the file.
pub(crate) struct Worker<D> {
    disk: D,
    config: FileClusterConfig,
    /// `None` after a failure, until it can be opened again.
    database: Option<Database>,
    /// The highest revision that was ever seen in the file.
    known: Revision,
    hub: Arc<Hub>,
}

impl<D: Disk> Worker<D> {
    /// Opens the file, or makes it.
    pub(crate) fn open(disk: D, config: FileClusterConfig) -> Result<Self, OpenError> {
        let database = disk.create(&builder(&config))?;
        let corrupt = |error: redb::Error| OpenError::corrupt(disk.path(), error.to_string());
        tables::prepare(&database).map_err(corrupt)?;
        let head = tables::head(&database).map_err(corrupt)?;
        disk.sync_directory()?;
        Ok(Self {
            disk,
            config,
            database: Some(database),
            known: head.revision,
            hub: Hub::new(head.revision),
        })
    }

    pub(crate) fn hub(&self) -> Arc<Hub> {
        Arc::clone(&self.hub)
    }

    /// Serves requests until their senders are gone. A panic costs those that are being served, of whose commits
    /// nobody knows then what became, and closes the file.
    pub(crate) fn run(mut self, requests: &Receiver<Request>) {
        while let Ok(first) = requests.recv() {
            let more = requests.try_iter().take(MAX_GROUP - 1);
            let group = std::iter::once(first).chain(more).collect();
            // The panic hook tells what happened.
            if catch_unwind(AssertUnwindSafe(|| self.serve(group))).is_err() {
                self.close();
            }
        }
    }

    /// Closes the file, to be opened again. That may go wrong as well where it can't be written.
    fn close(&mut self) {
        let database = self.database.take();
        catch_unwind(AssertUnwindSafe(|| drop(database))).unwrap_or_default();
    }

    /// Serves a group: first what reads, of what is durable, then what writes, in one transaction.
    fn serve(&mut self, group: Vec<Request>) {
        let mut writes = Vec::new();
        for request in group {
            match request {
                Request::Read(read) => self.read(read),
                Request::Write(write) => writes.push(write),
            }
        }
        if !writes.is_empty() {
            self.write(writes);
        }
    }

    fn read(&mut self, read: Read) {
        // The caller may have stopped waiting, so what becomes of an answer is of no interest.
        match read {
            Read::GetMany { keys, answer } => {
                let found = self.read_twice(|database| tables::get_many(database, &keys));
                drop(answer.send(found));
            }
            Read::List {
                prefix,
                after,
                answer,
            } => {
                let list = |database: &Database| tables::list(database, &prefix, after.as_deref());
                let page = self.read_twice(list);
                drop(answer.send(page));
            }
        }
    }

    /// Reads, and once more from the file opened anew if that fails.
    fn read_twice<T>(
        &mut self,
        read: impl Fn(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, ClusterError> {
        if let Ok(found) = read(self.database()?) {
            return Ok(found);
        }
        self.close();
        read(self.database()?).map_err(|error| {
            self.close();
            self.unavailable(&error)
        })
    }

    /// Makes all these writes durable together and answers them. If that fails, everybody is told, even those
    /// who would have been refused: what refused them may be gone with the group.
    fn write(&mut self, writes: Vec<Write>) {
        let (wishes, replies): (Vec<Wish>, Vec<Reply>) =
            writes.into_iter().map(Write::split).unzip();
        match self.grant(wishes) {
            Ok(granted) => {
                for (reply, granted) in replies.into_iter().zip(granted) {
                    reply.send(Ok(granted));
                }
            }
            Err(error) => {
                for reply in replies {
                    reply.send(Err(error.clone()));
                }
            }
        }
    }

    fn grant(&mut self, wishes: Vec<Wish>) -> Result<Vec<Granted>, ClusterError> {
        let free_bytes = self.disk.free_bytes();
        let room = Room {
            max_bytes: self.config.max_bytes,
            is_left: free_bytes.is_none_or(|free| free >= self.config.min_free_bytes),
        };
        let (group, transaction) = match Group::decide(self.database()?, wishes, room) {
            Ok(decided) => decided,
            Err(error) => {
                self.close();
                return Err(self.unavailable(&error));
            }
        };
        if let Some(Err(error)) = transaction.map(WriteTransaction::commit) {
            return Err(self.settle(group.before, &error.into()));
        }
        // Watchers hear of a commit before its author does: who watches after its revision misses nothing.
        for (revision, changes) in group.changes {
            self.known = revision;
            self.hub.publish(revision, changes);
        }
        Ok(group.granted)
    }

    /// Finds out what became of a transaction whose commit broke off.
    fn settle(&mut self, before: Head, error: &redb::Error) -> ClusterError {
        self.close();
        let found = self
            .database()
            .ok()
            .and_then(|database| tables::head(database).ok());
        if found == Some(before) {
            return self.unavailable(error);
        }
        ClusterError::Unknown(format!("{}: {error}", self.disk.path().display()))
    }

    /// The open database; opened again if need be.
    fn database(&mut self) -> Result<&Database, ClusterError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => self.reopen()?,
        };
        Ok(self.database.insert(database))
    }

    fn reopen(&mut self) -> Result<Database, ClusterError> {
        let opened = self.disk.reopen(&builder(&self.config));
        let database = opened.map_err(|error| ClusterError::Unavailable(error.to_string()))?;
        let head = tables::head(&database).map_err(|error| self.unavailable(&error))?;
        if head.revision < self.known {
            return Err(ClusterError::Unavailable(format!(
                "{} went back from revision {} to {}: it was replaced by an older file, or the disk has lost \
                 writes; stop nimbus and look",
                self.disk.path().display(),
                self.known.0,
                head.revision.0
            )));
        }
        if head.revision > self.known {
            // A commit that nobody was told of.
            self.known = head.revision;
            self.hub.skip_to(head.revision);
        }
        Ok(database)
    }

    /// Says what an error means that left nothing behind.
    fn unavailable(&self, error: &redb::Error) -> ClusterError {
        let path = self.disk.path().display();
        match error {
            redb::Error::Io(error) if is_full(error) => ClusterError::Full(format!(
                "no room for {path}: {error}; free some, nimbus goes on by itself"
            )),
            error => ClusterError::Unavailable(format!("{path}: {error}")),
        }
    }
}

impl<D> Drop for Worker<D> {
    fn drop(&mut self) {
        // Here and not at the end of `run`, so that a panic ends the watches too.
        self.hub.close();
    }
}

/// Where the answer to a write goes.
enum Reply {
    /// With its share of the queue, which is free when it is answered.
    Commit(Answer<Outcome>, Held),
    Raise(Answer<LeaderEpoch>),
}

impl Write {
    fn split(self) -> (Wish, Reply) {
        match self {
            Self::Commit { txn, answer, held } => (Wish::Commit(txn), Reply::Commit(answer, held)),
            Self::Raise { answer } => (Wish::Raise, Reply::Raise(answer)),
        }
    }
}

impl Reply {
    /// Answers. The caller may have stopped waiting.
    fn send(self, result: Result<Granted, ClusterError>) {
        match (self, result) {
            (Self::Commit(answer, _held), Ok(Granted::Committed(outcome))) => {
                drop(answer.send(outcome));
            }
            (Self::Raise(answer), Ok(Granted::Raised(epoch))) => drop(answer.send(Ok(epoch))),
            (Self::Commit(answer, _held), Err(error)) => drop(answer.send(Err(error))),
            (Self::Raise(answer), Err(error)) => drop(answer.send(Err(error))),
            // Wishes and replies are split from one list. A dropped answer is told as unknown.
            (_, Ok(_)) => debug_assert!(false, "an answer to another question"),
        }
    }
}

fn builder(config: &FileClusterConfig) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(config.cache_bytes);
    builder
}
