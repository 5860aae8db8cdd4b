//! Servers.

use std::io::Result;
use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use squall_proto::limits;
use tonic::transport::Server;

use crate::net::{Connection, Listener, ListenerLimits};

/// What every HTTP/2 connection begins with, in bytes.
const PREFACE_BYTES: usize = 24;
/// How many streams a caller may reset before we have taken notice, and how many errors of its own one may
/// make, before its connection is closed: a rapid reset (CVE-2023-44487) ends there.
const MAX_RESETS: usize = 64;

/// The largest HTTP/2 frame between workers, in bytes: a batch in one piece.
pub(crate) const LINK_FRAME_BYTES: u32 = 1 << 20;

/// What a server bounds for all its callers.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Connections at the same time. One more is closed at once.
    pub max_connections: NonZeroUsize,
    /// Calls of one connection at the same time. One more waits.
    pub max_streams: u32,
    /// Bytes of headers of one call.
    pub max_header_bytes: u32,
    /// How often an idle connection is asked whether the other side is there.
    pub keep_alive_interval: Duration,
    /// How long the answer to that may take.
    pub keep_alive_timeout: Duration,
    /// How soon a connection has to speak HTTP/2.
    pub hello_within: Duration,
    /// What may be on the way unread in one stream, and in one connection, in bytes.
    pub window_bytes: u32,
    /// The largest HTTP/2 frame that a caller may send, in bytes: 16 KiB to 16 MiB.
    pub frame_bytes: u32,
}

impl ServerLimits {
    /// Returns nimbus's.
    #[must_use]
    pub const fn nimbus() -> Self {
        Self::control(limits::NIMBUS_CONNECTIONS, limits::NIMBUS_STREAMS)
    }

    /// Returns a supervisor's.
    #[must_use]
    pub const fn supervisor() -> Self {
        Self::control(limits::SUPERVISOR_CONNECTIONS, limits::SUPERVISOR_STREAMS)
    }

    /// Returns a worker's.
    #[must_use]
    pub const fn worker() -> Self {
        Self {
            keep_alive_interval: limits::LINK_KEEP_ALIVE_INTERVAL,
            keep_alive_timeout: limits::LINK_KEEP_ALIVE_TIMEOUT,
            window_bytes: limits::LINK_WINDOW_BYTES,
            frame_bytes: LINK_FRAME_BYTES,
            ..Self::control(limits::WORKER_CONNECTIONS, limits::WORKER_STREAMS)
        }
    }

    const fn control(max_connections: usize, max_streams: u32) -> Self {
        Self {
            max_connections: match NonZeroUsize::new(max_connections) {
                Some(max_connections) => max_connections,
                None => NonZeroUsize::MIN,
            },
            max_streams,
            max_header_bytes: limits::MAX_HEADER_BYTES,
            keep_alive_interval: limits::KEEP_ALIVE_INTERVAL,
            keep_alive_timeout: limits::KEEP_ALIVE_TIMEOUT,
            hello_within: limits::HELLO_DEADLINE,
            window_bytes: 1 << 20,
            frame_bytes: 16 << 10,
        }
    }

    /// Returns what a [`Listener`] has to bound.
    #[must_use]
    pub const fn listener(&self) -> ListenerLimits {
        ListenerLimits {
            max_connections: self.max_connections,
            first_bytes: PREFACE_BYTES,
            first_bytes_within: self.hello_within,
        }
    }
}

/// Begins a server with its limits set. It is to be served by `serve_with_incoming_shutdown`, with
/// [`incoming`] and with the scope's `draining()`.
#[must_use]
pub fn server(limits: &ServerLimits) -> Server {
    Server::builder()
        .max_concurrent_streams(limits.max_streams)
        .http2_max_header_list_size(limits.max_header_bytes)
        .http2_keepalive_interval(Some(limits.keep_alive_interval))
        .http2_keepalive_timeout(Some(limits.keep_alive_timeout))
        .http2_max_pending_accept_reset_streams(Some(MAX_RESETS))
        .http2_max_local_error_reset_streams(Some(MAX_RESETS))
        .initial_stream_window_size(limits.window_bytes)
        .initial_connection_window_size(limits.window_bytes)
        .max_frame_size(limits.frame_bytes)
        .accept_http1(false)
}

/// Turns a listener into what tonic serves: it ends when the listener's scope drains.
pub fn incoming(listener: Listener) -> impl Stream<Item = Result<Connection>> + Send {
    unfold(listener, |mut listener| async {
        let connection = listener.accept().await?;
        Some((Ok(connection), listener))
    })
}
