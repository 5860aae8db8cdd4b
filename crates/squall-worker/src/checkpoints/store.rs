//! The store that tasks see.

use std::sync::Arc;

use squall_core::{BoxFuture, CheckpointStore, Clock, Entry, Fence, StoreError, Write};
use squall_proto::{CheckpointPage, FieldError, ListCheckpoints, LoadCheckpoint};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tonic::Request;

use super::batcher::BatchError;
use super::committer::{Asked, commit_all};
use super::nimbus::{Nimbus, Repeat};

/// How many commits wait for the batcher to take them on. More wait in their own tasks.
const INBOX: usize = 256;
/// How many reads are made at the same time.
const READS: usize = 8;
/// How much one listing may bring, in bytes of keys and values.
const MAX_LISTED_BYTES: usize = 256 << 20;

/// Checkpoints in nimbus, for the tasks of one worker.
pub struct NimbusCheckpoints {
    nimbus: Arc<Nimbus>,
    commits: mpsc::Sender<Asked>,
    reads: Semaphore,
}

impl NimbusCheckpoints {
    /// Makes the store, and what writes for it: a future to be spawned, which ends with the store.
    pub fn new(
        nimbus: Nimbus,
        clock: Arc<dyn Clock>,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let nimbus = Arc::new(nimbus);
        let (commits, asked) = mpsc::channel(INBOX);
        let store = Self {
            nimbus: nimbus.clone(),
            commits,
            reads: Semaphore::new(READS),
        };
        (store, commit_all(nimbus, clock, asked))
    }

    async fn read_one(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        let _permit = self.reads.acquire().await.map_err(|_| ending())?;
        let load = LoadCheckpoint {
            client: self.nimbus.client.clone(),
            key: key.to_owned(),
        };
        let call = self.nimbus.call(Repeat::Yes, |mut client| {
            let request = Request::new(load.clone().into());
            async move { client.load_checkpoint(request).await }
        });
        let answer = call.await.map_err(|error| error.of(key))?;
        let found = Option::<(String, Entry)>::try_from(answer.into_inner())
            .map_err(|error| wrong(&error))?;
        match found {
            Some((found, _)) if found != key => {
                let why = format!("nimbus answered with `{found}` when asked for `{key}`");
                Err(StoreError::Unavailable(why))
            }
            found => Ok(found.map(|(_, entry)| entry)),
        }
    }

    async fn read_all(&self, prefix: &str) -> Result<Vec<(String, Entry)>, StoreError> {
        let _permit = self.reads.acquire().await.map_err(|_| ending())?;
        let mut listed: Vec<(String, Entry)> = Vec::new();
        let mut n_bytes = 0;
        loop {
            let after = listed.last().map(|(key, _)| key.clone());
            let page = self.read_page(prefix, after.clone()).await?;
            let first = page.entries.first().map(|(key, _)| key);
            if first.is_some_and(|first| Some(first) <= after.as_ref()) {
                let why = format!("nimbus repeats itself when it lists `{prefix}`");
                return Err(StoreError::Unavailable(why));
            }
            let entry_bytes = |(key, entry): &(String, Entry)| key.len() + entry.value.len();
            n_bytes += page.entries.iter().map(entry_bytes).sum::<usize>();
            if n_bytes > MAX_LISTED_BYTES {
                let why = format!("there are more than {MAX_LISTED_BYTES} bytes under `{prefix}`");
                return Err(StoreError::Invalid(why));
            }
            listed.extend(page.entries);
            if !page.more {
                return Ok(listed);
            }
        }
    }

    async fn read_page(
        &self,
        prefix: &str,
        after: Option<String>,
    ) -> Result<CheckpointPage, StoreError> {
        let list = ListCheckpoints {
            client: self.nimbus.client.clone(),
            prefix: prefix.to_owned(),
            after,
        };
        let call = self.nimbus.call(Repeat::Yes, |mut client| {
            let request = Request::new(list.clone().into());
            async move { client.list_checkpoints(request).await }
        });
        let answer = call.await.map_err(|error| error.of(prefix))?;
        CheckpointPage::try_from(answer.into_inner()).map_err(|error| wrong(&error))
    }

    async fn write(&self, fence: Fence, writes: Vec<Write>) -> Result<Vec<u64>, StoreError> {
        if fence != self.nimbus.client.fence {
            let why = "a worker's tasks write under its own fence".to_owned();
            return Err(StoreError::Invalid(why));
        }
        let (answer, answered) = oneshot::channel();
        let asked = Asked { writes, answer };
        self.commits.send(asked).await.map_err(|_| ending())?;
        answered.await.map_err(|_| ending())?
    }
}

impl CheckpointStore for NimbusCheckpoints {
    fn load<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
        Box::pin(self.read_one(key))
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
    ) -> BoxFuture<'a, Result<Vec<(String, Entry)>, StoreError>> {
        Box::pin(self.read_all(prefix))
    }

    fn commit(
        &self,
        fence: Fence,
        writes: Vec<Write>,
    ) -> BoxFuture<'_, Result<Vec<u64>, StoreError>> {
        Box::pin(self.write(fence, writes))
    }

    fn location(&self) -> String {
        self.nimbus.location.clone()
    }
}

fn ending() -> StoreError {
    StoreError::Unavailable("this worker is ending".to_owned())
}

fn wrong(error: &FieldError) -> StoreError {
    BatchError::Unavailable(format!("nimbus's answer is wrong: {error}")).into()
}
