//! Two workers: 0 has the spout's task 0, 1 has the tasks 1 and 2 that read it. And the tools to run them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use squall_core::engine::{ComponentIdx, EdgeId, Inlet, Outlet, WorkerIdx};
use squall_core::{
    BoxFuture, Clock, ComponentId, Fence, ManualClock, Schema, StreamId, TaskId, TopologyId,
};
use squall_proto::{Address, Handshake, limits};
use squall_transport::wire::{ComponentSchemas, SchemaTable};
use squall_transport::{Dial, LinkConfig, LinkState, LinkStatus, Links, Peer, Ports};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, timeout};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Error, Server};

use crate::fakes::{FakeEvents, FakeInlet, Queue};

pub(crate) const SPOUT: TaskId = TaskId(0);
pub(crate) const READERS: [TaskId; 2] = [TaskId(1), TaskId(2)];
pub(crate) const WINDOW: usize = 64 * 1024;

pub(crate) const fn edge(reader: TaskId) -> EdgeId {
    EdgeId {
        emitter: ComponentIdx(0),
        reader,
    }
}

/// The streams of the test's topology; `extra` makes another one of it.
pub(crate) fn schemas(extra: &[&str]) -> Arc<SchemaTable> {
    let mut fields = vec!["number".into(), "filler".into()];
    fields.extend(extra.iter().map(|field| (*field).into()));
    let schema = Schema::new("in".into(), StreamId::default(), fields);
    let component = |name: &str, n_tasks, schemas| ComponentSchemas {
        component: ComponentId::new(name),
        n_tasks,
        schemas,
    };
    Arc::new(SchemaTable::new(&[
        component("in", 1, vec![schema]),
        component("out", 2, Vec::new()),
    ]))
}

/// Waits for a condition, but not for ever.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = timeout(Duration::from_secs(60), async {
        let mut tick = interval(Duration::from_millis(2));
        while !holds() {
            tick.tick().await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain: {what}");
}

/// Returns the seconds since `start`.
pub(crate) fn secs_since(start: Instant) -> f64 {
    start.elapsed().as_secs_f64()
}

struct TestDialer;

impl Dial for TestDialer {
    fn dial<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, Result<Channel, Error>> {
        Box::pin(async move {
            Endpoint::from_shared(format!("http://{address}"))?
                .connect_timeout(limits::CONNECT_DEADLINE)
                .tcp_nodelay(true)
                .http2_keep_alive_interval(limits::LINK_KEEP_ALIVE_INTERVAL)
                .keep_alive_timeout(limits::LINK_KEEP_ALIVE_TIMEOUT)
                .keep_alive_while_idle(true)
                .initial_stream_window_size(limits::LINK_WINDOW_BYTES)
                .initial_connection_window_size(limits::LINK_WINDOW_BYTES)
                .connect()
                .await
        })
    }
}

/// A worker: its links, and what a runtime would have at their ends.
pub(crate) struct Worker {
    pub(crate) idx: WorkerIdx,
    pub(crate) fence: Fence,
    pub(crate) links: Links,
    pub(crate) events: Arc<FakeEvents>,
    /// By reader: what is to be sent there.
    pub(crate) outlets: Vec<Arc<Queue<squall_core::engine::Item>>>,
    /// By reader: what has arrived.
    pub(crate) inlets: Vec<Arc<FakeInlet>>,
    pub(crate) address: SocketAddr,
    shutdown: CancellationToken,
    server: JoinHandle<Result<(), Error>>,
}

/// What differs between the workers of a test.
pub(crate) struct Setup {
    pub(crate) idx: u32,
    pub(crate) fence: Fence,
    pub(crate) topology: &'static str,
    pub(crate) schemas: Arc<SchemaTable>,
    pub(crate) touch_every: Duration,
    /// How long links wait before they are opened again: at first, and at most.
    pub(crate) reconnect: [Duration; 2],
    /// 0 for any.
    pub(crate) port: u16,
}

impl Setup {
    pub(crate) fn new(idx: u32, incarnation: u64) -> Self {
        Self {
            idx,
            fence: Fence {
                placement_epoch: 1,
                incarnation,
            },
            topology: "numbers-1",
            schemas: schemas(&[]),
            touch_every: LinkConfig::TOUCH_EVERY,
            reconnect: [5, 100].map(Duration::from_millis),
            port: 0,
        }
    }

    fn config(&self) -> LinkConfig {
        LinkConfig {
            topology: TopologyId::new(self.topology),
            worker: WorkerIdx(self.idx),
            fence: self.fence,
            handshake: Handshake::ours("x86_64-unknown-linux-gnu", None, None),
            schemas: self.schemas.clone(),
            max_tuple_bytes: 16 << 20,
            window_bytes: WINDOW,
            touch_every: self.touch_every,
            reconnect_base: self.reconnect[0],
            reconnect_cap: self.reconnect[1],
            seed: 1,
        }
    }

    /// Starts the worker.
    pub(crate) async fn start(self) -> Worker {
        let has_spout = self.idx == 0;
        let (mut outlets, mut inlets): (Vec<Arc<Queue<_>>>, Vec<Arc<FakeInlet>>) =
            Default::default();
        let lane = Arc::new(Queue::default());
        let mut events = FakeEvents::default();
        let mut ports = Ports {
            outlets: Vec::new(),
            inlets: Vec::new(),
            ack_outlets: Vec::new(),
            ack_inlets: Vec::new(),
            events: Arc::new(FakeEvents::default()),
            clock: Arc::new(ManualClock::new()) as Arc<dyn Clock>,
        };
        if has_spout {
            outlets = READERS.iter().map(|_| Arc::default()).collect();
            let named = READERS.iter().zip(&outlets);
            ports.outlets = named
                .map(|(reader, queue)| (edge(*reader), queue.clone() as Arc<dyn Outlet>))
                .collect();
            ports.ack_inlets = vec![(SPOUT, lane.clone())];
            events.ack_inlets.insert(SPOUT, lane);
        } else {
            inlets = READERS
                .iter()
                .map(|_| Arc::new(FakeInlet::new(16)))
                .collect();
            let named = READERS.iter().zip(&inlets);
            ports.inlets = named
                .map(|(reader, inlet)| (edge(*reader), inlet.clone() as Arc<dyn Inlet>))
                .collect();
            ports.ack_outlets = vec![(SPOUT, lane.clone())];
            events.ack_outlets.insert(SPOUT, lane);
        }
        let events = Arc::new(events);
        ports.events = events.clone();
        let shutdown = CancellationToken::new();
        let links = Links::new(self.config(), ports, Arc::new(TestDialer), &shutdown);
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = serve(listener, &links, shutdown.clone());
        Worker {
            idx: WorkerIdx(self.idx),
            fence: self.fence,
            links,
            events,
            outlets,
            inlets,
            address,
            shutdown,
            server,
        }
    }
}

fn serve(
    listener: TcpListener,
    links: &Links,
    shutdown: CancellationToken,
) -> JoinHandle<Result<(), Error>> {
    let service = links.service();
    tokio::spawn(async move {
        Server::builder()
            .max_concurrent_streams(limits::WORKER_STREAMS)
            .http2_keepalive_interval(Some(limits::LINK_KEEP_ALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(limits::LINK_KEEP_ALIVE_TIMEOUT))
            .initial_stream_window_size(limits::LINK_WINDOW_BYTES)
            .initial_connection_window_size(limits::LINK_WINDOW_BYTES)
            .add_service(service)
            .serve_with_incoming_shutdown(
                TcpIncoming::from(listener).with_nodelay(Some(true)),
                shutdown.cancelled_owned(),
            )
            .await
    })
}

impl Worker {
    /// Says how this worker is to be reached, at `address`.
    pub(crate) fn peer_at(&self, address: Address) -> Peer {
        let tasks = if self.idx == WorkerIdx(0) {
            vec![SPOUT]
        } else {
            READERS.to_vec()
        };
        Peer {
            worker: self.idx,
            address,
            placement_epoch: self.fence.placement_epoch,
            tasks,
        }
    }

    /// Says how this worker is to be reached, directly.
    pub(crate) fn peer(&self) -> Peer {
        self.peer_at(self.address.to_string().parse().unwrap())
    }

    /// Returns the state of its only link.
    pub(crate) fn link(&self) -> LinkStatus {
        let mut status = self.links.status();
        assert_eq!(status.len(), 1);
        status.remove(0)
    }

    pub(crate) fn is_up(&self) -> bool {
        self.link().state == LinkState::Up
    }

    /// Ends the worker as a crash would, but tidily; nothing is flushed.
    pub(crate) async fn kill(self) {
        self.shutdown.cancel();
        self.server.abort();
        self.server.await.ok();
        self.links.end().await;
    }
}

/// Links both workers directly.
pub(crate) async fn link(source: &Worker, sink: &Worker) {
    source.links.set_peers(&[sink.peer(), source.peer()]);
    sink.links.set_peers(&[source.peer(), sink.peer()]);
    until("both links are up", || source.is_up() && sink.is_up()).await;
}
