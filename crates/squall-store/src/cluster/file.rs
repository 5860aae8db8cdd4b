//! A cluster store in a single file, by redb.

mod disk;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use futures_channel::oneshot;
use squall_core::BoxFuture;

pub(crate) use disk::{Disk, FileDisk};

use crate::OpenError;
use crate::cluster::txn::check_keys;
use crate::cluster::watch::Hub;
use crate::cluster::worker::{
    Answer, Held, MAX_QUEUED, MAX_QUEUED_BYTES, Read, Request, Worker, Write,
};
use crate::cluster::{
    ClusterError, ClusterStore, DEFAULT_MAX_BYTES, LeaderEpoch, Outcome, Page, Revision, Stored,
    Txn, Watch,
};

/// Keeps the cluster's state in one file that one process has open at a time.
///
/// A thread of its own does all the work, because writing to a disk blocks; requests wait for it in a queue of
/// 256 and 64 MiB, and one that finds the queue full is answered [`ClusterError::Unavailable`]. All commits that wait
/// together become durable together, by one `fsync`, each still all or nothing and answered on its own.
///
/// When the disk is full or fails, writes are answered [`ClusterError::Full`] or
/// [`ClusterError::Unavailable`], reads go on if the disk lets them, and the store is as good as new when the
/// cause has gone: it opens its file again by itself, after a panic as well. Dropping the store waits for what is queued.
#[derive(Debug)]
pub struct FileCluster {
    location: String,
    hub: Arc<Hub>,
    requests: Option<SyncSender<Request>>,
    /// What waits to be written, in bytes.
    queued_bytes: Arc<AtomicUsize>,
    worker: Option<JoinHandle<()>>,
}

/// The bounds of a [`FileCluster`].
#[derive(Clone, Debug)]
pub struct FileClusterConfig {
    /// How much the store holds, in bytes of keys and values. Default: 256 MiB.
    pub max_bytes: u64,
    /// How much room the disk must have for a commit that adds something, in bytes. What is below is left for
    /// commits that delete, and for the store's own recovery. Default: 16 MiB.
    pub min_free_bytes: u64,
    /// How much memory redb may use to keep pages, in bytes. Default: 16 MiB.
    pub cache_bytes: usize,
}

impl Default for FileClusterConfig {
    fn default() -> Self {
        Self {
            max_bytes: DEFAULT_MAX_BYTES,
            min_free_bytes: 16 << 20,
            cache_bytes: 16 << 20,
        }
    }
}

impl FileCluster {
    /// Opens the file, or makes it and the directories above it. Blocks.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: impl AsRef<Path>, config: FileClusterConfig) -> Result<Self, OpenError> {
        let path = path.as_ref().to_owned();
        Self::open_on(FileDisk::new(path), config)
    }

    /// Opens whatever the disk holds.
    pub(crate) fn open_on(disk: impl Disk, config: FileClusterConfig) -> Result<Self, OpenError> {
        let path = disk.path().to_owned();
        let worker = Worker::open(disk, config)?;
        let hub = worker.hub();
        let (requests, queue) = sync_channel(MAX_QUEUED);
        let worker = std::thread::Builder::new()
            .name("squall-cluster".to_owned())
            .spawn(move || worker.run(&queue))
            .map_err(|error| OpenError::io(&path, &error))?;
        Ok(Self {
            location: path.display().to_string(),
            hub,
            requests: Some(requests),
            queued_bytes: Arc::default(),
            worker: Some(worker),
        })
    }

    /// Queues a request and awaits its answer; `lost` makes one where the worker had the request in its hands and
    /// never gave one.
    async fn ask<T>(
        &self,
        make: impl FnOnce(Answer<T>) -> Request + Send,
        lost: fn(String) -> ClusterError,
    ) -> Result<T, ClusterError> {
        let (answer, answered) = oneshot::channel();
        let stopped = || unavailable(format!("{} is closed", self.location));
        let requests = self.requests.as_ref().ok_or_else(stopped)?;
        requests
            .try_send(make(answer))
            .map_err(|error| match error {
                TrySendError::Full(_) => unavailable(format!("{MAX_QUEUED} requests wait for it")),
                TrySendError::Disconnected(_) => stopped(),
            })?;
        let lost = |_| Err(lost(format!("{} was closed meanwhile", self.location)));
        answered.await.unwrap_or_else(lost)
    }
}

impl ClusterStore for FileCluster {
    fn get_many(
        &self,
        keys: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<Option<Stored>>, ClusterError>> {
        Box::pin(async move {
            check_keys(&keys)?;
            let get = move |answer| Request::Read(Read::GetMany { keys, answer });
            self.ask(get, ClusterError::Unavailable).await
        })
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Page, ClusterError>> {
        let list = move |answer| {
            Request::Read(Read::List {
                prefix: prefix.to_owned(),
                after: after.map(str::to_owned),
                answer,
            })
        };
        Box::pin(self.ask(list, ClusterError::Unavailable))
    }

    fn commit(&self, txn: Txn) -> BoxFuture<'_, Result<Outcome, ClusterError>> {
        Box::pin(async move {
            txn.check()?;
            let held = Held::take(&self.queued_bytes, txn.n_bytes()).ok_or_else(|| {
                unavailable(format!(
                    "more than {MAX_QUEUED_BYTES} bytes wait to be written"
                ))
            })?;
            let commit = move |answer| Request::Write(Write::Commit { txn, answer, held });
            self.ask(commit, ClusterError::Unknown).await
        })
    }

    fn raise_leader_epoch(&self) -> BoxFuture<'_, Result<LeaderEpoch, ClusterError>> {
        let raise = move |answer| Request::Write(Write::Raise { answer });
        Box::pin(self.ask(raise, ClusterError::Unknown))
    }

    fn watch(&self, prefix: &str, after: Revision) -> Watch {
        self.hub.watch(prefix, after)
    }

    fn location(&self) -> String {
        self.location.clone()
    }
}

impl Drop for FileCluster {
    fn drop(&mut self) {
        // Without senders the worker ends once its queue is empty, and closes the file.
        drop(self.requests.take());
        if let Some(worker) = self.worker.take() {
            // A worker that panicked has been reported by the panic hook already.
            drop(worker.join());
        }
    }
}

fn unavailable(reason: String) -> ClusterError {
    ClusterError::Unavailable(reason)
}
