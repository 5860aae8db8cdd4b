//! The whole supervisor: opened, run, ended.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use squall_core::SupervisorId;
use squall_daemon::grpc::ServerLimits;
use squall_daemon::net::{BindError, Exposure, Listener};
use squall_daemon::shutdown::Scope;
use squall_proto::{Address, SupervisorHello};
use thiserror::Error;
use tokio::select;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};

use crate::binaries::Binaries;
use crate::clock::TimerClock;
use crate::config::{Checked, SupervisorConfig};
use crate::context::Context;
use crate::grpc;
use crate::home::{self, Home, HomeError, Identity, Leader};
use crate::hub::Hub;
use crate::keeper::{Keeper, KeeperHandle};
use crate::local::LocalService;
use crate::machine;
use crate::nimbus::{Leading, Link, NimbusBlobs};
use crate::process;
use crate::tail::TailService;

/// How long after the last worker has ended nimbus is still told so.
const LAST_REPORT: Duration = Duration::from_millis(300);
/// How much longer than their bounds workers may take to end before the supervisor ends without them.
const DRAIN_SLACK: Duration = Duration::from_secs(5);

/// A supervisor that can't start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Settings that can't be, all of them.
    #[error("wrong settings: {}", .0.join("; "))]
    Config(Vec<String>),
    /// Its data directory can't be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// It can't listen.
    #[error(transparent)]
    Listen(#[from] BindError),
    /// The system doesn't do what it must.
    #[error("the supervisor can't start: {0}")]
    System(#[source] io::Error),
}

/// A supervisor that listens and has adopted what it found. [`Supervisor::run`] lets it work.
pub struct Supervisor {
    hub: Arc<Hub>,
    hello: SupervisorHello,
    scope: Scope,
    listener: Listener,
    leading: Arc<Leading>,
    keepers: Vec<Keeper>,
    leave_workers: bool,
}

/// Runs a supervisor until its scope drains; then ends its workers, unless they are to be left, and itself.
/// When the scope is forced it ends at once and leaves them.
///
/// # Errors
/// [`StartError`].
pub async fn serve(config: SupervisorConfig, scope: Scope) -> Result<(), StartError> {
    Supervisor::start(config, scope).await?.run().await
}

impl std::fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supervisor")
            .field("id", self.id())
            .field("address", self.address())
            .finish_non_exhaustive()
    }
}

impl Supervisor {
    /// Opens the data directory, adopts workers that run, and listens.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs that didn't run before.
    pub async fn start(config: SupervisorConfig, scope: Scope) -> Result<Self, StartError> {
        let checked = config.check().map_err(StartError::Config)?;
        let opened = {
            let (config, checked) = (config.clone(), checked.clone());
            spawn_blocking(move || open_home(&config, &checked)).await
        };
        let (home, identity) =
            opened.map_err(|error| StartError::System(io::Error::other(error)))??;
        let address = SocketAddr::new(config.bind, identity.port);
        let exposure = if config.insecure {
            Exposure::Insecure
        } else {
            Exposure::Loopback
        };
        let limits = ServerLimits::supervisor().listener();
        let listener = Listener::bind(address, exposure, limits, &scope).await?;

        let leading = Arc::new(Leading::new(None));
        let context = context(&config, checked, &home, &identity, leading.subscribe())?;
        let context = Arc::new(context);
        let mut keepers = Vec::new();
        let mut handles: Vec<KeeperHandle> = Vec::new();
        for port in &identity.slot_ports {
            let dir = home.slot(*port)?;
            let opened = Keeper::open(*port, dir, context.clone());
            let (keeper, handle) = opened.map_err(StartError::System)?;
            keepers.push(keeper);
            handles.push(handle);
        }
        let hello = hello(&config, &context, &identity)?;
        info!(
            supervisor_id = %identity.supervisor_id, address = %hello.address,
            slot_ports = ?identity.slot_ports, data_dir = %home.root().display(), "supervisor started"
        );
        let hub = Arc::new(Hub::new(context, Arc::new(home), identity, handles));
        Ok(Self {
            hub,
            hello,
            scope,
            listener,
            leading,
            keepers,
            leave_workers: config.leave_workers,
        })
    }

    /// Returns its name.
    #[must_use]
    pub const fn id(&self) -> &SupervisorId {
        &self.hello.supervisor
    }

    /// Returns where nimbus and workers of other machines reach it.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.hello.address
    }

    /// Returns its slots' ports.
    #[must_use]
    pub fn slot_ports(&self) -> &[u16] {
        &self.hello.slot_ports
    }

    /// Works until the scope drains, then ends. Dropping it instead leaves the workers running, as a crash
    /// does.
    ///
    /// # Errors
    /// [`StartError::System`]: it can't serve any more. Its workers go on.
    pub async fn run(self) -> Result<(), StartError> {
        let limits = self.hub.context().limits.clone();
        let mut tasks = JoinSet::new();
        for keeper in self.keepers {
            tasks.spawn(keeper.run());
        }
        let link = Link::new(self.hub.clone(), self.hello, self.leading);
        tasks.spawn(link.run());
        let local = LocalService::new(self.hub.clone());
        let tail = TailService::new(self.hub.clone());
        let mut server = pin!(grpc::serve(self.listener, local, tail));
        select! {
            () = self.scope.draining() => {}
            served = &mut server => if let Err(error) = served {
                return Err(StartError::System(io::Error::other(error)));
            },
            // None of them ends by itself. Who starts next adopts the workers.
            Some(Err(error)) = tasks.join_next() => {
                return Err(StartError::System(io::Error::other(error)));
            }
        }
        if self.leave_workers {
            info!("supervisor ends and leaves its workers running");
        } else {
            info!("supervisor ends: its workers drain");
            let bound = limits.drain_timeout + limits.term_grace + DRAIN_SLACK;
            let drained = async {
                self.hub.drain().await;
                sleep_until(Instant::now() + LAST_REPORT).await;
            };
            select! {
                drained = timeout(bound, drained) => if drained.is_err() {
                    warn!("workers don't end: left running");
                },
                () = self.scope.forced() => warn!("ending at once: workers are left running"),
            }
        }
        tasks.shutdown().await;
        info!("supervisor ended");
        Ok(())
    }
}

/// Opens the data directory and finds out, or makes up, who this supervisor is. Blocks.
fn open_home(config: &SupervisorConfig, checked: &Checked) -> Result<(Home, Identity), StartError> {
    let home = Home::open(&config.data_dir, config.fail_points.clone())?;
    let known = home.identity()?;
    let identity = identity(config, checked, &home, known.clone())?;
    check_given_up(&home, &identity)?;
    if known.as_ref() != Some(&identity) {
        home.store_identity(&identity)?;
    }
    Ok((home, identity))
}

fn identity(
    config: &SupervisorConfig,
    checked: &Checked,
    home: &Home,
    known: Option<Identity>,
) -> Result<Identity, StartError> {
    let mut rng = Rng::new();
    let mut pick = |n_ports| {
        let picked = home::pick_ports(config.bind, n_ports, &mut rng);
        picked.map_err(StartError::System)
    };
    let identity = match known {
        Some(known) => known,
        None => {
            let slots = match config.slot_ports.len() {
                0 => usize::from(config.n_slots),
                _ => 0,
            };
            let mut ports = pick(1 + slots)?;
            let port = ports.pop().unwrap_or(config.port);
            let drawn = format!("{}-{:04x}", machine::name(), fastrand::u16(..));
            Identity {
                supervisor_id: SupervisorId::new(drawn),
                port,
                slot_ports: ports,
                leader: Leader::default(),
            }
            .with(config, checked)
        }
    };
    let id = checked.supervisor_id.as_ref();
    if id.is_some_and(|id| *id != identity.supervisor_id) {
        let reason = format!(
            "this is the data of supervisor `{}`: start it under that id, or with another data directory",
            identity.supervisor_id
        );
        let path = home.identity_path();
        return Err(HomeError::Contradiction { path, reason }.into());
    }
    Ok(identity.with(config, checked))
}

impl Identity {
    /// Takes what the settings give.
    fn with(mut self, config: &SupervisorConfig, checked: &Checked) -> Self {
        if let Some(id) = &checked.supervisor_id {
            self.supervisor_id = id.clone();
        }
        if config.port != 0 {
            self.port = config.port;
        }
        if !config.slot_ports.is_empty() {
            self.slot_ports.clone_from(&config.slot_ports);
        }
        self
    }
}

/// A slot that is not in the settings any more must be empty: nobody would look after its worker.
fn check_given_up(home: &Home, identity: &Identity) -> Result<(), StartError> {
    let slots = home.root().join("slots");
    let entries = match fs::read_dir(&slots) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(home::io(&slots, error).into()),
    };
    for entry in entries {
        let path = entry.map_err(|error| home::io(&slots, error))?.path();
        let port = path
            .file_name()
            .and_then(|name| name.to_str()?.parse().ok());
        let Some(port) = port.filter(|port| !identity.slot_ports.contains(port)) else {
            continue;
        };
        if is_held(&path.join("lock")).map_err(StartError::System)? {
            let reason = format!(
                "slot {port} isn't in the settings any more, but its worker runs: give it back, or end the \
                 worker"
            );
            return Err(HomeError::Contradiction { path, reason }.into());
        }
    }
    Ok(())
}

fn is_held(lock: &Path) -> io::Result<bool> {
    Ok(lock.exists() && process::try_lock(lock)?.is_none())
}

fn context(
    config: &SupervisorConfig,
    checked: Checked,
    home: &Home,
    identity: &Identity,
    leading: watch::Receiver<Option<tonic::transport::Channel>>,
) -> Result<Context, StartError> {
    // Workers are on this machine: where it listens everywhere, the loopback is nearest.
    let ip = match config.bind {
        IpAddr::V4(ip) if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let source = Arc::new(NimbusBlobs::new(leading));
    let min_free_bytes = config.min_free.0;
    Ok(Context {
        clock: TimerClock::new(),
        supervisor_id: identity.supervisor_id.clone(),
        limits: checked.limits,
        binaries: Binaries::new(home.binaries(), source, min_free_bytes),
        bind_ip: config.bind,
        local_address: address(&ip.to_string(), identity.port)?,
        nimbus: checked.nimbus,
        identity: squall_daemon::identity::Identity::ours(),
        changed: Notify::new(),
        leader: Mutex::new(identity.leader.clone()),
    })
}

fn hello(
    config: &SupervisorConfig,
    context: &Context,
    identity: &Identity,
) -> Result<SupervisorHello, StartError> {
    let host = match &config.host {
        Some(host) => host.clone(),
        None if config.bind.is_unspecified() => machine::name(),
        None => config.bind.to_string(),
    };
    Ok(SupervisorHello {
        handshake: context.handshake(),
        supervisor: identity.supervisor_id.clone(),
        address: address(&host, identity.port)?,
        slot_ports: identity.slot_ports.clone(),
        resources: machine::resources(),
        leader_epoch: identity.leader.epoch,
    })
}

fn address(host: &str, port: u16) -> Result<Address, StartError> {
    let address = Address::new(host, port);
    address.map_err(|error| StartError::Config(vec![format!("host: {error}")]))
}
