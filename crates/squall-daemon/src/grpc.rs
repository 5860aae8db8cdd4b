//! gRPC with limits: tonic has none by default but one, the size of a message that is decoded (4 MiB).
//!
//! The numbers are those of [`squall_proto::limits`]. What stays with who makes a service is the size of its
//! messages: `NimbusServer::new(service).max_decoding_message_size(limits::MAX_REQUEST_BYTES)`.

mod backoff;
mod client;
mod server;
#[cfg(test)]
mod tests;

pub use backoff::{Backoff, BackoffConfig};
pub use client::{ChannelLimits, endpoint};
pub use server::{ServerLimits, incoming, server};
