//! Fetching in all its misery, from a source that does what it is told.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use sha2::Digest;
use squall_core::BoxFuture;
use tempfile::TempDir;

use super::*;
use crate::slots::Fault;

const PIECE_BYTES: usize = 1000;

/// A nimbus with one binary.
struct Nimbus {
    content: Vec<u8>,
    /// Each read breaks off behind so many bytes.
    breaks_after: usize,
    /// Added to the offsets that it tells.
    shift: u64,
    opened_at: Mutex<Vec<u64>>,
    n_reading: Arc<AtomicUsize>,
}

struct Read {
    rest: Vec<Piece>,
    breaks: bool,
    n_reading: Arc<AtomicUsize>,
}

impl Source for Nimbus {
    fn open(
        &self,
        sha256: Sha256,
        offset_bytes: u64,
    ) -> BoxFuture<'_, Result<Box<dyn Pieces>, FetchError>> {
        self.opened_at.lock().unwrap().push(offset_bytes);
        let offset = usize::try_from(offset_bytes).unwrap();
        if sha256 == Sha256::new([0; 32]) || offset > self.content.len() {
            let reason = "no blob of that hash is stored".to_owned();
            return Box::pin(async { Err(FetchError::Refused { reason }) });
        }
        let end = self.content.len().min(offset + self.breaks_after);
        let mut at = offset_bytes;
        let mut rest: Vec<Piece> = self.content[offset..end]
            .chunks(PIECE_BYTES)
            .map(|bytes| {
                let piece = self.piece(at, bytes);
                at += bytes.len() as u64;
                piece
            })
            .collect();
        if offset == self.content.len() {
            rest.push(self.piece(at, &[]));
        }
        rest.reverse();
        assert_eq!(
            self.n_reading.fetch_add(1, Ordering::SeqCst),
            0,
            "one at a time"
        );
        let read = Read {
            rest,
            breaks: end < self.content.len(),
            n_reading: self.n_reading.clone(),
        };
        Box::pin(async { Ok(Box::new(read) as Box<dyn Pieces>) })
    }
}

impl Pieces for Read {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Piece>, FetchError>> {
        Box::pin(async {
            let reason = "connection reset".to_owned();
            match self.rest.pop() {
                None if self.breaks => Err(FetchError::Away { reason }),
                piece => Ok(piece),
            }
        })
    }
}

impl Drop for Read {
    fn drop(&mut self) {
        self.n_reading.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Nimbus {
    fn new(size: usize) -> Self {
        let content = (0..size).map(|n| u8::try_from(n % 251).unwrap());
        Self {
            content: content.collect(),
            breaks_after: usize::MAX / 2,
            shift: 0,
            opened_at: Mutex::default(),
            n_reading: Arc::default(),
        }
    }

    fn piece(&self, offset_bytes: u64, bytes: &[u8]) -> Piece {
        Piece {
            size_bytes: self.content.len() as u64,
            offset_bytes: offset_bytes + self.shift,
            bytes: Bytes::copy_from_slice(bytes),
        }
    }

    fn sha256(&self) -> Sha256 {
        Sha256::new(sha2::Sha256::digest(&self.content).into())
    }
}

struct Kit {
    directory: TempDir,
    nimbus: Arc<Nimbus>,
    binaries: Arc<Binaries>,
}

impl Kit {
    fn new(nimbus: Nimbus) -> Self {
        Self::with(nimbus, 0)
    }

    fn with(nimbus: Nimbus, min_free_bytes: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let nimbus = Arc::new(nimbus);
        let path = directory.path().to_owned();
        let binaries = Arc::new(Binaries::new(path, nimbus.clone(), min_free_bytes));
        Self {
            directory,
            nimbus,
            binaries,
        }
    }

    /// Starts the supervisor anew over the same directory.
    fn reopen(mut self) -> Self {
        let path = self.directory.path().to_owned();
        self.binaries = Arc::new(Binaries::new(path, self.nimbus.clone(), 0));
        self
    }

    async fn get(&self) -> Result<PathBuf, FetchError> {
        self.binaries.get(self.nimbus.sha256()).await
    }

    fn opened_at(&self) -> Vec<u64> {
        self.nimbus.opened_at.lock().unwrap().clone()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let names = entries.map(|entry| name(entry).into_string().unwrap());
        names.collect()
    }
}

#[tokio::test]
async fn a_binary_is_fetched_once_for_all_who_want_it() {
    let kit = Kit::new(Nimbus::new(3_000_000));
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (binaries, sha256) = (kit.binaries.clone(), kit.nimbus.sha256());
            tokio::spawn(async move { binaries.get(sha256).await.unwrap() })
        })
        .collect();
    for task in tasks {
        let path = task.await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), kit.nimbus.content);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o500);
    }
    assert_eq!(kit.opened_at(), [0]);
    assert_eq!(kit.names(), [kit.nimbus.sha256().to_string()]);
    // Nor by the next supervisor process.
    let kit = kit.reopen();
    kit.get().await.unwrap();
    assert_eq!(kit.opened_at(), [0]);
}

#[tokio::test]
async fn a_fetch_that_breaks_off_goes_on_where_it_was() {
    let kit = Kit::new(Nimbus {
        breaks_after: 1500,
        ..Nimbus::new(4000)
    });
    for _ in 0..2 {
        let error = kit.get().await.unwrap_err();
        assert_eq!(error.fault(), Fault::Away, "{error}");
    }
    // Also when the supervisor is started anew in between.
    let kit = kit.reopen();
    let path = kit.get().await.unwrap();
    assert_eq!(fs::read(path).unwrap(), kit.nimbus.content);
    assert_eq!(kit.opened_at(), [0, 1500, 3000]);
}

#[tokio::test]
async fn what_was_whole_but_not_yet_proven_is_only_proven() {
    let kit = Kit::new(Nimbus::new(4000));
    let part = kit
        .directory
        .path()
        .join(format!("{}.part", kit.nimbus.sha256()));
    fs::write(&part, &kit.nimbus.content).unwrap();
    kit.get().await.unwrap();
    assert_eq!(kit.opened_at(), [4000]);
    assert!(!part.exists());
}

#[tokio::test]
async fn a_wrong_beginning_is_dropped_with_what_came_behind_it() {
    for (left_over, expected) in [(2000, "has the SHA-256"), (5000, "doesn't give")] {
        let kit = Kit::new(Nimbus::new(4000));
        let part = kit
            .directory
            .path()
            .join(format!("{}.part", kit.nimbus.sha256()));
        fs::write(&part, vec![9; left_over]).unwrap();
        let error = kit.get().await.unwrap_err();
        assert_eq!(error.fault(), Fault::Here);
        assert!(error.to_string().contains(expected), "{error}");
        kit.get().await.unwrap();
        assert_eq!(kit.opened_at(), [left_over as u64, 0]);
    }
}

#[tokio::test]
async fn pieces_that_do_not_fit_are_refused() {
    let kit = Kit::new(Nimbus {
        shift: 1,
        ..Nimbus::new(4000)
    });
    let error = kit.get().await.unwrap_err();
    let expected =
        "the binary came in pieces that don't fit: 1000 bytes at 1 of 4000, behind 0 of 4000";
    assert_eq!(error.to_string(), expected);
    assert_eq!(kit.names(), [""; 0]);
}

#[tokio::test]
async fn an_unknown_hash_is_nobodys_absence() {
    let kit = Kit::new(Nimbus::new(10));
    let error = kit.binaries.get(Sha256::new([0; 32])).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Here, "{error}");
}

#[tokio::test]
async fn a_full_disk_is_told_before_anything_is_written() {
    let kit = Kit::with(Nimbus::new(4000), u64::MAX / 2);
    let error = kit.get().await.unwrap_err();
    assert!(
        matches!(
            error,
            FetchError::NoRoom {
                needed_bytes: 4000,
                ..
            }
        ),
        "{error}"
    );
    let part = kit.directory.path().join(&kit.names()[0]);
    assert_eq!(fs::metadata(part).unwrap().len(), 0);
    kit.reopen().get().await.unwrap();
}

#[tokio::test]
async fn a_stored_binary_that_was_damaged_is_fetched_again() {
    let kit = Kit::new(Nimbus::new(4000));
    let path = kit.get().await.unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, "half").unwrap();
    let kit = kit.reopen();
    let path = kit.get().await.unwrap();
    assert_eq!(fs::read(path).unwrap(), kit.nimbus.content);
}

#[tokio::test]
async fn what_nobody_wants_is_removed_but_for_the_latest() {
    let kit = Kit::new(Nimbus::new(4000));
    kit.get().await.unwrap();
    for n in 1..=9 {
        let other = kit.directory.path().join(Sha256::new([n; 32]).to_string());
        fs::write(other, "other").unwrap();
    }
    let wanted = HashSet::from([kit.nimbus.sha256()]);
    assert_eq!(kit.binaries.retain(&wanted).unwrap(), 7);
    assert_eq!(kit.names().len(), 3);
    assert_eq!(kit.binaries.retain(&wanted).unwrap(), 0);
    kit.get().await.unwrap();
    assert_eq!(kit.opened_at(), [0]);
    assert_eq!(kit.binaries.retain(&HashSet::new()).unwrap(), 1);
    assert!(kit.binaries.free_bytes() > 0);
}
