//! One shard: the life of its reader, and what reader and spout know of it together.

mod backoff;
mod metrics;
mod pace;
mod progress;
mod reader;
mod task;

pub(crate) use backoff::Backoff;
pub(crate) use metrics::{ShardMetrics, ShardStatus};
pub(crate) use progress::{SaveLimits, Shared};
#[cfg(test)]
pub(crate) use reader::End;
pub(crate) use reader::{Counters, Reader};
pub(crate) use task::{Fetched, Task};
