//! Files and directories that are still there after a power cut, and what redb makes of them.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, StorageError};
use thiserror::Error;

/// How many bytes of a file tell that it is redb's.
const MARK_BYTES: usize = 9;
/// What redb writes before the mark lies within these.
const HEAD_BYTES: usize = 4096;
/// More than a file has that was never written to.
const MAX_UNFINISHED_BYTES: u64 = 16 << 20;

/// A store that can't be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process, or another store of this one, has it open.
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

impl OpenError {
    pub(crate) fn io(path: &Path, error: &std::io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            reason: error.to_string(),
        }
    }

    pub(crate) fn corrupt(path: &Path, reason: impl Into<String>) -> Self {
        Self::Corrupt {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    /// Says what redb's refusal to open a file means.
    pub(crate) fn explain(path: &Path, error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen => Self::InUse {
                path: path.to_owned(),
            },
            DatabaseError::Storage(StorageError::Io(error))
                if !matches!(
                    error.kind(),
                    ErrorKind::InvalidData | ErrorKind::UnexpectedEof
                ) =>
            {
                Self::io(path, &error)
            }
            other => Self::corrupt(path, other.to_string()),
        }
    }
}

/// The directory that a file is in.
pub(crate) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes a directory and those above it, each durable in the one above.
pub(crate) fn create_directory(directory: &Path) -> std::io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let above = directory_of(directory);
    create_directory(above)?;
    match std::fs::create_dir(directory) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync_directory(above)
}

/// Makes what was made, renamed or removed in a directory durable.
pub(crate) fn sync_directory(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Opens a file that may not be there yet; blocks. Its directory still has to be synced.
pub(crate) fn open_or_create(path: &Path, builder: &Builder) -> Result<Database, OpenError> {
    let io = |error| OpenError::io(path, &error);
    create_directory(directory_of(path)).map_err(io)?;
    clear_unfinished(path).map_err(io)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = options.open(path).map_err(io)?;
    FileBackend::new(file)
        .and_then(|backend| builder.create_with_backend(backend))
        .map_err(|error| OpenError::explain(path, error))
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

/// How much more an unprivileged process can store on the disk of this directory, in bytes.
pub(crate) fn free_bytes(directory: &Path) -> Option<u64> {
    let room = rustix::fs::statvfs(directory).ok()?;
    Some(room.f_bavail.saturating_mul(room.f_frsize))
}

/// Tells whether an error means that there is no room.
pub(crate) fn is_full(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
    )
}
