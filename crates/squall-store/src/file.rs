//! A store in a single file, by redb.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_channel::oneshot;
use redb::{Builder, Database, ReadableDatabase};
use squall_core::{BoxFuture, CheckpointStore, Entry, Fence, StoreError, Write};

use crate::commit::check_bounds;
use crate::disk::{OpenError, directory_of, open_or_create, sync_directory};
use crate::worker::{self, MAX_QUEUED, Request, TABLE};

/// How long dropping a store waits for a disk that doesn't answer.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// Keeps everything in one file that one process has open at a time.
///
/// A thread of its own does all the work, because writing to a disk blocks; requests wait for it in a
/// queue of 1024, and one that finds the queue full is answered [`StoreError::Unavailable`]. All
/// commits that wait together become durable together, each still all or nothing. A write that fails
/// half way (a full disk) closes the file and is answered [`StoreError::Unavailable`]; the next request
/// opens it again, and is answered so itself if it can't. A file that is gone by then is not made anew: an
/// empty one would look as if nothing had ever been stored. Dropping the store waits for what is queued,
/// for ten seconds at most.
#[derive(Debug)]
pub struct FileStore {
    path: PathBuf,
    requests: Option<SyncSender<Request>>,
    worker: Option<JoinHandle<()>>,
    /// Disconnected when the worker has ended.
    ended: Mutex<Receiver<()>>,
}

impl FileStore {
    /// Opens the file, or makes it and the directories above it. Blocks.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref().to_owned();
        let database = open_database(&path)?;
        let (requests, queue) = sync_channel(MAX_QUEUED);
        let (end, ended) = sync_channel(1);
        let again = path.clone();
        let worker = std::thread::Builder::new()
            .name("squall-store".to_owned())
            .spawn(move || {
                worker::run(database, || reopen(&again), &queue);
                drop(end);
            })
            .map_err(|error| OpenError::io(&path, &error))?;
        Ok(Self {
            path,
            requests: Some(requests),
            worker: Some(worker),
            ended: Mutex::new(ended),
        })
    }

    /// Queues a request and awaits its answer.
    async fn ask<T>(
        &self,
        make: impl FnOnce(worker::Answer<T>) -> Request + Send,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let stopped = || unavailable(format!("the store at {} is closed", self.path.display()));
        let requests = self.requests.as_ref().ok_or_else(stopped)?;
        requests
            .try_send(make(answer))
            .map_err(|error| match error {
                TrySendError::Full(_) => unavailable(format!("{MAX_QUEUED} requests wait for it")),
                TrySendError::Disconnected(_) => stopped(),
            })?;
        let lost = || {
            let reason = "it has gone wrong while it worked on this";
            unavailable(format!("the store at {}: {reason}", self.path.display()))
        };
        answered.await.unwrap_or_else(|_| Err(lost()))
    }
}

impl CheckpointStore for FileStore {
    fn load<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
        Box::pin(self.ask(move |answer| Request::Load {
            key: key.to_owned(),
            answer,
        }))
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
    ) -> BoxFuture<'a, Result<Vec<(String, Entry)>, StoreError>> {
        Box::pin(self.ask(move |answer| Request::List {
            prefix: prefix.to_owned(),
            answer,
        }))
    }

    fn commit(
        &self,
        fence: Fence,
        writes: Vec<Write>,
    ) -> BoxFuture<'_, Result<Vec<u64>, StoreError>> {
        Box::pin(async move {
            check_bounds(&writes)?;
            self.ask(move |answer| Request::Commit {
                fence,
                writes,
                answer,
            })
            .await
        })
    }

    fn location(&self) -> String {
        self.path.display().to_string()
    }
}

impl Drop for FileStore {
    fn drop(&mut self) {
        // Without senders the worker ends once its queue is empty, and closes the file.
        drop(self.requests.take());
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        let in_time = ended.recv_timeout(CLOSE_TIMEOUT) != Err(RecvTimeoutError::Timeout);
        if let Some(worker) = self.worker.take().filter(|_| in_time) {
            // A worker that panicked has been reported by the panic hook already.
            drop(worker.join());
        }
    }
}

fn open_database(path: &Path) -> Result<Database, OpenError> {
    let database = open_or_create(path, &Builder::new())?;
    let made = || -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        transaction.open_table(TABLE)?;
        Ok(transaction.commit()?)
    };
    made().map_err(|error| OpenError::corrupt(path, error.to_string()))?;
    // A new file is found again after a power cut only when its directory is durable as well.
    sync_directory(directory_of(path)).map_err(|error| OpenError::io(path, &error))?;
    Ok(database)
}

/// Opens a file that was open before.
fn reopen(path: &Path) -> Result<Database, OpenError> {
    let io = |error| OpenError::io(path, &error);
    if std::fs::metadata(path).map_err(io)?.len() == 0 {
        return Err(OpenError::corrupt(path, "it was emptied while it was open"));
    }
    let database = Builder::new().open(path);
    let database = database.map_err(|error| OpenError::explain(path, error))?;
    let has_table = || -> Result<(), redb::Error> {
        database.begin_read()?.open_table(TABLE)?;
        Ok(())
    };
    has_table().map_err(|error| OpenError::corrupt(path, error.to_string()))?;
    Ok(database)
}

fn unavailable(reason: String) -> StoreError {
    StoreError::Unavailable(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_open_is_opened_again_and_never_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.redb");
        assert!(matches!(reopen(&path), Err(OpenError::Io { .. })));
        assert!(!path.exists());
        drop(open_database(&path).unwrap());
        drop(reopen(&path).unwrap());
        // Another store than ours.
        let other = dir.path().join("other.redb");
        drop(Database::create(&other).unwrap());
        assert!(matches!(reopen(&other), Err(OpenError::Corrupt { .. })));
        std::fs::write(&path, []).unwrap();
        let Err(OpenError::Corrupt { reason, .. }) = reopen(&path) else {
            panic!("an empty file is no store");
        };
        assert!(reason.contains("emptied"), "{reason}");
    }
}
