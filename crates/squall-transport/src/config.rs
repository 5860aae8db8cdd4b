//! What a worker's links are told when they start.

use std::sync::Arc;
use std::time::Duration;

use squall_core::engine::WorkerIdx;
use squall_core::{Fence, TaskId, TopologyId};
use squall_proto::{Address, Handshake};

use crate::wire::SchemaTable;

/// Who this worker is, and what its links may take.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// The topology.
    pub topology: TopologyId,
    /// This worker.
    pub worker: WorkerIdx,
    /// Which copy of it.
    pub fence: Fence,
    /// What it says of itself.
    pub handshake: Handshake,
    /// All streams of the topology.
    pub schemas: Arc<SchemaTable>,
    /// The topology's `max_tuple_bytes`.
    pub max_tuple_bytes: usize,
    /// How many bytes each other worker may have waiting for room at each task that reads from it. A
    /// larger tuple goes when nothing else waits. Default: 512 KiB.
    ///
    /// Memory: at most this for each edge and peer, or one tuple; besides, 4 MiB of HTTP/2 windows a link.
    pub window_bytes: usize,
    /// How often the trees of tuples that wait for another worker are told so; a quarter of the message
    /// timeout is right. Default: 7.5 s.
    pub touch_every: Duration,
    /// The first wait before a link is opened again, doubled each time. Default: 50 ms.
    pub reconnect_base: Duration,
    /// The longest such wait. Default: 2 s.
    pub reconnect_cap: Duration,
    /// Where the waits' randomness comes from.
    pub seed: u64,
}

impl LinkConfig {
    /// The default of [`LinkConfig::window_bytes`].
    pub const WINDOW_BYTES: usize = 512 * 1024;
    /// The default of [`LinkConfig::touch_every`].
    pub const TOUCH_EVERY: Duration = Duration::from_millis(7500);
    /// The default of [`LinkConfig::reconnect_base`].
    pub const RECONNECT_BASE: Duration = Duration::from_millis(50);
    /// The default of [`LinkConfig::reconnect_cap`].
    pub const RECONNECT_CAP: Duration = Duration::from_secs(2);
}

/// Another worker of the topology, as an assignment places it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its number.
    pub worker: WorkerIdx,
    /// Where it serves.
    pub address: Address,
    /// The assignment version in which it last moved.
    pub placement_epoch: u64,
    /// Its tasks.
    pub tasks: Vec<TaskId>,
}
