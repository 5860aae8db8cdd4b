//! Starting a worker: the lock, the launch file, its directory, the process.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::warn;

use crate::keeper::{Keeper, blocking, output};
use crate::process::{self, Start, Watched};
use crate::slots::{Launch, Process};

/// How long what is left of an earlier worker may take to go once it has been killed.
const CLEAR_TIMEOUT: Duration = Duration::from_secs(3);
/// How often it is looked whether it has gone.
const CLEAR_INTERVAL: Duration = Duration::from_millis(50);
/// How often a program is tried to be started that somebody still has open to write.
const BUSY_TRIES: u32 = 40;
/// How long it is waited in between.
const BUSY_INTERVAL: Duration = Duration::from_millis(25);

impl Keeper {
    /// Starts the worker; the error is for people, and then there is no process.
    pub(super) async fn launch(&mut self, launch: &Launch) -> Result<Watched, String> {
        let content = self.launch_file(launch)?;
        let lock = self.take_lock().await?;
        let (dir, work) = (self.dir.clone(), launch.work.clone());
        let prepare = move || {
            dir.store_launch(&content)?;
            let directory = dir.make_worker(&work)?;
            let (output, output_at) = output::open(&directory)?;
            Ok((directory, output, output_at))
        };
        let prepared = blocking(prepare).await.map_err(|error| error.to_string());
        let (directory, output, output_at) = prepared?;
        let started = self.start(launch, directory, (lock, output)).await;
        let child = started.map_err(|error| {
            let program = self.binary.display();
            format!("{program} can't be started: {error}")
        })?;
        self.output_at = Some(output_at);
        Watched::child(child).map_err(|error| format!("the process can't be watched: {error}"))
    }

    /// Starts the process.
    ///
    /// A program that was stored a moment ago can't be started for as long as anybody has it open to write: for
    /// instance a process that was just made for another slot, and has inherited the file until it runs a
    /// program of its own. That passes.
    async fn start(
        &self,
        launch: &Launch,
        directory: PathBuf,
        (lock, output): (File, File),
    ) -> io::Result<Child> {
        let mut tries = interval(BUSY_INTERVAL);
        tries.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut n_tries = 0;
        loop {
            tries.tick().await;
            n_tries += 1;
            let (program, launch_file) = (self.binary.clone(), self.dir.launch());
            let (directory, cookie) = (directory.clone(), launch.cookie.to_string());
            let (lock, output) = (lock.try_clone()?, output.try_clone()?);
            let start = move || {
                process::start(Start {
                    program: &program,
                    launch_file: &launch_file,
                    directory: &directory,
                    cookie: &cookie,
                    lock,
                    output,
                })
            };
            match blocking(start).await {
                Err(error)
                    if error.kind() == ErrorKind::ExecutableFileBusy && n_tries < BUSY_TRIES => {}
                started => return started,
            }
        }
    }

    fn launch_file(&self, launch: &Launch) -> Result<Vec<u8>, String> {
        let order = self
            .order
            .as_ref()
            .filter(|order| *order.work() == launch.work);
        let Some(order) = order else {
            return Err("the order that asked for the worker is not known any more".to_owned());
        };
        let bind = squall_proto::Address::new(&self.context.bind_ip.to_string(), self.port);
        let launch = squall_proto::Launch {
            handshake: self.context.handshake(),
            topology: order.topology().clone(),
            assignment: order.assignment().clone(),
            worker: launch.work.worker_idx,
            fence: launch.fence(),
            cookie: launch.cookie,
            supervisor_address: self.context.local_address.clone(),
            nimbus_addresses: self.context.nimbus.clone(),
            bind_address: bind.map_err(|error| error.to_string())?,
        };
        Ok(launch.to_file())
    }

    /// Takes the slot's lock. Whoever has it is left over from a worker that is gone, or from a start that
    /// nobody lived to note down: it is killed.
    async fn take_lock(&self) -> Result<File, String> {
        let clear = async {
            let mut ticks = interval(CLEAR_INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let path = self.dir.lock();
                if let Some(lock) = blocking(move || process::try_lock(&path)).await? {
                    return Ok(lock);
                }
                self.kill_left_over(&self.holders().await?);
            }
        };
        match timeout(CLEAR_TIMEOUT, clear).await {
            Ok(lock) => lock.map_err(|error: io::Error| format!("the slot's lock: {error}")),
            Err(_) => {
                let holders = self.holders().await.unwrap_or_default();
                let pids: Vec<u32> = holders.iter().map(|process| process.pid).collect();
                Err(format!(
                    "processes of an earlier worker don't go: {pids:?} (none: another user's); end them"
                ))
            }
        }
    }

    async fn holders(&self) -> io::Result<Vec<Process>> {
        let path = self.dir.lock();
        blocking(move || process::holders(&path)).await
    }

    fn kill_left_over(&self, processes: &[Process]) {
        for process in processes {
            let killed = Watched::adopted(*process).and_then(|watched| match watched {
                Some(watched) => watched.kill(),
                None => Ok(()),
            });
            let pid = process.pid;
            match killed {
                Ok(()) => warn!(port = self.port, pid, "left-over process killed"),
                Err(error) => {
                    warn!(port = self.port, pid, %error, "left-over process can't be killed");
                }
            }
        }
    }
}
