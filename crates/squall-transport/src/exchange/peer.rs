//! What the async tasks that look after one peer share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use squall_core::Fence;
use squall_core::engine::{LinkEvents, WorkerIdx};
use squall_proto::Address;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::status::{LinkCounters, LinkStatus};
use crate::link::{AckReceiver, DataReceiver, PeerFence, Seen};

/// One peer.
pub(crate) struct PeerState {
    pub(crate) worker: WorkerIdx,
    /// Which copy of it is the newest known. Streams with another one end when it rises.
    fence: watch::Sender<PeerFence>,
    /// Where it is to be found.
    target: watch::Sender<Target>,
    /// What arrives from it. One stream at a time; held by no one across an await.
    data: Mutex<DataReceiver>,
    acks: Mutex<AckReceiver>,
    pub(crate) counters: LinkCounters,
    /// Ends all that looks after it.
    pub(crate) end: CancellationToken,
}

/// Where a peer is to be found, and in which epoch it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) address: Address,
    pub(crate) placement_epoch: u64,
}

impl PeerState {
    pub(crate) fn new(
        worker: WorkerIdx,
        target: Target,
        fence: PeerFence,
        data: DataReceiver,
        end: CancellationToken,
    ) -> Self {
        Self {
            worker,
            fence: watch::Sender::new(fence),
            target: watch::Sender::new(target),
            data: Mutex::new(data),
            acks: Mutex::new(AckReceiver::new()),
            counters: LinkCounters::default(),
            end,
        }
    }

    /// Takes note of a fence that the peer has named. If an incarnation has ended by that, `events` hears
    /// of it before this returns.
    pub(crate) fn observe(&self, fence: Fence, events: &dyn LinkEvents) -> Seen {
        self.raise(events, |known| known.observe(fence))
    }

    /// Takes note of where an assignment places the peer. An older assignment changes nothing.
    pub(crate) fn place(&self, target: Target, events: &dyn LinkEvents) -> Seen {
        let seen = self.raise(events, |known| known.expect_epoch(target.placement_epoch));
        if !matches!(seen, Seen::Stale { .. }) {
            self.target.send_if_modified(|known| {
                let moved = *known != target;
                *known = target;
                moved
            });
        }
        seen
    }

    fn raise(&self, events: &dyn LinkEvents, raise: impl FnOnce(&mut PeerFence) -> Seen) -> Seen {
        let (mut seen, mut epoch) = (Seen::Same, 0);
        self.fence.send_if_modified(|known| {
            seen = raise(known);
            epoch = known.newest().placement_epoch;
            matches!(seen, Seen::Newer { .. })
        });
        if let Seen::Newer { ended: Some(ended) } = seen {
            tracing::info!(worker_id = %self.worker, epoch = ended.placement_epoch, incarnation = ended.incarnation, "incarnation of a peer has ended");
            // Within an epoch a supervisor starts a copy only when it knows that the one before is gone.
            if ended.placement_epoch < epoch {
                events.peer_moved(self.worker, ended);
            } else {
                events.peer_ended(self.worker, ended);
            }
        }
        seen
    }

    /// Returns the newest known fence.
    pub(crate) fn fence(&self) -> PeerFence {
        *self.fence.borrow()
    }

    /// Returns what is told of each rise of the fence.
    pub(crate) fn watch_fence(&self) -> watch::Receiver<PeerFence> {
        self.fence.subscribe()
    }

    /// Returns what is told of each move of the peer.
    pub(crate) fn watch_target(&self) -> watch::Receiver<Target> {
        self.target.subscribe()
    }

    /// Locks what receives the peer's tuples.
    pub(crate) fn data(&self) -> MutexGuard<'_, DataReceiver> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks what receives the peer's acks.
    pub(crate) fn acks(&self) -> MutexGuard<'_, AckReceiver> {
        self.acks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn status(&self) -> LinkStatus {
        let counters = &self.counters;
        let (state, last_error) = counters.state();
        LinkStatus {
            peer: self.worker,
            fence: self.fence().newest(),
            state,
            last_error,
            n_breaks: counters.breaks.get(),
            frames_sent: counters.frames_sent.get(),
            bytes_sent: counters.bytes_sent.get(),
            frames_received: counters.frames_received.get(),
            bytes_received: counters.bytes_received.get(),
            roots_lost: counters.roots_lost.get(),
            unconfirmed_bytes: counters.unconfirmed_bytes.get(),
            busy_edges: counters.busy_edges.get(),
            ack_words: counters.ack_words.get(),
            ack_words_dropped: counters.ack_words_dropped.get(),
            waiting_bytes: self.data().waiting_bytes() as u64,
            bad_frames: counters.bad_frames.get(),
        }
    }
}
