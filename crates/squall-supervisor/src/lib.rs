#![doc = include_str!("../README.md")]

mod binaries;
mod clock;
mod files;
mod home;
mod machine;
mod order;
mod process;
pub mod slots;

pub use files::{FailPoint, FailPoints};
pub use home::HomeError;
