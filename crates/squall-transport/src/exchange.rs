//! Links over gRPC: the shell around [`crate::link`], on tokio.
//!
//! Each worker opens a connection to each of its peers, and on it a stream for its tuples and one for its
//! acks; what it receives comes over streams that its peers have opened. An async task for each peer looks
//! after what goes there (`exchange/outgoing.rs`), one for each stream that has come in after what arrives
//! (`exchange/incoming.rs`). They are woken by the runtime's threads, and never block.

mod backoff;
mod ends;
mod hello;
mod incoming;
mod links;
mod outgoing;
mod peer;
mod ready;
mod service;
mod session;
mod status;

pub use links::Links;
pub use service::ExchangeService;
pub use status::{LinkState, LinkStatus};
