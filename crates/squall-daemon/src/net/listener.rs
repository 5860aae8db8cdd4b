//! A port that takes connections up to a bound.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, warn};

use crate::net::{BindError, Connection, Exposure};
use crate::shutdown::Scope;

/// How long a listener waits after the system had no connection to give: it is out of files, mostly.
const PAUSE: Duration = Duration::from_millis(100);

/// What a listener bounds.
#[derive(Clone, Copy, Debug)]
pub struct ListenerLimits {
    /// Connections at the same time. One more is closed at once.
    pub max_connections: NonZeroUsize,
    /// How many bytes a caller has to send first, and how soon: who connects and says nothing is
    /// disconnected, and doesn't use up the connections.
    pub first_bytes: usize,
    /// See [`ListenerLimits::first_bytes`].
    pub first_bytes_within: Duration,
}

/// What a listener has done, counted since it was bound.
#[derive(Debug, Default)]
pub struct ListenerStats {
    pub(crate) accepted: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) silent: AtomicU64,
}

impl ListenerStats {
    /// Connections that were taken.
    #[must_use]
    pub fn n_accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Connections that were closed because there were as many as there may be.
    #[must_use]
    pub fn n_refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Connections that were closed because nothing came.
    #[must_use]
    pub fn n_silent(&self) -> u64 {
        self.silent.load(Ordering::Relaxed)
    }
}

/// A bound port. Serves until its scope drains; the connections live on until they are closed or the scope is
/// forced.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
    limits: ListenerLimits,
    room: Arc<Semaphore>,
    stats: Arc<ListenerStats>,
    scope: Scope,
}

impl Listener {
    /// Binds the address; port 0 picks a free one.
    ///
    /// # Errors
    /// [`BindError`].
    pub async fn bind(
        address: SocketAddr,
        exposure: Exposure,
        limits: ListenerLimits,
        scope: &Scope,
    ) -> Result<Self, BindError> {
        let is_local = address.ip().to_canonical().is_loopback();
        if exposure == Exposure::Loopback && !is_local {
            return Err(BindError::Exposed { address });
        }
        let io = |source: std::io::Error| match source.kind() {
            ErrorKind::AddrInUse => BindError::InUse { address },
            _ => BindError::Io { address, source },
        };
        let listener = TcpListener::bind(address).await.map_err(io)?;
        Ok(Self {
            address: listener.local_addr().map_err(io)?,
            listener,
            limits,
            room: Arc::new(Semaphore::new(limits.max_connections.get())),
            stats: Arc::default(),
            scope: scope.clone(),
        })
    }

    /// Returns the address, with the port that was picked.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the counters.
    #[must_use]
    pub fn stats(&self) -> Arc<ListenerStats> {
        Arc::clone(&self.stats)
    }

    /// Waits for the next connection within the bound; `None` once the scope drains.
    pub async fn accept(&mut self) -> Option<Connection> {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.scope.draining() => return None,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    if let Some(connection) = self.admit(stream, peer) {
                        return Some(connection);
                    }
                }
                Err(error) => {
                    warn!(%error, address = %self.address, "a connection could not be taken");
                    tokio::select! {
                        () = self.scope.draining() => return None,
                        () = sleep_until(Instant::now() + PAUSE) => {}
                    }
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr) -> Option<Connection> {
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else {
            self.stats.refused.fetch_add(1, Ordering::Relaxed);
            debug!(%peer, address = %self.address, "too many connections, one closed");
            return None;
        };
        self.stats.accepted.fetch_add(1, Ordering::Relaxed);
        // Frames are written whole; waiting for more only adds latency. Who is gone already is noticed later.
        stream.set_nodelay(true).unwrap_or_default();
        Some(Connection::new(
            stream,
            permit,
            self.scope.forced_owned(),
            self.limits,
            Arc::clone(&self.stats),
        ))
    }
}
