//! One attempt to fetch a binary.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::Digest;
use squall_daemon::fail_point;
use squall_proto::Sha256;
use squall_proto::bounds::MAX_BLOB_BYTES;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::files::sync_directory;

use super::disk::free_bytes;
use super::error::FetchError;
use super::source::{Piece, Source};

/// How long nimbus may take for the next piece.
const PIECE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pieces are written together once they are this many bytes.
const WRITE_BYTES: usize = 1 << 20;

/// What is to be fetched, and where to.
#[derive(Clone, Debug)]
pub(super) struct Fetch {
    pub(super) sha256: Sha256,
    /// Holds what has come so far, from this attempt and earlier ones.
    pub(super) part: PathBuf,
    pub(super) path: PathBuf,
    pub(super) min_free_bytes: u64,
}

impl Fetch {
    /// Fetches what is missing; returns the size of the whole.
    pub(super) async fn run(&self, source: &dyn Source) -> Result<u64, FetchError> {
        let (file, n_bytes) = self.blocking(Self::open_part).await?;
        let mut arrival = Arrival {
            file: Some(file),
            n_bytes,
            size_bytes: None,
            unwritten: Vec::new(),
        };
        let received = self.receive(source, &mut arrival).await;
        // What came before a break needn't come again.
        self.write(&mut arrival).await?;
        received?;
        self.blocking(Self::finish).await?;
        Ok(arrival.n_bytes)
    }

    async fn receive(&self, source: &dyn Source, arrival: &mut Arrival) -> Result<(), FetchError> {
        let mut pieces = match in_time(source.open(self.sha256, arrival.n_bytes)).await {
            // Perhaps only because of what came earlier: the next attempt begins anew.
            Err(FetchError::Refused { reason }) => {
                return Err(self.begin_anew(FetchError::Refused { reason }));
            }
            other => other?,
        };
        while let Some(piece) = in_time(pieces.next()).await? {
            if arrival.size_bytes.is_none() {
                self.check_room(piece.size_bytes, arrival.n_bytes)?;
                arrival.size_bytes = Some(piece.size_bytes);
            }
            if let Err(reason) = arrival.check_fit(&piece) {
                return Err(self.begin_anew(FetchError::Misfit { reason }));
            }
            arrival.n_bytes += piece.bytes.len() as u64;
            arrival.unwritten.extend_from_slice(&piece.bytes);
            if arrival.size_bytes == Some(arrival.n_bytes) {
                return Ok(());
            }
            if arrival.unwritten.len() >= WRITE_BYTES {
                self.write(arrival).await?;
            }
        }
        let reason = format!("it broke off behind {} bytes", arrival.n_bytes);
        Err(FetchError::Away { reason })
    }

    /// Opens what earlier attempts have left, and says how much that is.
    fn open_part(&self) -> Result<(File, u64), FetchError> {
        let open = || {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false);
            let mut file = options.open(&self.part)?;
            let n_bytes = file.seek(SeekFrom::End(0))?;
            Ok((file, n_bytes))
        };
        open().map_err(|error| FetchError::io(&self.part, error))
    }

    fn check_room(&self, size_bytes: u64, n_bytes: u64) -> Result<(), FetchError> {
        if size_bytes > MAX_BLOB_BYTES {
            let reason = format!("it has {size_bytes} bytes, more than {MAX_BLOB_BYTES}");
            return Err(FetchError::Misfit { reason });
        }
        let needed_bytes = size_bytes.saturating_sub(n_bytes);
        let free = free_bytes(&self.part);
        if free.is_some_and(|free| free < needed_bytes.saturating_add(self.min_free_bytes)) {
            return Err(self.no_room(free.unwrap_or(0), needed_bytes));
        }
        Ok(())
    }

    /// Drops what came so far, which can't be trusted either.
    fn begin_anew(&self, error: FetchError) -> FetchError {
        match remove(&self.part) {
            Ok(()) => error,
            Err(error) => FetchError::io(&self.part, error),
        }
    }

    async fn write(&self, arrival: &mut Arrival) -> Result<(), FetchError> {
        let bytes = std::mem::take(&mut arrival.unwritten);
        let Some(mut file) = arrival.file.take().filter(|_| !bytes.is_empty()) else {
            return Ok(());
        };
        let write = move |fetch: &Self| match file.write_all(&bytes) {
            Ok(()) => Ok(file),
            Err(error) if is_full(&error) => {
                let free_bytes = free_bytes(&fetch.part).unwrap_or(0);
                Err(fetch.no_room(free_bytes, bytes.len() as u64))
            }
            Err(error) => Err(FetchError::io(&fetch.part, error)),
        };
        arrival.file = Some(self.blocking(write).await?);
        Ok(())
    }

    /// Proves the hash and gives the file its name.
    fn finish(&self) -> Result<(), FetchError> {
        let io = |error| FetchError::io(&self.part, error);
        let found = hash(&self.part).map_err(io)?;
        if found != self.sha256 {
            remove(&self.part).map_err(io)?;
            return Err(FetchError::WrongHash { found });
        }
        let name = || {
            let file = File::open(&self.part)?;
            file.set_permissions(Permissions::from_mode(0o500))?;
            file.sync_all()?;
            fail_point::reach(format_args!("binary-fetched"));
            fs::rename(&self.part, &self.path)?;
            self.path.parent().map_or(Ok(()), sync_directory)
        };
        name().map_err(io)
    }

    fn no_room(&self, free_bytes: u64, needed_bytes: u64) -> FetchError {
        FetchError::NoRoom {
            directory: self.part.parent().unwrap_or(Path::new(".")).to_owned(),
            free_bytes,
            needed_bytes,
            min_free_bytes: self.min_free_bytes,
        }
    }

    /// Does what blocks on a thread for such things.
    async fn blocking<T: Send + 'static>(
        &self,
        task: impl FnOnce(&Self) -> Result<T, FetchError> + Send + 'static,
    ) -> Result<T, FetchError> {
        let fetch = self.clone();
        match spawn_blocking(move || task(&fetch)).await {
            Ok(result) => result,
            Err(error) => Err(FetchError::io(&self.part, io::Error::other(error))),
        }
    }
}

/// What has come.
struct Arrival {
    /// Where it goes; missing while, and after, writing failed.
    file: Option<File>,
    /// How many bytes there are, written or not.
    n_bytes: u64,
    /// How many there are to be, as the first piece said.
    size_bytes: Option<u64>,
    unwritten: Vec<u8>,
}

impl Arrival {
    fn check_fit(&self, piece: &Piece) -> Result<(), String> {
        let n_bytes = piece.bytes.len() as u64;
        let end = self.n_bytes.saturating_add(n_bytes);
        let fits = Some(piece.size_bytes) == self.size_bytes
            && piece.offset_bytes == self.n_bytes
            && end <= piece.size_bytes;
        if fits {
            return Ok(());
        }
        Err(format!(
            "{n_bytes} bytes at {} of {}, behind {} of {}",
            piece.offset_bytes,
            piece.size_bytes,
            self.n_bytes,
            self.size_bytes.unwrap_or(0),
        ))
    }
}

async fn in_time<T>(answer: impl Future<Output = Result<T, FetchError>>) -> Result<T, FetchError> {
    timeout(PIECE_TIMEOUT, answer).await.unwrap_or_else(|_| {
        Err(FetchError::Away {
            reason: format!("no answer within {} s", PIECE_TIMEOUT.as_secs()),
        })
    })
}

/// Returns the hash of a file's content. Blocks.
pub(super) fn hash(path: &Path) -> io::Result<Sha256> {
    let mut file = File::open(path)?;
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; WRITE_BYTES];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Sha256::new(hasher.finalize().into())),
            Ok(n_bytes) => hasher.update(buffer.get(..n_bytes).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Tells whether an error means that there is no room.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    )
}
