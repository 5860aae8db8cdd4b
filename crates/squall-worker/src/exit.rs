//! Why a worker ends: for its supervisor, which shows it to operators, and for the exit status.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use squall_core::Fence;
use squall_proto::worker_dir::EXIT_REASON_FILE;

/// The longest reason that is written, in bytes.
const MAX_REASON_BYTES: usize = 16 << 10;

/// Why a worker has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// It was told to, and nothing of its own was pending any more.
    Drained,
    /// It was told to, and its time was over before everything had drained.
    Clean {
        /// The tuple trees of its tasks that had no verdict: they fail, and their sources emit them again.
        n_pending: u64,
    },
    /// Another copy of it runs, or nobody knows it any more.
    Superseded {
        /// Who says so, and of whom.
        why: String,
    },
    /// It can't go on, or could not begin.
    Failed {
        /// What is wrong, and what to do about it.
        why: String,
    },
    /// A part of the engine panicked. (Components that do fail a tuple, not the worker.)
    Panicked {
        /// What was said, and where.
        why: String,
    },
}

impl ExitReason {
    /// Ends because of an error.
    pub(crate) fn failed(why: impl fmt::Display) -> Self {
        Self::Failed {
            why: why.to_string(),
        }
    }

    /// Ends because a newer copy runs; an incarnation of 0 is one that isn't known.
    pub(crate) fn superseded_by(fence: Fence) -> Self {
        let Fence {
            placement_epoch,
            incarnation,
        } = fence;
        let why = match incarnation {
            0 => format!("this worker was placed anew in epoch {placement_epoch}"),
            _ => format!("a newer copy runs: epoch {placement_epoch}, incarnation {incarnation}"),
        };
        Self::Superseded { why }
    }

    /// Returns the exit status: 0 for who ended as it was told, 1 for a failure, 3 for who was superseded,
    /// 101 for a panic.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Drained | Self::Clean { .. } => 0,
            Self::Failed { .. } => 1,
            Self::Superseded { .. } => 3,
            Self::Panicked { .. } => 101,
        })
    }

    /// Writes the reason into a worker's directory: whole, or not at all. Blocks.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        let mut text = self.to_string();
        text.truncate(text.floor_char_boundary(MAX_REASON_BYTES));
        text.push('\n');
        let new = directory.join(format!("{EXIT_REASON_FILE}.new"));
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        // The process is about to end: what isn't on the disk now never is, should the machine go too.
        file.sync_all()?;
        fs::rename(new, directory.join(EXIT_REASON_FILE))
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drained => f.write_str("drained"),
            Self::Clean { n_pending: 0 } => f.write_str("clean"),
            Self::Clean { n_pending } => write!(f, "clean: {n_pending} tuple trees were pending"),
            Self::Superseded { why } => write!(f, "superseded: {why}"),
            Self::Failed { why } => write!(f, "failed: {why}"),
            Self::Panicked { why } => write!(f, "panic: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_replaces_what_was_there_and_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let read = || fs::read_to_string(dir.path().join(EXIT_REASON_FILE)).unwrap();
        ExitReason::failed("é".repeat(100_000))
            .write(dir.path())
            .unwrap();
        assert!(read().starts_with("failed: éé") && read().len() <= MAX_REASON_BYTES + 1);
        let newer = Fence {
            placement_epoch: 4,
            incarnation: 7,
        };
        ExitReason::superseded_by(newer).write(dir.path()).unwrap();
        let expected = "superseded: a newer copy runs: epoch 4, incarnation 7\n";
        assert_eq!(read(), expected);
        ExitReason::Drained.write(dir.path()).unwrap();
        assert_eq!(read(), "drained\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_directory_that_is_gone_is_an_error_and_no_panic() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("gone");
        assert!(ExitReason::Drained.write(&gone).is_err());
    }
}
