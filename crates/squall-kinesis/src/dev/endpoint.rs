//! ferrokinesis inside this process, on the loopback address.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use ferrokinesis::store::{DurableStateOptions, StoreOptions};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{RwLock, oneshot};
use tokio::task::JoinHandle;

/// The largest request body in bytes: PutRecords takes 10 MiB, which base64 makes longer.
const MAX_BODY_BYTES: usize = 16 << 20;

/// How the endpoint is started.
#[derive(Clone, Debug)]
pub struct EndpointOptions {
    /// The address to listen at. Default 127.0.0.1: whoever reaches it may do everything.
    pub listen: IpAddr,
    /// The port; 0, the default, takes a free one.
    pub port: u16,
    /// Where streams are kept, durably; in memory only when absent. Each write then writes a snapshot
    /// of everything: for small streams.
    pub data_dir: Option<PathBuf>,
    /// How many open shards there may be in all. Default 1000.
    pub shard_limit: u32,
    /// How long an iterator lives, in whole seconds. Default 300 s, as the service has it.
    pub iterator_ttl: Duration,
    /// How long a stream is being made, changed or deleted. Default 100 ms.
    pub transition: Duration,
    /// The most bytes that are kept; puts above it are refused. Default 1 GiB.
    pub max_retained_bytes: u64,
    /// A shard takes 1000 records and 1 MiB a second and refuses the rest, as the service does. Default
    /// false.
    pub write_limits: bool,
}

impl Default for EndpointOptions {
    fn default() -> Self {
        Self {
            listen: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            data_dir: None,
            shard_limit: 1000,
            iterator_ttl: Duration::from_secs(300),
            transition: Duration::from_millis(100),
            max_retained_bytes: 1 << 30,
            write_limits: false,
        }
    }
}

/// An endpoint that can't be started.
#[derive(Debug, Error)]
pub enum EndpointError {
    /// The port can't be had.
    #[error("can't listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The directory can't be read or written.
    #[error("can't use the data directory: {0}")]
    DataDir(String),
}

/// A running endpoint. Dropping it stops it at once.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

impl Endpoint {
    /// Starts an endpoint on the current tokio runtime.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub async fn start(options: EndpointOptions) -> Result<Self, EndpointError> {
        let address = SocketAddr::new(options.listen, options.port);
        let listen = |source| EndpointError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let (app, store) = ferrokinesis::create_app(store_options(options));
        store
            .check_ready()
            .map_err(|error| EndpointError::DataDir(error.to_string()))?;
        let app = app
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .layer(from_fn_with_state(Arc::default(), puts_apart_from_reads));
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            let served = axum::serve(listener, app).with_graceful_shutdown(stopped);
            if let Err(error) = served.await {
                tracing::warn!(%error, "kinesis endpoint ended");
            }
        });
        Ok(Self {
            address,
            stop: Some(stop),
            server,
        })
    }

    /// Returns the URL under which this machine reaches it.
    #[must_use]
    pub fn url(&self) -> String {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        format!("http://{address}")
    }

    /// Stops: no new connections, open calls are answered for up to a second.
    pub async fn shutdown(mut self) {
        drop(self.stop.take());
        drop(tokio::time::timeout(Duration::from_secs(1), &mut self.server).await);
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Keeps puts from running beside each other and beside reads.
///
/// The emulator draws sequence numbers first and stores the records later: a read in between passes
/// records that are still to come, and a reader would never see them.
async fn puts_apart_from_reads(
    State(lock): State<Arc<RwLock<()>>>,
    request: Request,
    next: Next,
) -> Response {
    let target = request.headers().get("x-amz-target");
    let target = target.and_then(|value| value.to_str().ok()).unwrap_or("");
    let operation = target.rsplit('.').next().unwrap_or("");
    match operation {
        "PutRecord" | "PutRecords" => {
            let _alone = lock.write().await;
            next.run(request).await
        }
        "GetRecords" => {
            let _together = lock.read().await;
            next.run(request).await
        }
        _ => next.run(request).await,
    }
}

fn store_options(options: EndpointOptions) -> StoreOptions {
    let transition_ms = u64::try_from(options.transition.as_millis()).unwrap_or(u64::MAX);
    StoreOptions {
        create_stream_ms: transition_ms,
        delete_stream_ms: transition_ms,
        update_stream_ms: transition_ms,
        shard_limit: options.shard_limit,
        iterator_ttl_seconds: options.iterator_ttl.as_secs(),
        enforce_limits: options.write_limits,
        max_retained_bytes: Some(options.max_retained_bytes),
        durable: options.data_dir.map(|state_dir| DurableStateOptions {
            state_dir,
            snapshot_interval_secs: 60,
            max_retained_bytes: None,
        }),
        ..StoreOptions::default()
    }
}
