//! Programs that are run: in process groups of their own, within a time, and none is left.
//!
//! What a child prints goes to files without a name: nobody has to read while it runs, and they go with it.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::process::{Child as Process, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// How often it is looked whether a child has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a child has to end after SIGTERM, before SIGKILL: `squall bench` ends a cluster meanwhile.
const GRACE: Duration = Duration::from_secs(15);
/// How many of a child's last lines an error shows.
const LAST_LINES: usize = 15;
/// How much of what a child printed is read, in bytes, from its end: far more than any of them prints.
const MAX_PRINTED: u64 = 4 << 20;

/// Says when a signal has come that asks to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

/// A program. Dropping it while it runs ends it, and all others of its process group.
#[derive(Debug)]
pub(crate) struct Child {
    name: String,
    process: Process,
    stdout: File,
    stderr: Option<File>,
}

impl Stop {
    /// Listens for signals from now on: they no longer end this process by themselves.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn listen() -> Result<Self> {
        let stop = Self::default();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, stop.0.clone())?;
        }
        Ok(stop)
    }

    fn check(&self) -> Result<()> {
        ensure!(!self.0.load(Ordering::Relaxed), "broken off by a signal");
        Ok(())
    }
}

impl Child {
    /// Starts a program. Errors will call it `name`.
    ///
    /// # Errors
    /// It isn't there, or can't be started.
    pub(crate) fn start(name: &str, command: &mut Command) -> Result<Self> {
        let stderr = tempfile::tempfile()?;
        command.stderr(stderr.try_clone()?);
        Self::spawn(name, command, Some(stderr))
    }

    /// Starts a program whose talk is shown.
    ///
    /// # Errors
    /// It isn't there, or can't be started.
    pub(crate) fn start_shown(name: &str, command: &mut Command) -> Result<Self> {
        Self::spawn(name, command.stderr(Stdio::inherit()), None)
    }

    fn spawn(name: &str, command: &mut Command, stderr: Option<File>) -> Result<Self> {
        let stdout = tempfile::tempfile()?;
        command.stdin(Stdio::null()).stdout(stdout.try_clone()?);
        let program = command.get_program().to_owned();
        let process = command.process_group(0).spawn().map_err(|error| {
            let is_missing = error.kind() == ErrorKind::NotFound;
            let why = if is_missing {
                "isn't there"
            } else {
                "can't be started"
            };
            anyhow::Error::new(error).context(format!("{} {why}", program.display()))
        })?;
        Ok(Self {
            name: name.to_owned(),
            process,
            stdout,
            stderr,
        })
    }

    /// Returns the last lines of what it said, or nothing where that was shown.
    fn last_lines(&mut self) -> Result<String> {
        let said = self.stderr.as_mut().map(read).transpose()?;
        Ok(said.map_or_else(String::new, |said| last_lines(&said)))
    }

    fn end(&mut self) -> Result<()> {
        for (signal, within) in [(Signal::TERM, GRACE), (Signal::KILL, GRACE)] {
            if self.process.try_wait()?.is_some() {
                return Ok(());
            }
            kill_process_group(Pid::from_child(&self.process), signal)?;
            let deadline = now() + within;
            while self.process.try_wait()?.is_none() && now() < deadline {
                thread::park_timeout(LOOK_EVERY);
            }
        }
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // There is nobody to tell any more.
        self.end().unwrap_or_default();
    }
}

/// Waits until all have ended well, and returns what each printed. Blocks for up to `within`; `None` is as long as
/// it takes.
///
/// # Errors
/// One has failed, takes too long, or a signal came. All are ended then.
pub(crate) fn finish(
    mut children: Vec<Child>,
    within: Option<Duration>,
    stop: &Stop,
) -> Result<Vec<String>> {
    let begun = now();
    loop {
        stop.check()?;
        let mut running = None;
        for child in &mut children {
            match child.process.try_wait()? {
                None => running = Some(child),
                Some(status) if status.success() => {}
                Some(status) => {
                    let said = child.last_lines()?;
                    bail!("{} failed: {status}{said}", child.name);
                }
            }
        }
        let Some(running) = running else {
            let printed = children.iter_mut().map(|child| read(&mut child.stdout));
            return printed.collect();
        };
        if let Some(within) = within
            && begun.elapsed() > within
        {
            let said = running.last_lines()?;
            bail!("{} has not ended after {within:?}{said}", running.name);
        }
        thread::park_timeout(LOOK_EVERY);
    }
}

fn read(file: &mut File) -> Result<String> {
    let n_bytes = file.metadata()?.len();
    file.seek(SeekFrom::Start(n_bytes.saturating_sub(MAX_PRINTED)))?;
    let mut bytes = Vec::new();
    file.take(MAX_PRINTED)
        .read_to_end(&mut bytes)
        .context("what a program printed can't be read")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn last_lines(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    let from = lines.len().saturating_sub(LAST_LINES);
    let lines = lines.iter().skip(from);
    lines.map(|line| format!("\n  {line}")).collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is no engine: it waits for processes"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Child {
        Child::start("the script", Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn what_children_print_is_returned_in_their_order() {
        let children = vec![sh("echo one; echo talk >&2"), sh("echo two")];
        let printed = finish(children, None, &Stop::default()).unwrap();
        assert_eq!(printed, ["one\n", "two\n"]);
    }

    #[test]
    fn a_failure_shows_the_last_lines_and_ends_the_others() {
        let other = sh("sleep 600");
        let pid = Pid::from_child(&other.process);
        let failing = sh("for n in $(seq 40); do echo line $n >&2; done; exit 3");
        let error = finish(vec![other, failing], None, &Stop::default()).unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with("the script failed: exit status: 3\n"),
            "{error}"
        );
        assert!(error.ends_with("  line 40"), "{error}");
        assert_eq!(error.lines().count(), 1 + LAST_LINES);
        assert!(rustix::process::test_kill_process(pid).is_err());
    }

    #[test]
    fn what_a_child_has_started_ends_with_it() {
        // The shell waits for another one, which says its id.
        let mut child = sh("sh -c 'echo $$; sleep 600'; true");
        let pid = loop {
            let printed = read(&mut child.stdout).unwrap();
            if let Some(pid) = printed.strip_suffix('\n') {
                break Pid::from_raw(pid.parse().unwrap()).unwrap();
            }
            thread::park_timeout(LOOK_EVERY);
        };
        drop(child);
        let deadline = now() + Duration::from_secs(10);
        let ended = |stat: String| stat.contains(") Z ");
        let stat = format!("/proc/{pid}/stat");
        // Who adopts it may be late to ask how it ended.
        while !std::fs::read_to_string(&stat).map_or(true, ended) {
            assert!(now() < deadline, "{pid:?} still runs");
            thread::park_timeout(LOOK_EVERY);
        }
    }

    #[test]
    fn whoever_takes_too_long_or_is_asked_to_stop_is_ended() {
        let within = Some(Duration::from_millis(1));
        let error = finish(vec![sh("sleep 600")], within, &Stop::default()).unwrap_err();
        assert_eq!(error.to_string(), "the script has not ended after 1ms");
        let stop = Stop::default();
        stop.0.store(true, Ordering::Relaxed);
        let error = finish(vec![sh("sleep 600")], None, &stop).unwrap_err();
        assert_eq!(error.to_string(), "broken off by a signal");
    }

    #[test]
    fn who_takes_too_long_is_the_one_that_runs() {
        let (mut done, mut stuck) = (sh("echo done >&2"), sh("echo stuck >&2; sleep 600"));
        while done.process.try_wait().unwrap().is_none() || stuck.last_lines().unwrap().is_empty() {
            thread::park_timeout(LOOK_EVERY);
        }
        let children = vec![stuck, done];
        let error = finish(children, Some(Duration::ZERO), &Stop::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the script has not ended after 0ns\n  stuck"
        );
        let (mut done, stuck) = (sh("echo done >&2"), sh("sleep 600"));
        done.process.wait().unwrap();
        let children = vec![done, stuck];
        let error = finish(children, Some(Duration::ZERO), &Stop::default()).unwrap_err();
        assert_eq!(error.to_string(), "the script has not ended after 0ns");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Child::start("it", &mut Command::new("/nowhere/squall")).unwrap_err();
        assert_eq!(error.to_string(), "/nowhere/squall isn't there");
    }
}
