//! The whole nimbus: opened, run, ended.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use squall_daemon::data_dir::{DataDir, DataDirError};
use squall_daemon::grpc::{self, ServerLimits};
use squall_daemon::health::Health;
use squall_daemon::http::HttpServer;
use squall_daemon::identity::Identity;
use squall_daemon::metrics::Metrics;
use squall_daemon::net::{BindError, Exposure, Listener};
use squall_daemon::shutdown::Scope;
use squall_proto::ClusterId;
use squall_proto::limits::{
    MAX_ANSWER_BYTES, MAX_CHECKPOINTS_BYTES, MAX_ORDER_BYTES, MAX_PIECE_BYTES, MAX_REPORT_BYTES,
    MAX_REQUEST_BYTES,
};
use squall_proto::wire::blob_server::BlobServer;
use squall_proto::wire::checkpoints_server::CheckpointsServer;
use squall_proto::wire::coordination_server::CoordinationServer;
use squall_proto::wire::nimbus_server::NimbusServer;
use squall_store::OpenError;
use squall_store::blob::{BlobError, BlobStore, BlobStoreConfig};
use squall_store::cluster::{ClusterCheckpoints, ClusterStore, FileCluster, FileClusterConfig};
use thiserror::Error;
use tokio::task::spawn_blocking;
use tracing::info;

use crate::beats::Beats;
use crate::config::NimbusConfig;
use crate::keeper::{KeepError, Keeper};
use crate::leader::{Leader, LeaderHandle};
use crate::metrics::NimbusMetrics;
use crate::service::{
    BlobService, CheckpointDesk, CheckpointService, CoordinationService, Counted, Logs,
    NimbusService, Refusals,
};
use crate::sweep::sweep;

/// A nimbus that can't start, or can't go on.
#[derive(Debug, Error)]
pub enum NimbusError {
    /// Settings that can't be, all of them.
    #[error("wrong settings: {}", .0.join("; "))]
    Config(Vec<String>),
    /// Its data directory can't be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The cluster's state can't be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The binaries can't be opened.
    #[error("the binaries can't be opened: {0}")]
    Blobs(#[from] BlobError),
    /// The cluster's state can't be read, or somebody else leads.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// It can't listen.
    #[error(transparent)]
    Listen(#[from] BindError),
    /// The system doesn't do what it must.
    #[error("nimbus can't go on: {0}")]
    System(#[from] io::Error),
    /// The server has failed.
    #[error("nimbus can't serve: {0}")]
    Serve(#[from] tonic::transport::Error),
}

/// What nimbus keeps things in.
pub struct Stores {
    /// The cluster's state and the checkpoints.
    pub cluster: Arc<dyn ClusterStore>,
    /// The binaries.
    pub blobs: BlobStore,
}

/// A nimbus that leads and listens. [`Nimbus::run`] lets it work.
pub struct Nimbus {
    scope: Scope,
    cluster: ClusterId,
    listener: Listener,
    http: HttpServer,
    leader: Leader,
    desk: CheckpointDesk,
    services: Services,
    keep_binaries: Duration,
    /// Held, not read.
    _data_dir: Option<DataDir>,
}

/// What is served.
struct Services {
    nimbus: NimbusService,
    coordination: CoordinationService,
    checkpoints: CheckpointService,
    blobs: BlobService,
    store: BlobStore,
    handle: LeaderHandle,
    metrics: NimbusMetrics,
}

/// Runs a nimbus until its scope drains.
///
/// # Errors
/// [`NimbusError`].
pub async fn serve(config: NimbusConfig, scope: Scope) -> Result<(), NimbusError> {
    Nimbus::start(config, scope).await?.run().await
}

impl fmt::Debug for Nimbus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nimbus")
            .field("cluster", &self.cluster)
            .field("address", &self.address())
            .field("http_address", &self.http_address())
            .finish_non_exhaustive()
    }
}

impl Nimbus {
    /// Opens the data directory, takes the lead, and listens.
    ///
    /// # Errors
    /// [`NimbusError`].
    pub async fn start(config: NimbusConfig, scope: Scope) -> Result<Self, NimbusError> {
        config.validate().map_err(NimbusError::Config)?;
        let opening = config.clone();
        let opened = spawn_blocking(move || open(&opening)).await;
        let (data_dir, stores) = opened.map_err(io::Error::other)??;
        let mut nimbus = Self::start_with(config, stores, scope).await?;
        nimbus._data_dir = Some(data_dir);
        Ok(nimbus)
    }

    /// The same with stores that are open already; `data_dir` is of no account.
    ///
    /// # Errors
    /// [`NimbusError`].
    pub async fn start_with(
        config: NimbusConfig,
        stores: Stores,
        scope: Scope,
    ) -> Result<Self, NimbusError> {
        config.validate().map_err(NimbusError::Config)?;
        let exposure = if config.insecure {
            Exposure::Insecure
        } else {
            Exposure::Loopback
        };
        let identity = Identity::ours();
        let (health, metrics) = (Health::new(), Metrics::new(&identity));
        let limits = ServerLimits::nimbus().listener();
        let listener = Listener::bind(config.address(), exposure, limits, &scope).await?;
        let http = HttpServer::bind(
            config.http_address(),
            exposure,
            &scope,
            health.clone(),
            metrics.clone(),
        );
        let http = http.await?;
        let (keeper, desired) = Keeper::lead(Arc::clone(&stores.cluster)).await?;
        let (cluster, epoch) = (keeper.cluster(), keeper.epoch());
        info!(
            address = %listener.address(), http_address = %http.address(), %cluster,
            leader_epoch = epoch.0, n_topologies = desired.topologies.len(),
            n_supervisors = desired.supervisors.len(), store = stores.cluster.location(),
            "nimbus leads"
        );
        metrics.register_listener("nimbus", listener.stats());
        let metrics = NimbusMetrics::new(&metrics);
        let beats = Arc::new(Beats::default());
        let (leader, handle) = Leader::new(
            (Arc::new(keeper), desired),
            config.limits(),
            Arc::clone(&beats),
            metrics.clone(),
            health.part("store"),
        );
        let checkpoints = ClusterCheckpoints::new(stores.cluster, epoch);
        let (desk, desk_handle) = CheckpointDesk::new(
            checkpoints.clone(),
            config.commit_interval.0,
            metrics.clone(),
        );
        let refusals = |service| Refusals::of(service, metrics.clone());
        let services = Services {
            nimbus: NimbusService {
                leader: handle.clone(),
                beats: Arc::clone(&beats),
                blobs: stores.blobs.clone(),
                logs: Logs::new(handle.clone(), cluster, epoch, scope.clone()),
                identity: identity.clone(),
                cluster,
                refusals: refusals("nimbus"),
            },
            coordination: CoordinationService {
                leader: handle.clone(),
                beats: Arc::clone(&beats),
                identity,
                cluster,
                epoch,
                scope: scope.clone(),
                metrics: metrics.clone(),
                refusals: refusals("coordination"),
            },
            checkpoints: CheckpointService {
                leader: handle.clone(),
                beats,
                store: checkpoints,
                desk: desk_handle,
                cluster,
                refusals: refusals("checkpoints"),
            },
            blobs: BlobService::new(
                stores.blobs.clone(),
                scope.clone(),
                metrics.clone(),
                refusals("blob"),
            ),
            store: stores.blobs,
            handle,
            metrics: metrics.clone(),
        };
        Ok(Self {
            scope,
            cluster,
            listener,
            http,
            leader,
            desk,
            services,
            keep_binaries: config.keep_binaries.0,
            _data_dir: None,
        })
    }

    /// Returns the address for supervisors, workers and operators, with the port that was picked.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Returns the address of `/healthz` and `/metrics`, with the port that was picked.
    #[must_use]
    pub fn http_address(&self) -> SocketAddr {
        self.http.address()
    }

    /// Returns the cluster's id.
    #[must_use]
    pub const fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// Leads and serves until the scope drains.
    ///
    /// # Errors
    /// [`NimbusError`].
    pub async fn run(self) -> Result<(), NimbusError> {
        let Self {
            scope,
            listener,
            http,
            leader,
            desk,
            services,
            keep_binaries,
            ..
        } = self;
        scope.spawn_vital("http", http.serve());
        scope.spawn("checkpoints", desk.run(scope.clone()));
        let sweeping = sweep(
            services.store,
            services.handle,
            keep_binaries,
            scope.clone(),
        );
        scope.spawn("sweep", sweeping);
        let nimbus = NimbusServer::new(services.nimbus)
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_ANSWER_BYTES);
        let coordination = CoordinationServer::new(services.coordination)
            .max_decoding_message_size(MAX_REPORT_BYTES)
            .max_encoding_message_size(MAX_ORDER_BYTES);
        let checkpoints = CheckpointsServer::new(services.checkpoints)
            .max_decoding_message_size(MAX_CHECKPOINTS_BYTES)
            .max_encoding_message_size(MAX_CHECKPOINTS_BYTES);
        let blobs = BlobServer::new(services.blobs).max_decoding_message_size(MAX_PIECE_BYTES);
        let refusals = |service| Refusals::of(service, services.metrics.clone());
        let serving = grpc::server(&ServerLimits::nimbus())
            .add_service(Counted::new(nimbus, refusals("nimbus")))
            .add_service(Counted::new(coordination, refusals("coordination")))
            .add_service(Counted::new(checkpoints, refusals("checkpoints")))
            .add_service(Counted::new(blobs, refusals("blob")))
            .serve_with_incoming_shutdown(grpc::incoming(listener), scope.draining());
        let leading = leader.run(scope.clone());
        tokio::pin!(serving, leading);
        tokio::select! {
            served = &mut serving => served?,
            led = &mut leading => {
                led?;
                // It has ended because the scope drains; calls that are under way end in their own time.
                serving.await?;
            }
        }
        Ok(())
    }
}

/// Opens what is in the data directory. Blocks.
fn open(config: &NimbusConfig) -> Result<(DataDir, Stores), NimbusError> {
    let data_dir = DataDir::open(&config.data_dir)?;
    let cluster = FileClusterConfig {
        max_bytes: config.max_store_bytes.0,
        ..FileClusterConfig::default()
    };
    let cluster = FileCluster::open(data_dir.path().join("cluster.redb"), cluster)?;
    let blobs = BlobStoreConfig {
        max_blob_bytes: config.max_binary_bytes.0,
        max_total_bytes: config.max_binaries_bytes.0,
        min_free_bytes: config.min_free.0,
        ..BlobStoreConfig::default()
    };
    let blobs = BlobStore::open(data_dir.path().join("binaries"), blobs)?;
    let stores = Stores {
        cluster: Arc::new(cluster),
        blobs,
    };
    Ok((data_dir, stores))
}
