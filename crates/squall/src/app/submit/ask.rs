//! Asking the program that is to be submitted what it makes of the topology.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::timeout;

use crate::app::describe;
use crate::console;
use crate::description::{Description, MAX_DESCRIPTION_BYTES};

/// How long a program may take to describe a topology. Factories do no I/O: it takes milliseconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How much of what it says besides is kept, in bytes.
const MAX_SAID_BYTES: usize = 16 << 10;

/// A program that didn't describe the topology.
#[derive(Debug, Error)]
pub(super) enum AskError {
    /// It can't be started.
    #[error("`{}` can't be run here to check the topology: {source}{}", .path.display(), advice(.source))]
    Start {
        /// The program.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It doesn't answer.
    #[error(
        "`{}` doesn't say within {ANSWER_WITHIN:?} what it makes of the topology\n  what to do: let factories \
         and topologies that are built in Rust only build; what takes long belongs in `open` and `prepare`",
        .0.display()
    )]
    Slow(PathBuf),
    /// It answers too much.
    #[error("`{}` says more than {MAX_DESCRIPTION_BYTES} bytes about the topology", .0.display())]
    TooMuch(PathBuf),
    /// It is some other program.
    #[error(
        "`{}` doesn't know `{}`: it is no program built with Squall, or one without the feature \
         `cluster`{}\n  what to do: give --bin a program whose `main` is `squall::App`",
        .path.display(), describe::NAME, quoted(.said)
    )]
    Foreign {
        /// The program.
        path: PathBuf,
        /// What it said.
        said: String,
    },
    /// It refuses its arguments, or fails.
    #[error("`{}` can't describe the topology ({status}){}", .path.display(), quoted(.said))]
    Failed {
        /// The program.
        path: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        said: String,
    },
}

impl AskError {
    /// Returns the exit status that says whose mistake it is: 2 for wrong usage, 1 otherwise.
    pub(super) fn status(&self) -> u8 {
        match self {
            Self::Foreign { .. } => 2,
            Self::Failed { status, .. } if status.code() == Some(2) => 2,
            _ => 1,
        }
    }
}

/// Has a program describe a topology.
pub(super) async fn ask(path: &Path, args: &[OsString]) -> Result<Description, AskError> {
    let named = || path.to_owned();
    let failed = |source| AskError::Start {
        path: named(),
        source,
    };
    let mut child = Command::new(path)
        .arg(describe::NAME)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let answer = async {
        let printed = read(stdout, MAX_DESCRIPTION_BYTES);
        let (printed, said) = tokio::join!(printed, read(stderr, MAX_SAID_BYTES));
        Ok((printed?, said?, child.wait().await?))
    };
    let answer = timeout(ANSWER_WITHIN, answer).await;
    let answer = answer.map_err(|_| AskError::Slow(named()))?;
    let (printed, said, status) = answer.map_err(failed)?;

    let said = String::from_utf8_lossy(&said.bytes).trim_end().to_owned();
    if printed.is_cut {
        return Err(AskError::TooMuch(named()));
    }
    let description = serde_json::from_slice::<Description>(&printed.bytes);
    match (status.success(), description) {
        (true, Ok(description)) => {
            if !said.is_empty() {
                console::say(said);
            }
            Ok(description)
        }
        (false, _) if !said.contains(describe::NAME) => Err(AskError::Failed {
            path: named(),
            status,
            said,
        }),
        _ => Err(AskError::Foreign {
            path: named(),
            said,
        }),
    }
}

/// The beginning of what a program wrote.
struct Written {
    bytes: Vec<u8>,
    is_cut: bool,
}

/// Reads to the end, and keeps no more than the bound: a program must not wait for its reader.
async fn read(from: Option<impl AsyncRead + Unpin>, bound: usize) -> io::Result<Written> {
    let mut bytes = Vec::new();
    let Some(mut from) = from else {
        return Ok(Written {
            bytes,
            is_cut: false,
        });
    };
    (&mut from)
        .take(bound as u64)
        .read_to_end(&mut bytes)
        .await?;
    let n_left = tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    let is_cut = n_left > 0;
    Ok(Written { bytes, is_cut })
}

/// Says what may help with a program that can't be started.
fn advice(error: &io::Error) -> &'static str {
    /// Linux: `Exec format error`.
    const ENOEXEC: i32 = 8;
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::PermissionDenied, _) => "\n  what to do: make it executable: chmod +x",
        (io::ErrorKind::NotFound, _) => {
            "\n  what to do: its loader (ELF interpreter) isn't on this machine; \
                                         submit from a machine that can run it"
        }
        (_, Some(ENOEXEC)) => {
            "\n  what to do: it is built for another processor; submit from a machine of \
                               that kind"
        }
        _ => "",
    }
}

/// Puts what a program said below what is said of it.
fn quoted(said: &str) -> String {
    match said {
        "" => String::new(),
        said => format!("; it says:\n    {}", said.replace('\n', "\n    ")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    /// Asks a program that is a shell script.
    async fn check(script: &str, expected: &str, status: u8) {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("program");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let error = ask(&path, &["topology.yaml".into()]).await.unwrap_err();
        let text = error.to_string().replace(path.to_str().unwrap(), "program");
        assert!(text.contains(expected), "{text}");
        assert_eq!(error.status(), status, "{text}");
    }

    #[tokio::test]
    async fn a_program_that_is_none_of_ours_is_told_from_one_that_fails() {
        check(
            "echo \"error: unrecognized subcommand '$1'\" >&2; exit 2",
            "`program` doesn't know `__describe`: it is no program built with Squall",
            2,
        )
        .await;
        check("echo hello", "doesn't know `__describe`", 2).await;
        check(
            "echo no --set here >&2; exit 2",
            "(exit status: 2); it says:\n    no --set here",
            2,
        )
        .await;
        check("exit 3", "can't describe the topology (exit status: 3)", 1).await;
        check("kill -9 $$", "(signal: 9 (SIGKILL))", 1).await;
    }

    #[tokio::test]
    async fn a_program_that_talks_without_end_is_cut_and_named() {
        let talk = format!(
            "head -c {} /dev/zero; head -c 100000 /dev/zero >&2",
            MAX_DESCRIPTION_BYTES + 1
        );
        check(&talk, "says more than 8388608 bytes", 1).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_that_says_nothing_is_ended() {
        check("exec sleep 1000", "doesn't say within 30s", 1).await;
    }

    #[tokio::test]
    async fn what_can_t_be_started_is_named_with_a_way_out() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("program");
        std::fs::write(&path, "\u{7f}ELF").unwrap();
        let error = ask(&path, &[]).await.unwrap_err().to_string();
        assert!(error.contains("chmod +x"), "{error}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let error = ask(&path, &[]).await.unwrap_err().to_string();
        assert!(error.contains("another processor"), "{error}");
    }
}
