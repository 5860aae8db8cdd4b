//! How others reach a slot's keeper: its inbox, and what it lets be seen.

use std::path::PathBuf;

use squall_core::TopologyId;
use squall_core::engine::WorkerIdx;
use squall_proto::{Cookie, Refusal, SlotStatus, WorkerHello, WorkerOrder, WorkerStatus};
use tokio::sync::{mpsc, oneshot, watch};

use crate::home::SlotDir;
use crate::order::SlotOrder;
use crate::slots::Launch;

/// How many messages a keeper's inbox holds.
pub(super) const INBOX: usize = 64;

/// What a keeper is told.
pub(crate) enum Message {
    /// Nimbus wants this, or nothing.
    Order(Option<SlotOrder>),
    /// A worker has called.
    Hello {
        /// As whom.
        hello: WorkerHello,
        /// Gets what the worker is to be told from now on; it ends when another call takes its place.
        answer: oneshot::Sender<Result<watch::Receiver<Option<WorkerOrder>>, Refusal>>,
    },
    /// A worker that was accepted says how it is.
    Status {
        /// Which.
        cookie: Cookie,
        /// How it is.
        status: WorkerStatus,
    },
    /// The supervisor ends: so must the worker.
    Drain,
}

/// What a keeper lets others see.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// What nimbus is told.
    pub(crate) status: SlotStatus,
    /// The worker that runs.
    pub(crate) launch: Option<Launch>,
    /// The worker has said how it is since the supervisor started, or there is none to wait for.
    pub(crate) is_settled: bool,
}

/// A handle to a keeper.
#[derive(Clone, Debug)]
pub(crate) struct KeeperHandle {
    /// The slot's port.
    pub(crate) port: u16,
    pub(super) inbox: mpsc::Sender<Message>,
    pub(super) seen: watch::Receiver<Seen>,
    pub(super) dir: SlotDir,
}

impl KeeperHandle {
    /// Tells the keeper; waits while its inbox is full. Says whether there still is one.
    pub(crate) async fn tell(&self, message: Message) -> bool {
        self.inbox.send(message).await.is_ok()
    }

    /// Returns how the slot is.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Waits until the slot is empty.
    pub(crate) async fn emptied(&mut self) {
        let empty = |seen: &Seen| seen.status.worker.is_none() && seen.launch.is_none();
        // A keeper that is gone has nothing any more.
        drop(self.seen.wait_for(empty).await);
    }

    /// Waits until the worker that was adopted, if one was, has said how it is.
    pub(crate) async fn settled(&mut self) {
        drop(self.seen.wait_for(|seen| seen.is_settled).await);
    }

    /// Returns the directory in which a worker of this slot runs or ran.
    pub(crate) fn worker_dir(&self, topology: &TopologyId, worker: WorkerIdx) -> PathBuf {
        self.dir.worker(topology, worker)
    }
}
