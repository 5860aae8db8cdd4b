//! A program on its way to the cluster.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256 as Hasher};
use squall_daemon::elf::{Elf, ElfError};
use squall_proto::{BinaryNeeds, Sha256};
use thiserror::Error;

/// How much is read at once.
const READ_BYTES: usize = 256 * 1024;

/// A program that workers can be: read, hashed, and checked to be one for Linux.
#[derive(Clone, Debug)]
pub struct Binary {
    path: PathBuf,
    sha256: Sha256,
    size_bytes: u64,
    needs: BinaryNeeds,
}

/// A file that can't be a worker.
#[derive(Debug, Error)]
pub enum BinaryError {
    /// It can't be read.
    #[error("can't read the program `{}`: {error}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// It is no program for Linux.
    #[error("`{}` can't run on the cluster: {error}", .path.display())]
    Elf {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: ElfError,
    },
    /// It was changed while it was uploaded.
    #[error("`{}` was changed meanwhile: submit again", .0.display())]
    Changed(PathBuf),
}

impl Binary {
    /// Reads a program. Blocks while it reads the whole file.
    ///
    /// # Errors
    /// [`BinaryError`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, BinaryError> {
        let path = path.as_ref();
        let unreadable = |error| BinaryError::Read {
            path: path.to_owned(),
            error,
        };
        let mut file = File::open(path).map_err(unreadable)?;
        let (mut hasher, mut buffer, mut size_bytes) = (Hasher::new(), vec![0; READ_BYTES], 0u64);
        loop {
            let n_read = file.read(&mut buffer).map_err(unreadable)?;
            let Some(read @ [_, ..]) = buffer.get(..n_read) else {
                break;
            };
            hasher.update(read);
            size_bytes += n_read as u64;
        }
        let elf = Elf::open(path).map_err(|error| BinaryError::Elf {
            path: path.to_owned(),
            error,
        })?;
        Ok(Self {
            path: path.to_owned(),
            sha256: Sha256::new(hasher.finalize().into()),
            size_bytes,
            needs: elf.needs(),
        })
    }

    /// Returns where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns its hash.
    #[must_use]
    pub const fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// Returns its size in bytes.
    #[must_use]
    pub const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Returns what it needs of a machine.
    #[must_use]
    pub const fn needs(&self) -> &BinaryNeeds {
        &self.needs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_program_could_be_a_worker() {
        let path = std::env::current_exe().unwrap();
        let binary = Binary::read(&path).unwrap();
        assert_eq!(binary.size_bytes(), path.metadata().unwrap().len());
        assert!(binary.needs().target.contains("linux"));
        let expected: [u8; 32] = Hasher::digest(std::fs::read(&path).unwrap()).into();
        assert_eq!(binary.sha256(), Sha256::new(expected));
    }

    #[test]
    fn what_can_t_be_a_worker_is_refused_before_a_byte_is_sent() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("run.sh");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        let error = Binary::read(&script).unwrap_err().to_string();
        assert!(
            error.contains("run.sh` can't run on the cluster"),
            "{error}"
        );
        let error = Binary::read(dir.path().join("gone")).unwrap_err();
        assert!(matches!(error, BinaryError::Read { .. }), "{error}");
    }
}
