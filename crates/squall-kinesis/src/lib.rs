//! The Kinesis spout.

mod api;
mod aws;
#[cfg(feature = "dev")]
pub mod dev;
mod sequence;

pub use api::{
    ApiError, ErrorClass, KinesisApi, Page, Record, ShardId, ShardInfo, ShardPage, Start,
};
pub use aws::{Aws, Connection, StreamRef};
pub use sequence::{MAX_SEQUENCE_DIGITS, Sequence, SequenceError};
