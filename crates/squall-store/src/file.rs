//! A store in a single file, by redb.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use futures_channel::oneshot;
use redb::{Builder, Database};
use squall_core::{BoxFuture, CheckpointStore, Entry, Fence, StoreError, Write};

use crate::commit::check_bounds;
use crate::disk::{OpenError, directory_of, open_or_create, sync_directory};
use crate::worker::{self, MAX_QUEUED, Request, TABLE};

/// Keeps everything in one file that one process has open at a time.
///
/// A thread of its own does all the work, because writing to a disk blocks; requests wait for it in a
/// queue of 1024, and one that finds the queue full is answered [`StoreError::Unavailable`]. All
/// commits that wait together become durable together, each still all or nothing. A write that fails
/// half way (a full disk) closes the store: all that follows is answered [`StoreError::Unavailable`]
/// until it is opened again. Dropping the store waits for what is queued.
#[derive(Debug)]
pub struct FileStore {
    path: PathBuf,
    requests: Option<SyncSender<Request>>,
    worker: Option<JoinHandle<()>>,
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
        let worker = std::thread::Builder::new()
            .name("squall-store".to_owned())
            .spawn(move || worker::run(database, &queue))
            .map_err(|error| OpenError::io(&path, &error))?;
        Ok(Self {
            path,
            requests: Some(requests),
            worker: Some(worker),
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
        answered.await.unwrap_or_else(|_| Err(stopped()))
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
        if let Some(worker) = self.worker.take() {
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

fn unavailable(reason: String) -> StoreError {
    StoreError::Unavailable(reason)
}
