#![doc = include_str!("../README.md")]

pub mod data_dir;
pub mod elf;
pub mod fail_point;
pub mod grpc;
pub mod health;
#[cfg(feature = "http")]
pub mod http;
pub mod identity;
pub mod logging;
#[cfg(feature = "http")]
pub mod metrics;
pub mod net;
pub mod shutdown;

#[cfg(feature = "http")]
pub use prometheus_client;
