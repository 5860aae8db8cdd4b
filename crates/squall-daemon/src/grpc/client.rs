//! Clients.

use std::time::Duration;

use squall_proto::{Address, limits};
use tonic::transport::{Endpoint, Error};

use crate::grpc::server::LINK_FRAME_BYTES;

/// What a caller bounds. Deadlines are set by each call: they differ too much.
#[derive(Clone, Copy, Debug)]
pub struct ChannelLimits {
    /// How long a connection may take to stand.
    pub connect_within: Duration,
    /// How often an idle connection is asked whether the other side is there.
    pub keep_alive_interval: Duration,
    /// How long the answer to that may take.
    pub keep_alive_timeout: Duration,
    /// What may be on the way unread in one stream, and in one connection, in bytes.
    pub window_bytes: u32,
    /// The largest HTTP/2 frame that the server may send, in bytes: 16 KiB to 16 MiB.
    pub frame_bytes: u32,
}

impl ChannelLimits {
    /// Returns those of a connection of control: to nimbus, or to a supervisor.
    #[must_use]
    pub const fn control() -> Self {
        Self {
            connect_within: limits::CONNECT_DEADLINE,
            keep_alive_interval: limits::KEEP_ALIVE_INTERVAL,
            keep_alive_timeout: limits::KEEP_ALIVE_TIMEOUT,
            window_bytes: 1 << 20,
            frame_bytes: 16 << 10,
        }
    }

    /// Returns those of a link between workers.
    #[must_use]
    pub const fn link() -> Self {
        Self {
            connect_within: limits::CONNECT_DEADLINE,
            keep_alive_interval: limits::LINK_KEEP_ALIVE_INTERVAL,
            keep_alive_timeout: limits::LINK_KEEP_ALIVE_TIMEOUT,
            window_bytes: limits::LINK_WINDOW_BYTES,
            frame_bytes: LINK_FRAME_BYTES,
        }
    }
}

/// Makes an endpoint: `connect().await` tries once, `connect_lazy()` tries anew with each call that finds no
/// connection. Who calls in a loop waits by a [`crate::grpc::Backoff`] in between.
///
/// # Errors
/// The address is none that a URI can hold.
pub fn endpoint(address: &Address, channel: &ChannelLimits) -> Result<Endpoint, Error> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?
        .connect_timeout(channel.connect_within)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(channel.keep_alive_interval)
        .keep_alive_timeout(channel.keep_alive_timeout)
        // A silent partition of an idle connection is noticed by nothing else.
        .keep_alive_while_idle(true)
        .initial_stream_window_size(channel.window_bytes)
        .initial_connection_window_size(channel.window_bytes)
        .max_frame_size(channel.frame_bytes)
        .http2_max_header_list_size(limits::MAX_HEADER_BYTES);
    Ok(endpoint)
}
