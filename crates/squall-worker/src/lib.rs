#![doc = include_str!("../README.md")]

mod attend;
mod blueprint;
mod checkpoints;
mod counters;
mod exit;
mod launch;
mod lifecycle;
mod links;
mod process;
mod spawner;
mod worker;

pub use blueprint::{Blueprint, BlueprintError, Rebuild};
pub use checkpoints::{Nimbus, NimbusCheckpoints};
pub use exit::ExitReason;
pub use launch::{LaunchFileError, read_launch};
pub use process::main;
pub use worker::{Host, StartError, Worker};
