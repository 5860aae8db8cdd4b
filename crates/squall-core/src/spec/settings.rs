//! The bounds and time-outs of a topology.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{ByteSize, HumanDuration};

/// Settings of a whole topology. Every bound of the engine is here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How many workers of a cluster run the topology, at most one for each executor; in one process it
    /// has no effect. Default 1.
    pub workers: u32,
    /// How long a tuple tree may take, time in queues not counted; then it fails. Default 30s.
    pub message_timeout: HumanDuration,
    /// How many tuple trees a spout task may have pending; at the bound it isn't asked for more.
    /// Default 10000.
    #[schemars(range(min = 1))]
    pub max_spout_pending: u32,
    /// How many bytes of tuples a spout task may have pending; at the bound it isn't asked for more.
    /// Default 64MiB.
    pub max_spout_pending_bytes: ByteSize,
    /// How many bytes of tuples bolts may hold at once (`hold()`), of those that one worker emitted. Reached
    /// with nothing else pending, the topology stops with an error; with several workers, the spout's task
    /// shows it, for what is pending elsewhere may end it. Default 256MiB.
    pub max_held_bytes: ByteSize,
    /// The largest tuple. A larger one is an error of the emit. Default 16MiB.
    pub max_tuple_bytes: ByteSize,
    /// How many bytes may wait between a component and one task that reads it; at the bound the sender
    /// parks. An empty edge takes one batch of any size. Default 1MiB.
    pub edge_bytes: ByteSize,
    /// How many batches may wait there. Default 256.
    #[schemars(range(min = 1))]
    pub edge_batches: u32,
    /// How long a draining topology waits for pending trees. Default 30s.
    pub drain_timeout: HumanDuration,
    /// How long the first restart of a failed task waits; each further one waits twice as long, up to
    /// `restart_backoff_cap`. Default 100ms.
    pub restart_backoff: HumanDuration,
    /// The longest wait before a restart. A task that has reached it shows as crash-looping. Default 30s.
    pub restart_backoff_cap: HumanDuration,
    /// Fixes all randomness of the run, for tests; drawn at start when absent.
    pub seed: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            workers: 1,
            message_timeout: HumanDuration::from_secs(30),
            max_spout_pending: 10_000,
            max_spout_pending_bytes: ByteSize::mib(64),
            max_held_bytes: ByteSize::mib(256),
            max_tuple_bytes: ByteSize::mib(16),
            edge_bytes: ByteSize::mib(1),
            edge_batches: 256,
            drain_timeout: HumanDuration::from_secs(30),
            restart_backoff: HumanDuration::from_millis(100),
            restart_backoff_cap: HumanDuration::from_secs(30),
            seed: None,
        }
    }
}
