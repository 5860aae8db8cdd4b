//! A cluster's worth of surroundings: a nimbus that says what the test wants, supervisors, processes.

mod nimbus;

use std::fs;
use std::num::NonZeroU32;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sha2::Digest;
use squall_core::engine::WorkerIdx;
use squall_core::{SupervisorId, TaskId, TopologyId};
use squall_daemon::data_dir::DataDir;
use squall_daemon::shutdown::{Scope, Shutdown, ShutdownBounds};
use squall_proto::{
    Assignment, Parallelism, Phase, RunningWorker, Sha256, SlotState, SlotStatus, SlotWorker,
    SupervisorStatus, Topology, TopologyOrder, WorkerPlacement,
};
use squall_supervisor::{Supervisor, SupervisorConfig};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

pub(crate) use nimbus::{CLUSTER, Nimbus};

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What a fake worker does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Behaviour {
    Run,
    Crash,
    Mute,
    Stubborn,
    Busy,
}

/// A data directory, the nimbus to go with it, and what is run there.
pub(crate) struct Kit {
    pub(crate) directory: TempDir,
    pub(crate) nimbus: Nimbus,
    pub(crate) config: SupervisorConfig,
}

/// A supervisor in a process of its own. Dropping it is `kill -9`.
pub(crate) struct Killed(Child);

impl Killed {
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// A supervisor in this process.
pub(crate) struct Running {
    pub(crate) id: SupervisorId,
    pub(crate) address: squall_proto::Address,
    pub(crate) slot_ports: Vec<u16>,
    data_dir: PathBuf,
    scope: Scope,
    task: JoinHandle<()>,
}

impl Kit {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let program = program(directory.path());
        let nimbus = Nimbus::start(fs::read(program).unwrap()).await;
        let config = SupervisorConfig {
            data_dir: directory.path().join("data"),
            nimbus: vec![nimbus.address.clone()],
            n_slots: 2,
            ..SupervisorConfig::default()
        };
        Self {
            directory,
            nimbus,
            config,
        }
    }

    pub(crate) async fn start(&self) -> Running {
        let scope = Shutdown::new(ShutdownBounds::default()).scope().clone();
        let started = Supervisor::start(self.config.clone(), scope.clone()).await;
        let supervisor = started.unwrap();
        Running {
            id: supervisor.id().clone(),
            address: supervisor.address().clone(),
            slot_ports: supervisor.slot_ports().to_vec(),
            task: tokio::spawn(async move { supervisor.run().await.unwrap() }),
            data_dir: self.config.data_dir.clone(),
            scope,
        }
    }

    /// Starts a supervisor as a process of its own, to be killed.
    pub(crate) fn start_process(&self) -> Killed {
        let path = self.directory.path().join("config.json");
        fs::write(&path, serde_json::to_vec(&self.config).unwrap()).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_fake-worker"))
            .arg("supervisor")
            .arg(path)
            .spawn();
        Killed(child.unwrap())
    }

    /// Orders a worker into a slot; `epoch` is its placement's and the assignment's version.
    pub(crate) fn order(
        &self,
        supervisor: &SupervisorId,
        port: u16,
        epoch: u64,
        behaviour: Behaviour,
    ) -> TopologyOrder {
        let spec_json = match behaviour {
            Behaviour::Run => "run",
            Behaviour::Crash => "crash",
            Behaviour::Mute => "mute",
            Behaviour::Stubborn => "stubborn",
            Behaviour::Busy => "busy",
        };
        let id = TopologyId::new("clicks-1");
        TopologyOrder {
            topology: Topology {
                id: id.clone(),
                spec_json: spec_json.into(),
                spec_sha256: Sha256::new(sha2::Sha256::digest(spec_json).into()),
                binary_sha256: self.nimbus.binary,
                n_workers: NonZeroU32::MIN,
                program: None,
                parallelism: Parallelism::new(),
            },
            assignment: Assignment {
                topology: id,
                version: epoch,
                workers: vec![WorkerPlacement {
                    worker: WorkerIdx(0),
                    supervisor: supervisor.clone(),
                    address: format!("127.0.0.1:{port}").parse().unwrap(),
                    tasks: vec![TaskId(0), TaskId(1)],
                    placement_epoch: epoch,
                }],
            },
            phase: Phase::Active,
            all_ready: true,
        }
    }

    /// Orders a worker into the first slot and waits until it runs; returns its process.
    pub(crate) async fn run_worker(&self, supervisor: &Running, epoch: u64) -> u32 {
        let port = supervisor.slot_ports[0];
        let order = self.order(&supervisor.id, port, epoch, Behaviour::Run);
        self.nimbus.order(vec![order]);
        self.ready(epoch).await.1.pid.get()
    }

    /// Waits until the worker of an epoch is ready.
    pub(crate) async fn ready(&self, epoch: u64) -> (SlotWorker, RunningWorker) {
        let find = |status: &SupervisorStatus| {
            let worker = first(status)?;
            match &worker.state {
                SlotState::Running(running)
                    if running.ready && worker.fence.placement_epoch == epoch =>
                {
                    Some((worker.clone(), running.clone()))
                }
                _ => None,
            }
        };
        self.nimbus.until("a ready worker", find).await
    }

    /// Waits until there is a worker of a higher incarnation.
    pub(crate) async fn restarted(&self, after: u64) -> (SlotWorker, RunningWorker) {
        let find = |status: &SupervisorStatus| match &first(status)?.state {
            SlotState::Running(running)
                if running.ready && first(status)?.fence.incarnation > after =>
            {
                Some((first(status)?.clone(), running.clone()))
            }
            _ => None,
        };
        self.nimbus.until("a restarted worker", find).await
    }

    /// Waits until all slots are empty.
    pub(crate) async fn emptied(&self) {
        let find = |status: &SupervisorStatus| {
            let empty = |slot: &SlotStatus| slot.worker.is_none();
            status.slots.iter().all(empty).then_some(())
        };
        self.nimbus.until("empty slots", find).await;
    }

    /// Returns the processes that hold the lock of any slot: all that lives there.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let slots = self.config.data_dir.join("slots");
        let slots = fs::read_dir(slots).into_iter().flatten();
        let locks = slots.map(|slot| slot.unwrap().path().join("lock"));
        let inodes: Vec<(u64, u64)> = locks
            .filter_map(|lock| fs::metadata(lock).ok())
            .map(|lock| (lock.dev(), lock.ino()))
            .collect();
        let names = fs::read_dir("/proc")
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        let pids = names.filter_map(|name| name.to_str()?.parse::<u32>().ok());
        let holds = |pid: &u32| {
            let input = fs::metadata(format!("/proc/{pid}/fd/0"));
            input.is_ok_and(|input| inodes.contains(&(input.dev(), input.ino())))
        };
        pids.filter(holds).collect()
    }

    pub(crate) fn slot_dir(&self, port: u16) -> PathBuf {
        self.config.data_dir.join("slots").join(port.to_string())
    }
}

impl Drop for Kit {
    fn drop(&mut self) {
        for pid in self.processes() {
            signal(pid, Signal::KILL);
        }
    }
}

impl Running {
    /// Ends it as SIGTERM does.
    pub(crate) async fn end(self) {
        self.scope.drain();
        let ended = timeout(PATIENCE, self.task).await;
        ended.expect("it ends").unwrap();
        self.scope.force();
        until("the directory", || DataDir::open(&self.data_dir).is_ok()).await;
    }

    /// Stops it dead.
    pub(crate) async fn crash(self) {
        self.task.abort();
        drop(self.task.await);
        // Connections live in tasks of their own.
        self.scope.force();
        until("the directory", || DataDir::open(&self.data_dir).is_ok()).await;
    }
}

/// The state of the worker in the first slot that has one.
pub(crate) fn first(status: &SupervisorStatus) -> Option<&SlotWorker> {
    status.slots.iter().find_map(|slot| slot.worker.as_ref())
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    // It may have gone by itself.
    kill_process(pid, signal).unwrap_or_default();
}

/// Tells whether a process exists and is no zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| state != 'Z' && state != 'X')
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let wait = async {
        let mut ticks = interval(Duration::from_millis(10));
        while !is_so() {
            ticks.tick().await;
        }
    };
    assert!(
        timeout(PATIENCE, wait).await.is_ok(),
        "waited in vain for {what}"
    );
}

/// Ports that nobody has just now.
pub(crate) fn free_ports() -> Vec<u16> {
    let listeners: Vec<_> = (0..3)
        .map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let ports = listeners
        .iter()
        .map(|listener| listener.local_addr().unwrap().port());
    ports.collect()
}

/// A small program that becomes the fake worker: quicker to fetch than the whole.
fn program(directory: &Path) -> PathBuf {
    let path = directory.join("program");
    let worker = env!("CARGO_BIN_EXE_fake-worker");
    fs::write(&path, format!("#!/bin/sh\nexec {worker} \"$@\"\n")).unwrap();
    path
}
