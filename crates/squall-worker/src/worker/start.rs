//! Starting a worker: its port, its tasks, its links, its way to the supervisor.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use squall_core::{Clock, Registry};
use squall_daemon::grpc::{ServerLimits, incoming, server};
use squall_daemon::identity::Identity;
use squall_daemon::net::{BindError, Exposure, Listener};
use squall_daemon::shutdown::Scope;
use squall_proto::{Address, CheckpointClient, Launch, Mismatch, agree};
use squall_runtime::{Options, Running, Services};
use squall_transport::Links;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::select;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::attend::Attendant;
use crate::blueprint::Blueprint;
use crate::checkpoints::{Nimbus, NimbusCheckpoints};
use crate::lifecycle::{Lifecycle, Limits};
use crate::links::{self, Dialer};
use crate::spawner::ScopedSpawner;
use crate::worker::Worker;

/// How long a port that somebody has may take to become free: what ran here before may just be going, and an
/// outgoing connection of anybody's may have had it.
const BIND_WITHIN: Duration = Duration::from_secs(3);
/// How often that is tried.
const BIND_INTERVAL: Duration = Duration::from_millis(50);
/// How much that was heard from the supervisor waits for the worker to take it.
const HEARD: usize = 4;

/// What a worker gets of the process that it runs in.
#[derive(Clone)]
pub struct Host {
    /// Owns the worker's async tasks; its draining ends the worker.
    pub scope: Scope,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Where the randomness of waits comes from.
    pub seed: u64,
    /// Runs the asynchronous work of components. Best one that isn't the worker's own: work that blocks it then
    /// keeps neither links nor reports waiting.
    pub components: Handle,
}

/// Why a worker can't start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The supervisor speaks another protocol.
    #[error("this worker and its supervisor don't understand each other: {mismatch}; {}", .mismatch.action())]
    Supervisor {
        /// What differs.
        mismatch: Mismatch,
    },
    /// The supervisor doesn't say to which cluster the worker belongs.
    #[error("the launch file names no cluster: the supervisor has never attended to nimbus")]
    NoCluster,
    /// The address to listen at isn't one of this machine's.
    #[error("{address} is not an IP address and a port: the supervisor has to bind one")]
    BindAddress {
        /// The address.
        address: Address,
    },
    /// The port can't be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The tasks can't be put together.
    #[error(transparent)]
    Topology(#[from] squall_runtime::StartError),
    /// The runtime has no ends for links, though it runs a part: a mistake of ours.
    #[error("internal error: the runtime has no ports")]
    NoPorts,
}

impl Worker {
    /// Builds the worker's tasks, serves its port, and begins to link and to report. Spouts wait.
    ///
    /// # Errors
    /// [`StartError`]; what had begun ends with the host's scope.
    pub async fn start(
        launch: Launch,
        blueprint: Blueprint,
        registry: &Arc<Registry>,
        host: Host,
    ) -> Result<Self, StartError> {
        let ours = Identity::ours().handshake(launch.handshake.cluster);
        agree(&ours, &launch.handshake).map_err(|mismatch| StartError::Supervisor { mismatch })?;
        let mut seeds = fastrand::Rng::with_seed(host.seed);
        let parts = host.scope.child("worker");
        let listener = bind(&launch.bind_address, &parts).await?;
        let (superseded, watched) = watch::channel(None);
        let superseded = Arc::new(superseded);

        let nimbus = Nimbus::new(
            client(&launch)?,
            launch.nimbus_addresses.clone(),
            superseded.clone(),
            seeds.u64(..),
        );
        let (store, committing) = NimbusCheckpoints::new(nimbus, host.clock.clone());
        until_forced(&parts, "checkpoints", committing);
        let services = Services {
            clock: host.clock.clone(),
            spawner: Arc::new(ScopedSpawner::new(
                parts.child("components"),
                host.components.clone(),
            )),
            checkpoints: Arc::new(store),
            fence: launch.fence,
        };
        let running = Arc::new(run(&blueprint, registry, services)?);

        let ports = running.ports().ok_or(StartError::NoPorts)?;
        let links = Links::new(
            links::config(&launch, &blueprint, ours.clone(), seeds.u64(..)),
            links::ports(ports, host.clock.clone(), superseded.clone()),
            Arc::new(Dialer),
            &CancellationToken::new(),
        );
        let peers = links::peers(&launch.assignment, launch.worker);
        links.set_peers(&peers);
        serve(&parts, listener, &links);

        let (statuses, to_tell) = watch::channel(None);
        let (hear, heard) = mpsc::channel(HEARD);
        let attendant = Attendant::new(&launch, ours, to_tell, hear, seeds.u64(..));
        until_forced(&parts, "attend", attendant.run());
        let now = host.clock.now();
        Ok(Self {
            lifecycle: Lifecycle::new(&launch, &blueprint.part, Limits::default(), now),
            scope: host.scope,
            parts,
            clock: host.clock,
            running,
            links,
            n_peers: peers.len(),
            failing: None,
            statuses,
            heard,
            superseded: watched,
            _superseded: superseded,
        })
    }
}

/// Listens at the slot's port. Whether other machines may reach it was the supervisor's to decide.
async fn bind(address: &Address, scope: &Scope) -> Result<Listener, StartError> {
    let socket: SocketAddr = address
        .to_string()
        .parse()
        .map_err(|_| StartError::BindAddress {
            address: address.clone(),
        })?;
    let deadline = Instant::now() + BIND_WITHIN;
    loop {
        let limits = ServerLimits::worker().listener();
        match Listener::bind(socket, Exposure::Insecure, limits, scope).await {
            Err(BindError::InUse { .. }) if Instant::now() < deadline => {
                sleep_until(Instant::now() + BIND_INTERVAL).await;
            }
            bound => return Ok(bound?),
        }
    }
}

fn client(launch: &Launch) -> Result<CheckpointClient, StartError> {
    Ok(CheckpointClient {
        cluster: launch.handshake.cluster.ok_or(StartError::NoCluster)?,
        topology: launch.topology.id.clone(),
        worker: launch.worker,
        fence: launch.fence,
    })
}

fn run(
    blueprint: &Blueprint,
    registry: &Arc<Registry>,
    services: Services,
) -> Result<Running, StartError> {
    let options = Options {
        part: Some(blueprint.part.clone()),
        ..Options::default()
    };
    let (spec, signatures) = (&blueprint.spec, &blueprint.signatures);
    let running = squall_runtime::start(spec, signatures, registry, services, &options)?;
    info!(memory_bound = %running.memory_bound(), "tasks started");
    Ok(running)
}

/// Serves what the other workers call, until the worker ends.
fn serve(scope: &Scope, listener: Listener, links: &Links) {
    let (service, forced) = (links.service(), scope.forced_owned());
    // With one service there is nothing to route by. Draining ends it to new connections, no more.
    let serving = server(&ServerLimits::worker()).serve_with_incoming_shutdown(
        service,
        incoming(listener),
        forced,
    );
    scope.spawn_vital("exchange", serving);
}

/// Runs a task without which the worker can't go on, until the worker is over.
fn until_forced(scope: &Scope, name: &str, task: impl Future<Output = ()> + Send + 'static) {
    let forced = scope.forced_owned();
    scope.spawn_vital(name, async move {
        select! {
            () = forced => {}
            () = task => {}
        }
        Ok::<_, Infallible>(())
    });
}
