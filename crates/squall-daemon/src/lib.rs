#![doc = include_str!("../README.md")]

pub mod data_dir;
pub mod elf;
pub mod grpc;
pub mod health;
pub mod http;
pub mod identity;
pub mod logging;
pub mod metrics;
pub mod net;
pub mod shutdown;

pub use prometheus_client;
