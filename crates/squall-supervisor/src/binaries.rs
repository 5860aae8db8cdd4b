//! Workers' binaries, kept by their hash under the data directory.
//!
//! A binary is fetched once, whoever needs it: into a file beside its place, from where an earlier attempt
//! broke off, and it gets its name only when its hash is proven and it is durable. What lies there from an
//! earlier run of the supervisor is proven again before its first use.
//!
//! **Invariant:** a file is started only under the hash that its content was proven to have.

mod disk;
mod error;
mod fetch;
mod source;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use squall_proto::Sha256;
use tokio::sync::Mutex as AsyncMutex;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use crate::files::sync_directory;

pub(crate) use disk::free_bytes;
pub(crate) use error::FetchError;
pub(crate) use source::{Piece, Pieces, Source};

/// Binaries that no slot wants any more and that are kept nevertheless, the latest ones, so that a topology
/// that moves to and fro isn't fetched again each time.
const MAX_SPARE: usize = 2;

/// Whether a binary was proven since the supervisor started; locked while somebody fetches or proves it.
type Proven = Arc<AsyncMutex<bool>>;

/// The binaries of one data directory.
pub(crate) struct Binaries {
    directory: PathBuf,
    source: Arc<dyn Source>,
    /// What must stay free on the disk after a fetch, in bytes.
    min_free_bytes: u64,
    known: Mutex<HashMap<Sha256, Proven>>,
}

impl Binaries {
    /// Makes the cache in a directory that exists.
    pub(crate) fn new(directory: PathBuf, source: Arc<dyn Source>, min_free_bytes: u64) -> Self {
        Self {
            directory,
            source,
            min_free_bytes,
            known: Mutex::default(),
        }
    }

    /// Returns where the binary is, having fetched it if need be. One attempt: the caller decides whether and
    /// when there is another, which goes on where this one broke off.
    ///
    /// # Errors
    /// [`FetchError`]; it says whose fault it is.
    pub(crate) async fn get(&self, sha256: Sha256) -> Result<PathBuf, FetchError> {
        let proven = self.known(sha256);
        let mut proven = proven.lock().await;
        let path = self.path(sha256);
        if *proven && path.exists() {
            return Ok(path);
        }
        if !self.prove(sha256).await? {
            let fetch = fetch::Fetch {
                sha256,
                part: self.part(sha256),
                path: path.clone(),
                min_free_bytes: self.min_free_bytes,
            };
            let size_bytes = fetch.run(self.source.as_ref()).await?;
            info!(%sha256, size_bytes, "binary fetched");
        }
        *proven = true;
        Ok(path)
    }

    /// Removes what nobody wants, but for the latest ones; returns how many files went. Blocks.
    ///
    /// # Errors
    /// The directory can't be read; what can't be removed is left.
    pub(crate) fn retain(&self, wanted: &HashSet<Sha256>) -> io::Result<usize> {
        let mut spare = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let sha256 = name.split('.').next().and_then(|hex| hex.parse().ok());
            if sha256.is_some_and(|sha256| wanted.contains(&sha256)) {
                continue;
            }
            spare.push((entry.metadata()?.modified()?, entry.path()));
        }
        spare.sort_by_key(|(modified, _)| Reverse(*modified));
        let mut n_removed = 0;
        for (_, path) in spare.into_iter().skip(MAX_SPARE) {
            match fs::remove_file(&path) {
                Ok(()) => n_removed += 1,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    warn!(path = %path.display(), %error, "unused binary can't be removed");
                }
            }
        }
        // What somebody is fetching right now he will look for again.
        let needed = |sha256: &Sha256, proven: &mut Proven| {
            wanted.contains(sha256) || Arc::strong_count(proven) > 1
        };
        self.lock().retain(needed);
        Ok(n_removed)
    }

    /// Returns the room on the disk, in bytes; 0 if nobody can tell.
    pub(crate) fn free_bytes(&self) -> u64 {
        free_bytes(&self.directory).unwrap_or(0)
    }

    /// Proves what lies there; `false` if it has to be fetched.
    async fn prove(&self, sha256: Sha256) -> Result<bool, FetchError> {
        let path = self.path(sha256);
        let directory = self.directory.clone();
        let task = move || match fetch::hash(&path) {
            Ok(found) if found == sha256 => Ok(true),
            Ok(found) => {
                warn!(path = %path.display(), %found, "stored binary is damaged: fetching it again");
                fs::remove_file(&path).and_then(|()| sync_directory(&directory))?;
                Ok(false)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        };
        let path = self.path(sha256);
        match spawn_blocking(task).await {
            Ok(result) => result.map_err(|error| FetchError::io(&path, error)),
            Err(error) => Err(FetchError::io(&path, io::Error::other(error))),
        }
    }

    fn path(&self, sha256: Sha256) -> PathBuf {
        self.directory.join(sha256.to_string())
    }

    fn part(&self, sha256: Sha256) -> PathBuf {
        self.directory.join(format!("{sha256}.part"))
    }

    fn known(&self, sha256: Sha256) -> Proven {
        self.lock().entry(sha256).or_default().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Sha256, Proven>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Binaries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let directory: &Path = &self.directory;
        f.debug_struct("Binaries")
            .field("directory", &directory)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
