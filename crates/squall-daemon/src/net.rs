//! Listening: to whom, on how many connections, and until when.

mod connection;
mod listener;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use thiserror::Error;

pub use connection::Connection;
pub use listener::{Listener, ListenerLimits, ListenerStats};

/// Who may reach a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exposure {
    /// Processes of this machine.
    #[default]
    Loopback,
    /// Everybody in the network, who may then do everything: there are no credentials yet. What an operator
    /// says by `--insecure`.
    Insecure,
}

/// Why nobody can be listened to.
#[derive(Debug, Error)]
pub enum BindError {
    /// The address is reachable from other machines, and nobody has said that it may be.
    #[error(
        "{address} can be reached from other machines, and Squall doesn't check yet who calls: whoever \
         reaches it can run programs here. Bind 127.0.0.1, or pass --insecure if the network keeps \
         strangers out"
    )]
    Exposed {
        /// The address.
        address: SocketAddr,
    },
    /// Somebody has the port.
    #[error(
        "{address} is in use: stop who has it (`ss -ltnp` names the process), or choose another port"
    )]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// The system refuses.
    #[error("can't listen at {address}: {source}")]
    Io {
        /// The address.
        address: SocketAddr,
        /// What it says.
        source: std::io::Error,
    },
}
