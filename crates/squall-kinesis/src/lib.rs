#![doc = include_str!("../README.md")]

mod all;
mod api;
mod aws;
mod checkpoint;
mod config;
mod coordinator;
#[cfg(feature = "dev")]
pub mod dev;
mod discovery;
mod listing;
mod position;
mod problem;
mod sequence;
mod shard;
mod spout;
mod state;
mod tracker;

pub use all::all;
pub use api::{
    ApiError, ErrorClass, KinesisApi, Page, Record, ShardId, ShardInfo, ShardPage, Start,
};
pub use aws::{Aws, Connection, StreamRef};
pub use config::{ConfigError, InitialPosition, KinesisConfig, OnInvalidPosition};
pub use position::Position;
pub use sequence::{MAX_SEQUENCE_DIGITS, Sequence, SequenceError};
pub use spout::KinesisSpout;
pub use state::forget;
