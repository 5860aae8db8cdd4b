//! What links say of themselves: counters and states, for heartbeats and for people.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use squall_core::Fence;
use squall_core::engine::WorkerIdx;

/// How far the way to a peer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkState {
    /// It is being opened, or waits to be.
    #[default]
    Down,
    /// Both its streams are open.
    Up,
}

/// One link, both ways. Counted from the start of the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkStatus {
    /// The peer.
    pub peer: WorkerIdx,
    /// Which copy of it is the newest known; its incarnation is 0 until it has spoken.
    pub fence: Fence,
    /// The way there.
    pub state: LinkState,
    /// Why it is down, or was the last time.
    pub last_error: Option<String>,
    /// How often it broke after it had been up.
    pub n_breaks: u64,
    /// Frames that were sent: tuples and acks.
    pub frames_sent: u64,
    /// Their payloads, in bytes.
    pub bytes_sent: u64,
    /// Frames that arrived: tuples and acks.
    pub frames_received: u64,
    /// Their payloads, in bytes.
    pub bytes_received: u64,
    /// Roots that were given up because the link broke; a root may count several times.
    pub roots_lost: u64,
    /// The cost of what was sent and isn't confirmed, in bytes.
    pub unconfirmed_bytes: u64,
    /// Edges with something that was taken from the runtime and isn't confirmed.
    pub busy_edges: u64,
    /// Words for roots of the peer that wait or aren't confirmed.
    pub ack_words: u64,
    /// Words that were dropped because far too many waited.
    pub ack_words_dropped: u64,
    /// The cost of what has arrived and waits for room at its readers, in bytes.
    pub waiting_bytes: u64,
    /// Frames that broke a rule; each ended its stream.
    pub bad_frames: u64,
}

impl LinkStatus {
    /// Tells whether all that was taken from the runtime has arrived.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.busy_edges == 0 && self.ack_words == 0
    }
}

/// The counters behind a [`LinkStatus`].
#[derive(Debug, Default)]
pub(crate) struct LinkCounters {
    pub(crate) frames_sent: Counter,
    pub(crate) bytes_sent: Counter,
    pub(crate) frames_received: Counter,
    pub(crate) bytes_received: Counter,
    pub(crate) breaks: Counter,
    pub(crate) roots_lost: Counter,
    pub(crate) bad_frames: Counter,
    pub(crate) unconfirmed_bytes: Counter,
    pub(crate) busy_edges: Counter,
    pub(crate) ack_words: Counter,
    pub(crate) ack_words_dropped: Counter,
    way: Mutex<(LinkState, Option<String>)>,
}

/// A number that one thread writes at a time and others read.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, n: usize) {
        self.0.store(n as u64, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl LinkCounters {
    /// Takes note of how far the way to the peer is. An error stays until the next one.
    pub(crate) fn set_state(&self, state: LinkState, error: Option<String>) {
        let mut way = self.way.lock().unwrap_or_else(PoisonError::into_inner);
        way.0 = state;
        if error.is_some() {
            way.1 = error;
        }
    }

    pub(crate) fn state(&self) -> (LinkState, Option<String>) {
        self.way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
