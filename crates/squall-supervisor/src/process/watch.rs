//! Watching a process to its end, one's own child or an adopted one.
//!
//! A pidfd stands for exactly one process for ever and tells at once when that has ended. Where there are
//! none (an old kernel, a container that forbids them) the process table is read ten times a second.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open, pidfd_send_signal,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{MissedTickBehavior, interval};

use crate::slots::Process;

use super::exit;
use super::stat::stat;

/// How often the process table is read where there are no pidfds: an exit is to be seen within 0.2 s.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A process until its end. Dropping it leaves the process alone.
#[derive(Debug)]
pub(crate) struct Watched {
    process: Process,
    pid: Pid,
    pidfd: Option<AsyncFd<OwnedFd>>,
    child: Option<Child>,
}

impl Watched {
    /// Watches a child that was just started.
    ///
    /// # Errors
    /// It can't be watched; it was killed.
    pub(crate) fn child(mut child: Child) -> io::Result<Self> {
        // As long as nobody asks how it ended, its number is its own.
        let watched = stat(child.id()).and_then(|stat| {
            let stat = stat.ok_or_else(|| io::Error::from(Errno::SRCH))?;
            Self::open(stat.process)
        });
        match watched {
            Ok(watched) => Ok(Self {
                child: Some(child),
                ..watched
            }),
            Err(error) => {
                child.kill().and_then(|()| child.wait())?;
                Err(error)
            }
        }
    }

    /// Watches a process that an earlier supervisor started; `None` if it is gone.
    ///
    /// # Errors
    /// The process table can't be read.
    pub(crate) fn adopted(process: Process) -> io::Result<Option<Self>> {
        let watched = match Self::open(process) {
            Ok(watched) => watched,
            Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        // Looked up after the pidfd was opened: it is this process that the pidfd stands for, or the number
        // belongs to a later one.
        Ok(is_alive(process)?.then_some(watched))
    }

    fn open(process: Process) -> io::Result<Self> {
        let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::from(Errno::SRCH))?;
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => Some(register(pidfd)?),
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Self {
            process,
            pid,
            pidfd,
            child: None,
        })
    }

    /// Returns which process it is.
    pub(crate) const fn process(&self) -> Process {
        self.process
    }

    /// Waits for the end and returns how it came, for people. What the process left behind in its group is
    /// killed. May be dropped and called again before it is done.
    ///
    /// # Errors
    /// The process can't be watched any more.
    pub(crate) async fn ended(&mut self) -> io::Result<String> {
        match &self.pidfd {
            Some(pidfd) => drop(pidfd.readable().await?),
            None => {
                let mut ticks = interval(POLL_INTERVAL);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                while is_alive(self.process)? {
                    ticks.tick().await;
                }
            }
        }
        let status = match &mut self.child {
            Some(child) => {
                // The number can't belong to another group before the status has been asked for.
                ignore_gone(kill_process_group(self.pid, Signal::KILL))?;
                Some(child.wait()?)
            }
            None => None,
        };
        Ok(exit::describe(status))
    }

    /// Asks the process to end.
    ///
    /// # Errors
    /// What the system says; that the process is gone is none.
    pub(crate) fn terminate(&self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Ends the process and its group.
    ///
    /// # Errors
    /// What the system says; that the process is gone is none.
    pub(crate) fn kill(&self) -> io::Result<()> {
        self.signal(Signal::KILL)?;
        // An adopted process is reaped by somebody else, and then its number may be used again.
        if self.child.is_some() || is_alive(self.process)? {
            ignore_gone(kill_process_group(self.pid, Signal::KILL))?;
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        match &self.pidfd {
            Some(pidfd) => ignore_gone(pidfd_send_signal(pidfd, signal)),
            None if is_alive(self.process)? => ignore_gone(kill_process(self.pid, signal)),
            None => Ok(()),
        }
    }
}

/// Asks to be woken when the process has ended.
#[expect(
    deprecated,
    reason = "sound for an owned descriptor, which stays the same one for as long as it lives"
)]
fn register(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(pidfd, Interest::READABLE)
}

fn is_alive(process: Process) -> io::Result<bool> {
    Ok(stat(process.pid)?.is_some_and(|stat| stat.process == process && !stat.zombie))
}

fn ignore_gone(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Err(Errno::SRCH) => Ok(()),
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn an_end_is_seen_in_time_without_pidfds() {
        let child = Command::new("sleep").arg("1000").process_group(0).spawn();
        let mut watched = Watched::child(child.unwrap()).unwrap();
        watched.pidfd = None;
        let early = timeout(POLL_INTERVAL * 3, watched.ended()).await;
        assert!(early.is_err(), "it still runs");
        watched.terminate().unwrap();
        let ended = timeout(Duration::from_secs(20), watched.ended()).await;
        assert_eq!(ended.unwrap().unwrap(), "killed by signal 15 (SIGTERM)");
    }
}
