//! A store in a single file, by redb.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use futures_channel::oneshot;
use redb::{Database, DatabaseError, StorageError};
use squall_core::{BoxFuture, CheckpointStore, Entry, Fence, StoreError, Write};
use thiserror::Error;

use crate::commit::check_bounds;
use crate::worker::{self, MAX_QUEUED, Request, TABLE};

/// How many bytes of a file tell that it is redb's.
const MARK_BYTES: usize = 9;
/// What redb writes before the mark lies within these.
const HEAD_BYTES: usize = 4096;
/// More than a file has that was never written to.
const MAX_UNFINISHED_BYTES: u64 = 16 << 20;

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

/// A store that can't be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process, or another `FileStore` of this one, has it open.
    #[error("{} is open in another process; stop that one first, or name another file", .path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is no store, or a damaged one.
    #[error(
        "{} is not a store of squall, or it is damaged: move it away to start over ({reason})",
        .path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The file or its directory can't be read, made or written.
    #[error("{}: {reason}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
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
            .map_err(|error| io(&path, &error))?;
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
    let directory = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("."),
    };
    std::fs::create_dir_all(directory).map_err(|error| io(path, &error))?;
    clear_unfinished(path).map_err(|error| io(path, &error))?;
    let database = Database::create(path).map_err(|error| explain(path, error))?;
    let made = || -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        transaction.open_table(TABLE)?;
        Ok(transaction.commit()?)
    };
    made().map_err(|error| OpenError::Corrupt {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    // A new file is found again after a power cut only when its directory is durable as well.
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| io(path, &error))?;
    Ok(database)
}

/// Empties a file that a killed process left half made: only a head without its mark, which redb writes
/// last. Nothing was ever stored there, and redb would refuse it for ever.
fn clear_unfinished(path: &Path) -> std::io::Result<()> {
    // Whatever is wrong with the file is told when it is opened in earnest.
    let Ok(mut file) = OpenOptions::new().read(true).write(true).open(path) else {
        return Ok(());
    };
    let mut mark = [1; MARK_BYTES];
    let has_no_mark = file.read_exact(&mut mark).is_ok() && mark == [0; MARK_BYTES];
    // Who is making the file right now has locked it.
    if !has_no_mark || file.try_lock().is_err() {
        return Ok(());
    }
    file.rewind()?;
    let mut bytes = Vec::new();
    let mut limited = (&mut file).take(MAX_UNFINISHED_BYTES + 1);
    let n_bytes = limited.read_to_end(&mut bytes)? as u64;
    let (head, rest) = bytes.split_at(bytes.len().min(HEAD_BYTES));
    let is_unfinished = head.starts_with(&[0; MARK_BYTES]) && rest.iter().all(|byte| *byte == 0);
    if is_unfinished && n_bytes <= MAX_UNFINISHED_BYTES {
        file.set_len(0)?;
    }
    Ok(())
}

fn explain(path: &Path, error: DatabaseError) -> OpenError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::InUse { path },
        DatabaseError::Storage(StorageError::Io(error))
            if !matches!(
                error.kind(),
                ErrorKind::InvalidData | ErrorKind::UnexpectedEof
            ) =>
        {
            io(&path, &error)
        }
        other => OpenError::Corrupt {
            path,
            reason: other.to_string(),
        },
    }
}

fn io(path: &Path, error: &std::io::Error) -> OpenError {
    OpenError::Io {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

fn unavailable(reason: String) -> StoreError {
    StoreError::Unavailable(reason)
}
