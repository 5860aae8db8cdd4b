#![doc = include_str!("../README.md")]

mod binaries;
mod clock;
mod config;
mod context;
mod files;
mod grpc;
mod home;
mod hub;
mod keeper;
mod local;
mod machine;
mod nimbus;
mod order;
mod process;
pub mod slots;
mod supervisor;
mod tail;

pub use config::SupervisorConfig;
pub use files::{FailPoint, FailPoints};
pub use home::HomeError;
pub use supervisor::{StartError, Supervisor, serve};
