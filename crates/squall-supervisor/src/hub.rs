//! All slots together: orders are sorted to them, their states gathered.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use squall_core::TopologyId;
use squall_core::engine::WorkerIdx;
use squall_proto::{Cookie, Refusal, Sha256, SupervisorOrder, SupervisorStatus, handshake};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use crate::context::Context;
use crate::home::{Home, Identity, Leader};
use crate::keeper::{KeeperHandle, Message};
use crate::order;
use crate::slots::Work;

/// The slots of a supervisor.
pub(crate) struct Hub {
    context: Arc<Context>,
    home: Arc<Home>,
    /// What is stored of it; locked while an order is taken, one at a time.
    identity: Mutex<Identity>,
    keepers: Vec<KeeperHandle>,
    draining: AtomicBool,
}

impl Hub {
    pub(crate) fn new(
        context: Arc<Context>,
        home: Arc<Home>,
        identity: Identity,
        keepers: Vec<KeeperHandle>,
    ) -> Self {
        Self {
            context,
            home,
            identity: Mutex::new(identity),
            keepers,
            draining: AtomicBool::new(false),
        }
    }

    /// Returns what all parts share.
    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// Returns whose orders are taken.
    pub(crate) fn leader(&self) -> Leader {
        self.context.leader()
    }

    /// Takes an order: who gives it is made durable first if it is somebody new.
    ///
    /// # Errors
    /// It is none of ours to follow, or can't be noted down now; nothing is changed.
    pub(crate) async fn order(&self, order: SupervisorOrder) -> Result<(), Refusal> {
        handshake::agree(&self.context.handshake(), &order.handshake)?;
        let mut identity = self.identity.lock().await;
        let cluster = order.handshake.cluster;
        let leader = identity.leader.judge(cluster, order.leader_epoch)?;
        if leader != identity.leader {
            let new = Identity {
                leader: leader.clone(),
                ..identity.clone()
            };
            self.store(new.clone()).await?;
            *identity = new;
            info!(cluster = ?leader.cluster, leader_epoch = leader.epoch, "leader accepted");
            self.context.set_leader(leader);
        }
        let binaries = order
            .topologies
            .iter()
            .map(|order| order.topology.binary_sha256);
        let binaries = binaries.collect();
        let mut slots = order::by_slot(order, &identity.supervisor_id);
        for keeper in &self.keepers {
            keeper
                .tell(Message::Order(slots.remove(&keeper.port)))
                .await;
        }
        for (port, order) in slots {
            let work = order.work();
            warn!(port, topology_id = %work.topology_id, "order for a slot that isn't here");
        }
        self.retain(binaries).await;
        Ok(())
    }

    /// Finds the keeper whose worker has this cookie.
    pub(crate) fn keeper_of(&self, cookie: Cookie) -> Option<KeeperHandle> {
        let has = |keeper: &&KeeperHandle| {
            let launch = keeper.seen().launch;
            launch.is_some_and(|launch| launch.cookie == cookie)
        };
        self.keepers.iter().find(has).cloned()
    }

    /// Finds the directory that a worker runs in, or ran in last.
    pub(crate) fn worker_dir(&self, topology: &TopologyId, worker: WorkerIdx) -> Option<PathBuf> {
        let is_it = |work: &Work| work.topology_id == *topology && work.worker_idx == worker;
        let runs = |keeper: &&KeeperHandle| {
            let launch = keeper.seen().launch;
            launch.is_some_and(|launch| is_it(&launch.work))
        };
        if let Some(keeper) = self.keepers.iter().find(runs) {
            return Some(keeper.worker_dir(topology, worker));
        }
        let dirs = self
            .keepers
            .iter()
            .map(|keeper| keeper.worker_dir(topology, worker));
        let found = dirs.filter_map(|dir| Some((dir.metadata().ok()?.modified().ok()?, dir)));
        found.max().map(|(_, dir)| dir)
    }

    /// Puts together what nimbus is told.
    pub(crate) fn status(&self) -> SupervisorStatus {
        SupervisorStatus {
            slots: self
                .keepers
                .iter()
                .map(|keeper| keeper.seen().status)
                .collect(),
            draining: self.draining.load(Ordering::Relaxed),
            disk_free_bytes: self.context.binaries.free_bytes(),
        }
    }

    /// Waits until all workers that were adopted have said how they are.
    pub(crate) async fn settled(&self) {
        for keeper in &self.keepers {
            keeper.clone().settled().await;
        }
    }

    /// Ends all workers, gently, and waits until all slots are empty.
    pub(crate) async fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.context.changed.notify_one();
        for keeper in &self.keepers {
            keeper.tell(Message::Drain).await;
        }
        for keeper in &self.keepers {
            keeper.clone().emptied().await;
        }
    }

    async fn store(&self, identity: Identity) -> Result<(), Refusal> {
        let home = self.home.clone();
        let stored = spawn_blocking(move || home.store_identity(&identity)).await;
        match stored {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Refusal::unavailable(error)),
            Err(error) => Err(Refusal::internal(error)),
        }
    }

    /// Removes binaries that neither this order nor a running worker needs.
    async fn retain(&self, mut wanted: HashSet<Sha256>) {
        let running = self
            .keepers
            .iter()
            .filter_map(|keeper| keeper.seen().launch);
        wanted.extend(running.map(|launch| launch.work.binary));
        let context = self.context.clone();
        let removed = spawn_blocking(move || context.binaries.retain(&wanted)).await;
        match removed.map_err(std::io::Error::other).flatten() {
            Ok(0) => {}
            Ok(n_removed) => info!(n_removed, "unused binaries removed"),
            Err(error) => warn!(%error, "unused binaries can't be removed"),
        }
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("keepers", &self.keepers)
            .finish_non_exhaustive()
    }
}
