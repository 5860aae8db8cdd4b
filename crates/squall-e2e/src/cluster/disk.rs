//! A disk of nimbus's own, small enough to be filled: memory that is mounted where only this process sees it, and
//! that goes with the process.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{Process, squall};

/// Where nimbus keeps its data, in the cluster's folder.
pub(super) const NIMBUS: &str = "nimbus";
/// Mounts the disk, but for the programs, which are larger, and becomes nimbus. $0 is the folder, $1 the size.
const MOUNT: &str = r#"set -e
mkdir -p "$0" "$0-binaries"
mount -t tmpfs -o "size=$1m" squall "$0"
mkdir "$0/binaries"
mount --bind "$0-binaries" "$0/binaries"
shift
exec "$@""#;
/// What takes the room.
const FILLER: &str = "filler";
/// How much is written at once, in bytes, so that no more is left.
const FILL_BYTES: [usize; 2] = [64 << 10, 4 << 10];

/// Starts nimbus on a disk of so many MiB. Root may mount; others may in a namespace of their own, where the
/// system allows that.
pub(super) fn start(args: &[&str], folder: &Path, talk: &str, mib: u32) -> Result<Process> {
    let unshare = unshare()?;
    let mut command = Command::new("unshare");
    command.args(unshare).args(["--", "sh", "-c", MOUNT]);
    command.arg(folder.join(NIMBUS)).arg(mib.to_string());
    command.arg(squall()?).args(args);
    Process::start_by(command, folder, talk)
}

/// Returns how `unshare` gives a process mounts of its own here.
fn unshare() -> Result<&'static [&'static str]> {
    let ways: [&[&str]; 2] = [&["--mount"], &["--mount", "--map-root-user"]];
    for way in ways {
        let mut tried = Command::new("unshare");
        tried
            .args(way)
            .args(["--", "mount", "-t", "tmpfs", "squall", "/mnt"]);
        let tried = tried
            .output()
            .context("this test needs `unshare` (util-linux)")?;
        if tried.status.success() {
            return Ok(way);
        }
    }
    anyhow::bail!(
        "this test has to mount a small disk: run it as root, or where users may have namespaces of their own \
         (kernel.unprivileged_userns_clone=1)"
    )
}

/// Fills the disk on which `folder` is, to the last page. Returns how many bytes that took.
///
/// # Errors
/// If it can't be written to, or had no room to begin with.
pub fn fill(folder: &Path) -> Result<u64> {
    let mut filler = File::create(folder.join(FILLER))?;
    for n_bytes in FILL_BYTES {
        loop {
            match filler.write(&vec![7; n_bytes]) {
                Ok(1..) => {}
                Ok(0) => break,
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    let n_bytes = filler.metadata()?.len();
    ensure!(n_bytes > 0, "the disk was full before");
    Ok(n_bytes)
}

/// Gives the room back.
///
/// # Errors
/// If it wasn't taken.
pub fn free(folder: &Path) -> Result<()> {
    fs::remove_file(folder.join(FILLER)).context("the disk was not filled")
}
