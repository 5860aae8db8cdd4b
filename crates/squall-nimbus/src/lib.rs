#![doc = include_str!("../README.md")]

mod beats;
mod clock;
mod config;
pub mod heart;
mod keeper;
mod leader;
mod metrics;
mod nimbus;
pub mod records;
mod service;
mod sweep;

pub use config::NimbusConfig;
pub use keeper::KeepError;
pub use nimbus::{Nimbus, NimbusError, Stores, serve};
