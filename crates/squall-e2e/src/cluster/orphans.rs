//! Workers outlive their supervisors: they are found by the folder in their command lines.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::{Signal, signal};

/// How often workers are looked for, at most, until none is left.
const MAX_ROUNDS: usize = 50;

/// Tells whether a process is a worker whose launch file is below `folder`.
pub(super) fn is_worker_of(pid: u32, folder: &Path) -> bool {
    let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else {
        return false;
    };
    let line = String::from_utf8_lossy(&line);
    let mut words = line.split('\0');
    words.any(|word| word == "--launch")
        && words
            .next()
            .is_some_and(|launch| Path::new(launch).starts_with(folder))
}

/// Returns the ids of those processes. Dead ones have no command line.
pub(super) fn workers_of(folder: &Path) -> Result<Vec<u32>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let pid = name.to_str().and_then(|name| name.parse().ok());
        pids.extend(pid.filter(|pid| is_worker_of(*pid, folder)));
    }
    Ok(pids)
}

/// Kills them, until none is left.
pub(super) fn kill_workers_of(folder: &Path) {
    for _ in 0..MAX_ROUNDS {
        let pids = workers_of(folder).unwrap_or_default();
        if pids.is_empty() {
            return;
        }
        for pid in pids {
            // One that has just ended needs none.
            drop(signal(pid, Signal::KILL));
        }
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
}

/// Prints the end of what each process of a failed test said and logged.
#[expect(
    clippy::print_stderr,
    reason = "so that it is shown with the test that failed"
)]
pub(super) fn show_logs_of(folder: &Path, n_lines: usize) {
    let mut logs = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path: PathBuf = entry.path();
            let is_log = path
                .extension()
                .is_some_and(|is| is == "txt" || is == "log");
            if path.is_dir() {
                folders.push(path);
            } else if is_log || path.ends_with("exit-reason") {
                logs.push(path);
            }
        }
    }
    logs.sort();
    for path in logs {
        let text = fs::read(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let first = lines.len().saturating_sub(n_lines);
        let shown = lines.get(first..).unwrap_or_default().join("\n");
        eprintln!("--- {}\n{shown}", path.display());
    }
}
