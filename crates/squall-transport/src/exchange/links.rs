//! All links of a worker.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use foldhash::fast::RandomState;
use squall_core::TaskId;
use squall_core::engine::{EdgeId, WorkerIdx};
use squall_proto::limits;
use squall_proto::wire::exchange_server::ExchangeServer;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ends::Ends;
use super::outgoing::Outgoing;
use super::peer::{PeerState, Target};
use super::service::ExchangeService;
use super::status::LinkStatus;
use crate::config::{LinkConfig, Peer};
use crate::link::{DataReceiver, DataSender, PeerFence, Seen};
use crate::ports::{Dial, Ports};

/// The links of one worker to its peers. A handle: clones share the links.
#[derive(Clone)]
pub struct Links {
    link: Arc<LinkContext>,
}

/// What all that looks after links shares.
pub(crate) struct LinkContext {
    pub(crate) config: LinkConfig,
    pub(crate) ports: Ports,
    pub(crate) dialer: Arc<dyn Dial>,
    /// By peer. Never held while another entry is looked at, or across an await.
    peers: DashMap<WorkerIdx, Linked, RandomState>,
    /// All async tasks of the links.
    pub(crate) tasks: TaskTracker,
    shutdown: CancellationToken,
    n_refused: AtomicU64,
    /// What further links have to repeat.
    pub(crate) ends: Ends,
}

struct Linked {
    tasks: Vec<TaskId>,
    peer: Arc<PeerState>,
}

impl LinkContext {
    /// Finds a peer.
    pub(crate) fn peer(&self, worker: WorkerIdx) -> Option<Arc<PeerState>> {
        self.peers.get(&worker).map(|linked| linked.peer.clone())
    }

    pub(crate) fn count_refused(&self) {
        self.n_refused.fetch_add(1, Ordering::Relaxed);
    }
}

impl Links {
    /// Makes the links of a worker; there are none before [`Links::set_peers`]. They end with `shutdown`,
    /// or with the handle's [`Links::end`].
    #[must_use]
    pub fn new(
        config: LinkConfig,
        ports: Ports,
        dialer: Arc<dyn Dial>,
        shutdown: &CancellationToken,
    ) -> Self {
        let link = LinkContext {
            config,
            ports,
            dialer,
            peers: DashMap::default(),
            tasks: TaskTracker::new(),
            shutdown: shutdown.child_token(),
            n_refused: AtomicU64::new(0),
            ends: Ends::default(),
        };
        Self {
            link: Arc::new(link),
        }
    }

    /// Returns the service to be served on this worker's port.
    #[must_use]
    pub fn service(&self) -> ExchangeServer<ExchangeService> {
        ExchangeServer::new(ExchangeService::new(self.link.clone()))
            .max_decoding_message_size(limits::MAX_EXCHANGE_BYTES)
            .max_encoding_message_size(limits::MAX_EXCHANGE_BYTES)
    }

    /// Links this worker with these peers and with no others; this worker itself may be among them. To be
    /// called with each new assignment, on a tokio runtime. Links to peers that stay are not touched: they
    /// move on when the peer has moved, and begin anew when it has other tasks. A peer that an older
    /// assignment places elsewhere stays where it is.
    pub fn set_peers(&self, peers: &[Peer]) {
        let own = self.link.config.worker;
        let peers: Vec<&Peer> = peers.iter().filter(|peer| peer.worker != own).collect();
        let named: HashSet<WorkerIdx> = peers.iter().map(|peer| peer.worker).collect();
        let known: Vec<WorkerIdx> = self.link.peers.iter().map(|entry| *entry.key()).collect();
        for worker in known.into_iter().filter(|worker| !named.contains(worker)) {
            self.unlink(worker);
        }
        for peer in peers {
            let target = Target {
                address: peer.address.clone(),
                placement_epoch: peer.placement_epoch,
            };
            let linked = self.link.peers.get(&peer.worker);
            let same_tasks = linked.as_ref().map(|linked| linked.tasks == peer.tasks);
            let state = linked.map(|linked| linked.peer.clone());
            match (state, same_tasks) {
                (Some(state), Some(true)) => {
                    state.place(target, &*self.link.ports.events);
                }
                (Some(state), _) => {
                    let seen = state.place(target.clone(), &*self.link.ports.events);
                    if !matches!(seen, Seen::Stale { .. }) {
                        state.end.cancel();
                        // What is known of its copies stays known.
                        self.link_with(peer, target, state.fence());
                    }
                }
                (None, _) => {
                    let mut fence = PeerFence::default();
                    fence.expect_epoch(peer.placement_epoch);
                    self.link_with(peer, target, fence);
                }
            }
        }
    }

    /// Returns the state of each link, by peer.
    #[must_use]
    pub fn status(&self) -> Vec<LinkStatus> {
        let peers: Vec<Arc<PeerState>> = self
            .link
            .peers
            .iter()
            .map(|entry| entry.value().peer.clone())
            .collect();
        let mut status: Vec<LinkStatus> = peers.iter().map(|peer| peer.status()).collect();
        status.sort_unstable_by_key(|link| link.peer);
        status
    }

    /// Returns how many streams were refused at their hello: by other topologies, old copies, strangers.
    #[must_use]
    pub fn n_refused(&self) -> u64 {
        self.link.n_refused.load(Ordering::Relaxed)
    }

    /// Ends all links: what isn't confirmed is reported as lost. Returns when their async tasks have ended.
    pub async fn end(&self) {
        self.link.shutdown.cancel();
        self.link.tasks.close();
        self.link.tasks.wait().await;
    }

    fn unlink(&self, worker: WorkerIdx) {
        let Some((_, linked)) = self.link.peers.remove(&worker) else {
            return;
        };
        linked.peer.end.cancel();
        let ended = linked.peer.fence().newest();
        self.link.ports.events.peer_moved(worker, ended);
    }

    fn link_with(&self, peer: &Peer, target: Target, fence: PeerFence) {
        let (link, config) = (&self.link, &self.link.config);
        let leads_there = |task: &TaskId| peer.tasks.contains(task);
        let outlets: Vec<_> = link
            .ports
            .outlets
            .iter()
            .filter(|(edge, _)| leads_there(&edge.reader))
            .cloned()
            .collect();
        let ack_outlets: Vec<_> = link
            .ports
            .ack_outlets
            .iter()
            .filter(|(owner, _)| leads_there(owner))
            .cloned()
            .collect();
        let edges: Vec<EdgeId> = outlets.iter().map(|(edge, _)| *edge).collect();
        let inlets: Vec<EdgeId> = link.ports.inlets.iter().map(|(edge, _)| *edge).collect();
        let schemas = &config.schemas;
        let mut sender = DataSender::new(&edges, schemas.clone(), config.max_tuple_bytes);
        for (edge_idx, edge) in edges.iter().enumerate() {
            sender.repeat_ends(edge_idx, link.ends.of(*edge));
        }
        let receiver = DataReceiver::new(
            &inlets,
            schemas.clone(),
            config.window_bytes,
            config.max_tuple_bytes,
        );
        let end = link.shutdown.child_token();
        let state = Arc::new(PeerState::new(peer.worker, target, fence, receiver, end));
        let linked = Linked {
            tasks: peer.tasks.clone(),
            peer: state.clone(),
        };
        link.peers.insert(peer.worker, linked);
        let outgoing = Outgoing::new(link.clone(), state, sender, outlets, ack_outlets);
        link.tasks.spawn(outgoing.run());
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links")
            .field("worker", &self.link.config.worker)
            .field("n_peers", &self.link.peers.len())
            .finish_non_exhaustive()
    }
}
