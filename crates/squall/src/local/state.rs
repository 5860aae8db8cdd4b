//! Where a topology that runs in one process remembers how far its sources came: a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;

use squall_core::{BoxFuture, CheckpointStore, Entry, Fence, StoreError, Write};
use squall_store::{FileStore, OpenError};

/// The directory for state files where nothing else is said; in the current directory.
const DEFAULT_DIRECTORY: &str = ".squall";

/// A state file that can't be used.
#[derive(Debug, Error)]
pub enum StateError {
    /// Another process has it open.
    #[error(
        "{} is in use by another run of this topology: stop that one first, or give this one a directory of \
         its own by `--state DIR`, where it begins afresh",
        .path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It can't be opened.
    #[error(transparent)]
    Open(OpenError),
    /// It can't be read.
    #[error(transparent)]
    Read(#[from] StoreError),
    /// It can't be removed to start over.
    #[error("{}: {source}", .path.display())]
    Remove {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl From<OpenError> for StateError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::InUse { path } => Self::InUse { path },
            other => Self::Open(other),
        }
    }
}

/// The state file of one topology: `<directory>/<topology>.redb`.
///
/// A file that isn't there yet is made when a component first asks for it: a topology without
/// checkpoints leaves none behind.
pub struct StateFile {
    path: PathBuf,
    store: OnceCell<FileStore>,
}

impl StateFile {
    /// Names the file of a topology; `None` is the directory `.squall` in the current one.
    #[must_use]
    pub fn new(directory: Option<&Path>, topology: &str) -> Self {
        let directory = directory.unwrap_or_else(|| Path::new(DEFAULT_DIRECTORY));
        Self {
            path: directory.join(format!("{topology}.redb")),
            store: OnceCell::new(),
        }
    }

    /// Tells whether the file is there.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Removes the file, if there is one and no other process uses it. Blocks.
    ///
    /// # Errors
    /// [`StateError::InUse`], [`StateError::Open`], [`StateError::Remove`].
    pub fn remove(&self) -> Result<(), StateError> {
        if !self.exists() {
            return Ok(());
        }
        drop(FileStore::open(&self.path)?);
        std::fs::remove_file(&self.path).map_err(|source| StateError::Remove {
            path: self.path.clone(),
            source,
        })
    }

    /// Opens the file, if there is one, and returns what is to be resumed from it. Blocks; call it outside
    /// of `tokio`.
    ///
    /// # Errors
    /// [`StateError::InUse`], [`StateError::Open`] when it is damaged, [`StateError::Read`].
    pub fn resume(&self, tokio: &Handle) -> Result<Resumed, StateError> {
        // Asked first: opening may write.
        let written = std::fs::metadata(&self.path).and_then(|file| file.modified());
        let mut resumed = Resumed {
            age: written.ok().and_then(|written| written.elapsed().ok()),
            ..Resumed::default()
        };
        if !self.exists() {
            return Ok(resumed);
        }
        tokio.block_on(async {
            let store = self.store().await?;
            for (key, _) in store.list("").await? {
                if let Some(source) = source_of(&key) {
                    *resumed.n_shards.entry(source).or_default() += 1;
                }
            }
            Ok(resumed)
        })
    }

    async fn store(&self) -> Result<&FileStore, StateError> {
        let path = self.path.clone();
        let open = || async { Ok(FileStore::open(path)?) };
        self.store.get_or_try_init(open).await
    }

    async fn opened(&self) -> Result<&FileStore, StoreError> {
        let opened = self.store().await;
        opened.map_err(|error| StoreError::Unavailable(error.to_string()))
    }
}

/// What a run goes on from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resumed {
    /// How many shards of each source have a checkpoint.
    pub n_shards: BTreeMap<String, u64>,
    /// How long ago the file was written to; `None` where there is none.
    pub age: Option<Duration>,
}

/// Keys are `application/stream/shard`, and applications may have a `/`: the stream is what people know. What
/// begins with `~` is no shard.
fn source_of(key: &str) -> Option<String> {
    let mut parts = key.rsplit('/');
    let shard = parts.next().filter(|shard| !shard.starts_with('~'))?;
    Some(parts.next().unwrap_or(shard).to_owned())
}

impl CheckpointStore for StateFile {
    fn load<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
        Box::pin(async move { self.opened().await?.load(key).await })
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
    ) -> BoxFuture<'a, Result<Vec<(String, Entry)>, StoreError>> {
        Box::pin(async move { self.opened().await?.list(prefix).await })
    }

    fn commit(
        &self,
        fence: Fence,
        writes: Vec<Write>,
    ) -> BoxFuture<'_, Result<Vec<u64>, StoreError>> {
        Box::pin(async move { self.opened().await?.commit(fence, writes).await })
    }

    fn location(&self) -> String {
        self.path.display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(key: &str) -> Write {
        Write {
            key: key.to_owned(),
            expected: None,
            value: Some(b"1".to_vec()),
        }
    }

    #[test]
    fn makes_its_file_at_the_first_use_and_finds_it_again() {
        let directory = tempfile::tempdir().unwrap();
        let tokio = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let state = || StateFile::new(Some(directory.path()), "clicks");

        let first = state();
        assert_eq!(first.resume(tokio.handle()).unwrap(), Resumed::default());
        assert!(!directory.path().join("clicks.redb").exists());
        let writes = vec![
            write("app/orders/0"),
            write("app/orders/1"),
            write("app/orders/~stream"),
            write("lone"),
        ];
        tokio
            .block_on(first.commit(Fence::default(), writes))
            .unwrap();
        let in_use = state().remove().unwrap_err().to_string();
        assert!(in_use.contains("`--state DIR`"), "{in_use}");
        drop(first);

        let found = state().resume(tokio.handle()).unwrap();
        assert!(found.age.is_some());
        let found: Vec<_> = found.n_shards.into_iter().collect();
        assert_eq!(found, [("lone".to_owned(), 1), ("orders".to_owned(), 2)]);
        state().remove().unwrap();
        assert_eq!(state().resume(tokio.handle()).unwrap(), Resumed::default());
    }
}
