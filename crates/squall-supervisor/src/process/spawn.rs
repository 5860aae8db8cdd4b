//! Starting a worker.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};

/// What a worker's process begins with.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    /// The binary.
    pub(crate) program: &'a Path,
    /// Its launch file.
    pub(crate) launch_file: &'a Path,
    /// Where it runs.
    pub(crate) directory: &'a Path,
    /// What recognises it, in its environment as well as in the launch file.
    pub(crate) cookie: &'a str,
    /// The slot's lock, which it holds from now on.
    pub(crate) lock: File,
    /// Where its standard output and error go, opened for appending.
    pub(crate) output: File,
}

/// The environment variable that holds a worker's cookie.
pub(super) const COOKIE_VARIABLE: &str = "SQUALL_COOKIE";

/// Starts `<program> worker --launch FILE` as the leader of a process group of its own: what is typed at
/// the supervisor's terminal doesn't reach it, and it outlives the supervisor. Blocks until the program is
/// loaded.
///
/// # Errors
/// What the system says; then there is no process.
pub(crate) fn start(start: Start<'_>) -> io::Result<Child> {
    let errors = start.output.try_clone()?;
    Command::new(start.program)
        .args(["worker", "--launch"])
        .arg(start.launch_file)
        .current_dir(start.directory)
        .env(COOKIE_VARIABLE, start.cookie)
        .stdin(start.lock)
        .stdout(start.output)
        .stderr(errors)
        .process_group(0)
        .spawn()
}
