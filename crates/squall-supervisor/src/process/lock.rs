//! A slot's lock: held by the worker itself, for as long as it or anything it started lives.
//!
//! The supervisor takes the lock and hands it to the worker as its standard input. The kernel lets go of it
//! when the last process that has it open is gone, whatever becomes of the supervisor meanwhile; so a free
//! lock proves that the slot is empty, and a held one that it isn't.
//!
//! **Invariant:** no worker is started without its slot's lock.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::slots::Process;

use super::spawn::COOKIE_VARIABLE;
use super::stat::{Stat, stat};

/// Takes the lock; `None` if somebody has it.
pub(crate) fn try_lock(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Finds the processes whose standard input is the lock: the worker and what it may have left behind.
/// Processes of other users can't be seen.
pub(crate) fn holders(path: &Path) -> io::Result<Vec<Process>> {
    let lock = fs::metadata(path)?;
    let mut holders = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let input = fs::metadata(format!("/proc/{pid}/fd/0"));
        let same = |file: &fs::Metadata| (file.dev(), file.ino()) == (lock.dev(), lock.ino());
        if input.is_ok_and(|file| same(&file))
            && let Some(stat) = stat(pid)?.filter(|stat| !stat.zombie)
        {
            holders.push(stat.process);
        }
    }
    Ok(holders)
}

/// Tells whether a process is a worker that was started with this cookie, and not something that the worker
/// has started.
pub(crate) fn is_worker(process: Process, cookie: &str) -> io::Result<bool> {
    let leads = |stat: Stat| stat.process == process && stat.leads_group;
    if !stat(process.pid)?.is_some_and(leads) {
        return Ok(false);
    }
    let variable = format!("{COOKIE_VARIABLE}={cookie}");
    // It may be gone meanwhile, or not ours to look into.
    let Ok(environment) = fs::read(format!("/proc/{}/environ", process.pid)) else {
        return Ok(false);
    };
    let mut variables = environment.split(|byte| *byte == 0);
    Ok(variables.any(|entry| entry == variable.as_bytes()))
}
