//! Reading the launch file.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use squall_proto::limits::MAX_LAUNCH_BYTES;
use squall_proto::{Launch, LaunchError};
use thiserror::Error;

/// Why a launch file is of no use.
#[derive(Debug, Error)]
pub enum LaunchFileError {
    /// It can't be read.
    #[error(
        "the launch file {} can't be read: {source}; supervisors write it, nobody starts a worker by hand",
        .path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is longer than any launch file.
    #[error("{} is longer than {MAX_LAUNCH_BYTES} bytes: this is no launch file", .path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// It says something else.
    #[error("{}: {source}", .path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: LaunchError,
    },
}

/// Reads what a supervisor has written for its worker. Blocks.
///
/// # Errors
/// [`LaunchFileError`].
pub fn read_launch(path: &Path) -> Result<Launch, LaunchFileError> {
    let at = || path.to_owned();
    let content =
        read(path).map_err(|source| LaunchFileError::Unreadable { path: at(), source })?;
    if content.len() > MAX_LAUNCH_BYTES {
        return Err(LaunchFileError::TooLong { path: at() });
    }
    Launch::from_file(content).map_err(|source| LaunchFileError::Wrong { path: at(), source })
}

/// Reads one byte more than there may be, at most.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let bound = MAX_LAUNCH_BYTES as u64 + 1;
    File::open(path)?.take(bound).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_launch_file_is_named_with_its_mistake() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("launch");
        let missing = read_launch(&path).unwrap_err().to_string();
        assert!(missing.contains("launch can't be read"), "{missing}");
        assert!(missing.contains("nobody starts a worker by hand"));
        std::fs::write(&path, "spouts: {}").unwrap();
        let wrong = read_launch(&path).unwrap_err().to_string();
        assert!(wrong.contains("this is no launch file"), "{wrong}");
        std::fs::write(&path, "").unwrap();
        let empty = read_launch(&path).unwrap_err().to_string();
        assert!(empty.contains("`handshake`"), "{empty}");
        File::create(&path)
            .unwrap()
            .set_len(MAX_LAUNCH_BYTES as u64 + 2)
            .unwrap();
        let long = read_launch(&path).unwrap_err().to_string();
        assert!(long.contains("is longer than 16777216 bytes"), "{long}");
    }
}
