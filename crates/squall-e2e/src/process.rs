//! The command `squall` as a process of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::{squall, until};

/// The folder, in that of a process, whose files arm fail points.
pub(crate) const FAIL_POINTS: &str = "fail-points";

/// A running `squall`. Dropping it kills it.
pub struct Process {
    child: Child,
    talk: PathBuf,
}

impl Process {
    /// Starts `squall` with `args` in `folder`; what it says goes to the file `talk` there. Its state is in
    /// the folder too, and no AWS credentials are about.
    ///
    /// # Errors
    /// If it can't be built or started.
    pub fn start(args: &[&str], folder: &Path, talk: &str) -> Result<Self> {
        let mut command = Command::new(squall()?);
        command.args(args);
        Self::start_by(command, folder, talk)
    }

    /// Does as [`Process::start`] by a command that becomes `squall`, under its own process id.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn start_by(mut command: Command, folder: &Path, talk: &str) -> Result<Self> {
        let talk = folder.join(talk);
        let said = File::create(&talk)?;
        let child = command
            .current_dir(folder)
            // What tests put there, builds with the feature `fail-points` heed.
            .env("SQUALL_FAIL_POINTS", folder.join(FAIL_POINTS))
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said)
            .spawn()
            .context("squall can't be started")?;
        Ok(Self { child, talk })
    }

    /// Returns its id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns what it has said so far, on stdout and stderr.
    ///
    /// # Errors
    /// If that can't be read.
    pub fn said(&self) -> Result<String> {
        Ok(fs::read_to_string(&self.talk)?)
    }

    /// Tells whether it still runs.
    ///
    /// # Errors
    /// If the system doesn't know.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Returns how much memory it has, in MiB, rounded up.
    ///
    /// # Errors
    /// If the system doesn't say: it does on Linux.
    pub fn resident_mib(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(kib.context("no VmRSS")?.parse::<u64>()?.div_ceil(1024))
    }

    /// Returns how much time all of its threads have spent on a core, in steps of 10 ms.
    ///
    /// # Errors
    /// If the system doesn't say: it does on Linux.
    pub fn cpu_time(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // Behind the name in parentheses are, from field 3 on, those of proc(5): 14 and 15 are user and system.
        let (_, fields) = stat.rsplit_once(") ").context("no name")?;
        let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u64>);
        let ticks: u64 = ticks.sum::<Result<u64, _>>()?;
        // A tick is a hundredth of a second wherever there is Linux for what we build for.
        Ok(Duration::from_millis(10 * ticks))
    }

    /// Ends it by SIGKILL and waits until it is gone.
    ///
    /// # Errors
    /// If it can't be waited for.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.child.kill()?;
        Ok(self.child.wait()?)
    }

    /// Asks it by SIGTERM to end and waits until it has.
    ///
    /// # Errors
    /// If it doesn't end in time.
    pub async fn terminate(&mut self) -> Result<ExitStatus> {
        signal(self.pid(), Signal::TERM)?;
        let mut ended = None;
        until("squall has ended", || {
            ended = self.child.try_wait()?;
            Ok(ended.is_some())
        })
        .await?;
        ended.context("ended without a status")
    }
}

/// Sends a signal to a process.
///
/// # Errors
/// If there is no such process, or the system forbids it.
pub fn signal(pid: u32, signal: Signal) -> Result<()> {
    let id = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let id = id.with_context(|| format!("{pid} is no process's id"))?;
    kill_process(id, signal).with_context(|| format!("{pid} can't be sent a signal"))
}

/// Tells whether a process is gone, or dead and only not yet waited for by who started it.
#[must_use]
pub fn is_gone(pid: u32) -> bool {
    matches!(state_of(pid), None | Some('Z' | 'X'))
}

/// Tells whether a process stands still, by SIGSTOP.
#[must_use]
pub fn is_stopped(pid: u32) -> bool {
    state_of(pid) == Some('T')
}

/// Returns the letter by which the system says how a process is; `None` where there is none.
fn state_of(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may have anything in it; the state follows it.
    let rest = stat.rsplit(") ").next()?;
    rest.chars().next()
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
