#![doc = include_str!("../README.md")]
//!
//! [`wire`] lays tuples out as bytes, [`link`] decides what may be sent and what is lost, both pure;
//! [`Links`] are the shell around them.

mod config;
mod exchange;
pub mod link;
mod mutation;
mod ports;
pub mod wire;

pub use config::{LinkConfig, Peer};
pub use exchange::{ExchangeService, LinkState, LinkStatus, Links};
pub use ports::{Dial, Ports};
