//! A cluster of real processes on this machine: nimbus, supervisors and the workers that these start. Each
//! keeps its data in a folder that goes with the cluster.
//!
//! Whatever becomes of a test, all of them are killed at its end, workers too, by their process ids.

pub mod disk;
mod orphans;
mod probe;
mod state;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use crate::{Process, Signal, is_gone, signal, squall, until, until_asked};

pub use state::{Component, Described, Failed, Placed, Plan, Summary, Supervisor, Worker};

/// How many of the last lines of each process a failed test shows.
const SHOWN_LINES: usize = 40;

/// A nimbus and its supervisors, by their names.
pub struct Cluster {
    folder: TempDir,
    nimbus: Option<Process>,
    nimbus_args: Vec<String>,
    /// The size of the disk that nimbus has for itself, if it has one.
    nimbus_disk_mib: Option<u32>,
    address: String,
    http: String,
    supervisors: BTreeMap<String, Process>,
    /// How many processes were started: each has a file of its own for what it says.
    n_started: usize,
    /// It was ended in good order.
    is_over: bool,
}

/// What a command printed, having ended with status 0.
#[derive(Clone, Debug)]
pub struct Printed {
    /// The data.
    pub stdout: String,
    /// The talk.
    pub stderr: String,
}

impl Cluster {
    /// Starts a nimbus, and supervisors of these names with four slots each. Returns when all of them serve and
    /// nimbus has heard of all.
    ///
    /// # Errors
    /// If one doesn't start.
    pub async fn start(supervisors: &[&str]) -> Result<Self> {
        Self::start_with(supervisors, &[]).await
    }

    /// Does as [`Cluster::start`] with more arguments for nimbus.
    ///
    /// # Errors
    /// If a process doesn't start.
    pub async fn start_with(supervisors: &[&str], nimbus_args: &[&str]) -> Result<Self> {
        Self::start_on(supervisors, nimbus_args, None).await
    }

    /// Does as [`Cluster::start_with`]; the cluster's state is on a disk of so many MiB of its own, if a size is
    /// given, and the programs aren't.
    ///
    /// # Errors
    /// If a process doesn't start, or the system doesn't let tests mount.
    pub async fn start_on(
        supervisors: &[&str],
        nimbus_args: &[&str],
        nimbus_disk_mib: Option<u32>,
    ) -> Result<Self> {
        let any_port = "127.0.0.1:0".to_owned();
        let mut cluster = Self {
            folder: tempfile::tempdir()?,
            nimbus: None,
            nimbus_args: nimbus_args.iter().map(ToString::to_string).collect(),
            nimbus_disk_mib,
            address: any_port.clone(),
            http: any_port,
            supervisors: BTreeMap::new(),
            n_started: 0,
            is_over: false,
        };
        cluster.start_nimbus().await?;
        for name in supervisors {
            cluster.start_supervisor(name, &[]).await?;
        }
        cluster.until_alive(supervisors).await?;
        Ok(cluster)
    }

    /// Returns the folder of the cluster's data, which tests may use as well.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns where nimbus is, now and after a restart.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns nimbus's process.
    ///
    /// # Errors
    /// If there is none at present.
    pub fn nimbus(&mut self) -> Result<&mut Process> {
        self.nimbus.as_mut().context("nimbus doesn't run")
    }

    /// Returns a supervisor's process.
    ///
    /// # Errors
    /// If there is none at present.
    pub fn supervisor(&mut self, name: &str) -> Result<&mut Process> {
        let process = self.supervisors.get_mut(name);
        process.with_context(|| format!("supervisor {name} doesn't run"))
    }

    /// Starts nimbus; after the first time with what it knew, at the same ports. A process of it that still ran
    /// is killed first.
    ///
    /// # Errors
    /// If it doesn't start.
    pub async fn start_nimbus(&mut self) -> Result<()> {
        self.kill_nimbus()?;
        let mut args = vec!["nimbus", "--data-dir", disk::NIMBUS];
        args.extend(["--listen", &self.address, "--http", &self.http]);
        args.extend(self.nimbus_args.iter().map(String::as_str));
        let talk = format!("{:02}-nimbus.txt", self.n_started);
        self.n_started += 1;
        let process = match self.nimbus_disk_mib {
            Some(mib) => disk::start(&args, self.folder.path(), &talk, mib)?,
            None => Process::start(&args, self.folder.path(), &talk)?,
        };
        let (process, ready) = until_it_serves(process, "nimbus").await?;
        self.nimbus = Some(process);
        self.address = ready.of("grpc")?;
        self.http = ready.of("http")?;
        Ok(())
    }

    /// Kills nimbus, if it runs.
    ///
    /// # Errors
    /// If it can't be waited for.
    pub fn kill_nimbus(&mut self) -> Result<()> {
        self.nimbus
            .take()
            .map_or(Ok(()), |mut nimbus| nimbus.kill().map(drop))
    }

    /// Starts a supervisor; after the first time with what it knew. A process of it that still ran is killed
    /// first.
    ///
    /// # Errors
    /// If it doesn't start.
    pub async fn start_supervisor(&mut self, name: &str, args: &[&str]) -> Result<()> {
        let nimbus = self.address.clone();
        self.start_supervisor_of(name, &nimbus, args).await
    }

    /// Does as [`Cluster::start_supervisor`] with nimbus at another address, where a proxy leads to it.
    ///
    /// # Errors
    /// If it doesn't start.
    pub async fn start_supervisor_of(
        &mut self,
        name: &str,
        nimbus: &str,
        args: &[&str],
    ) -> Result<()> {
        self.kill_supervisor(name)?;
        let mut all = vec!["supervisor", "--id", name, "--nimbus", nimbus];
        // Absolute, so that its workers' command lines name this folder.
        let data_dir = self.folder.path().join(name);
        let data_dir = data_dir.to_str().context("a path that is text")?;
        all.extend(["--data-dir", data_dir]);
        all.extend(args);
        let talk = format!("{:02}-{name}.txt", self.n_started);
        self.n_started += 1;
        let process = Process::start(&all, self.folder.path(), &talk)?;
        let (process, _) = until_it_serves(process, name).await?;
        self.supervisors.insert(name.to_owned(), process);
        Ok(())
    }

    /// Kills a supervisor, if it runs. Its workers go on.
    ///
    /// # Errors
    /// If it can't be waited for.
    pub fn kill_supervisor(&mut self, name: &str) -> Result<()> {
        let process = self.supervisors.remove(name);
        process.map_or(Ok(()), |mut process| process.kill().map(drop))
    }

    /// Runs a command of `squall` against this cluster, to its end and whatever its exit status.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn run(&self, args: &[&str]) -> Result<Output> {
        self.run_in(self.folder.path(), args)
    }

    /// Does as [`Cluster::run`] in a folder.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn run_in(&self, folder: &Path, args: &[&str]) -> Result<Output> {
        Command::new(squall()?)
            .args(args)
            .current_dir(folder)
            .env("SQUALL_NIMBUS", &self.address)
            .stdin(Stdio::null())
            .output()
            .context("squall can't be started")
    }

    /// Runs a command of `squall` that succeeds.
    ///
    /// # Errors
    /// If it doesn't; the error has what it said.
    pub fn squall(&self, args: &[&str]) -> Result<Printed> {
        let output = self.run(args)?;
        let printed = Printed {
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
        };
        let (status, args) = (output.status, args.join(" "));
        ensure!(
            status.success(),
            "squall {args}: {status}: {}{}",
            printed.stderr,
            printed.stdout
        );
        Ok(printed)
    }

    fn json<T: DeserializeOwned>(&self, args: &[&str]) -> Result<T> {
        let printed = self.squall(&[args, &["-o", "json"]].concat())?.stdout;
        serde_json::from_str(&printed)
            .with_context(|| format!("squall {}: {printed}", args.join(" ")))
    }

    /// Writes a file into the cluster's folder and submits the topology in it, with more arguments. Returns when
    /// every task runs.
    ///
    /// # Errors
    /// If it is refused, or not every task runs within a minute.
    pub fn submit(&self, topology: &str, args: &[&str]) -> Result<Printed> {
        fs::write(self.folder().join("topology.yaml"), topology)?;
        self.squall(&[&["submit", "topology.yaml", "--wait", "60s"], args].concat())
    }

    /// Lists the topologies, by `squall list`.
    ///
    /// # Errors
    /// If nimbus doesn't answer.
    pub fn list(&self) -> Result<Vec<Summary>> {
        self.json(&["list"])
    }

    /// Describes a topology, by `squall describe`.
    ///
    /// # Errors
    /// If nimbus doesn't answer or knows no such topology.
    pub fn describe(&self, name: &str) -> Result<Described> {
        self.json(&["describe", name])
    }

    /// Lists the supervisors, by `squall supervisors`.
    ///
    /// # Errors
    /// If nimbus doesn't answer.
    pub fn supervisors(&self) -> Result<Vec<Supervisor>> {
        self.json(&["supervisors"])
    }

    /// Waits until nimbus has heard of these supervisors.
    ///
    /// # Errors
    /// If it doesn't in time.
    pub async fn until_alive(&self, names: &[&str]) -> Result<()> {
        until_asked("all supervisors have called", || {
            let known = self.supervisors()?;
            let is_alive = |name: &&str| {
                let mut alive = known.iter().filter(|known| known.state == "alive");
                alive.any(|known| known.id == *name)
            };
            Ok(names.iter().all(is_alive))
        })
        .await
    }

    /// Waits until a topology is as it should be. While nimbus doesn't answer, it isn't.
    ///
    /// # Errors
    /// The condition's own, or that it doesn't hold in time; then with how the topology was last.
    pub async fn until_described(
        &self,
        what: &str,
        name: &str,
        mut holds: impl FnMut(&Described) -> Result<bool>,
    ) -> Result<Described> {
        let mut last = None;
        let waited = until_asked(what, || match self.describe(name) {
            Ok(described) => {
                let holds = holds(&described);
                last = Some(described);
                holds
            }
            Err(error) if error.to_string().contains("no nimbus answers") => Ok(false),
            Err(error) => Err(error),
        });
        match waited.await {
            Ok(()) => last.context("it was never described"),
            Err(error) => Err(error.context(format!("{name} was last {last:#?}"))),
        }
    }

    /// Waits until a process is gone.
    ///
    /// # Errors
    /// If it isn't in time.
    pub async fn until_gone(&self, pid: u32) -> Result<()> {
        until(&format!("process {pid} is gone"), || Ok(is_gone(pid))).await
    }

    /// Sends a signal to a worker of this cluster.
    ///
    /// # Errors
    /// If it has no process, or that isn't one of this cluster's: ids are used again.
    pub fn signal(&self, worker: &Worker, sent: Signal) -> Result<()> {
        let pid = worker
            .pid
            .with_context(|| format!("{worker:?} has no process"))?;
        ensure!(
            orphans::is_worker_of(pid, self.folder()),
            "{pid} is no worker of this cluster"
        );
        signal(pid, sent)
    }

    /// Returns the process ids of all workers that run, those that nobody knows of included.
    ///
    /// # Errors
    /// If the system doesn't say.
    pub fn worker_pids(&self) -> Result<Vec<u32>> {
        orphans::workers_of(self.folder())
    }

    /// Ends the cluster in good order: supervisors drain their workers, then nimbus ends.
    ///
    /// # Errors
    /// If a process doesn't end in time, or not with status 0, or a worker is left.
    pub async fn end(mut self) -> Result<()> {
        for (name, mut supervisor) in std::mem::take(&mut self.supervisors) {
            let status = supervisor.terminate().await?;
            ensure!(
                status.success(),
                "supervisor {name}: {status}: {}",
                supervisor.said()?
            );
        }
        if let Some(mut nimbus) = self.nimbus.take() {
            let status = nimbus.terminate().await?;
            ensure!(status.success(), "nimbus: {status}: {}", nimbus.said()?);
        }
        let left = self.worker_pids()?;
        ensure!(left.is_empty(), "workers are left: {left:?}");
        self.is_over = true;
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Those that would start workers go first.
        self.supervisors.clear();
        self.nimbus = None;
        orphans::kill_workers_of(self.folder.path());
        if !self.is_over {
            orphans::show_logs_of(self.folder.path(), SHOWN_LINES);
        }
    }
}

/// What a daemon prints when it serves.
struct Ready(String);

impl Ready {
    /// Returns a value: `grpc`, `http`.
    fn of(&self, name: &str) -> Result<String> {
        let mut words = self.0.split(' ');
        let value = words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        let value = value.with_context(|| format!("no `{name}` in: {}", self.0))?;
        Ok(value.to_owned())
    }
}

/// Waits until a daemon serves.
async fn until_it_serves(mut process: Process, name: &str) -> Result<(Process, Ready)> {
    let mut ready = None;
    until(&format!("{name} serves"), || {
        let said = process.said()?;
        let line = said.lines().find(|line| line.starts_with("ready "));
        ready = line.map(|line| Ready(line.to_owned()));
        ensure!(
            ready.is_some() || process.is_running()?,
            "it has ended: {said}"
        );
        Ok(ready.is_some())
    })
    .await?;
    Ok((process, ready.context("it serves")?))
}
