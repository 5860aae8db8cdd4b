//! Rows of one word over a link on loopback, with acks: rows and bytes a second, and what encoding and
//! decoding take of it.
//!
//! `cargo bench -p squall-transport`; both ends and their fakes share the machine's cores.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench prints its figures, and may panic"
)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use squall_core::engine::{
    AckInlet, AckOutlet, Batch, ComponentIdx, Contribution, Cursor, Delivery, EdgeId, Inlet, Item,
    LinkEvents, Outlet, Refused, RootId, Roots, Run, Word, WorkerIdx,
};
use squall_core::{
    BoxFuture, Clock, ComponentId, Failure, Fence, ManualClock, Moment, Schema, StreamId, TaskId,
    TopologyId, Value,
};
use squall_proto::{Address, Handshake, limits};
use squall_transport::wire::{
    ComponentSchemas, Limits, SchemaTable, SectionBody, Sections, begin_payload, decode_rows,
    push_rows,
};
use squall_transport::{Dial, LinkConfig, LinkState, Links, Peer, Ports};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Error, Server};

/// Rows of one delivery.
const ROWS: u32 = 256;
/// Trees that are pending at most.
const MAX_PENDING: u64 = 20_000;
/// The tasks that read.
const READERS: [TaskId; 4] = [TaskId(1), TaskId(2), TaskId(3), TaskId(4)];
const SPOUT: TaskId = TaskId(0);

fn schemas() -> Arc<SchemaTable> {
    let schema = Schema::new("in".into(), StreamId::default(), vec!["word".into()]);
    let component = |name: &str, n_tasks, schemas| ComponentSchemas {
        component: ComponentId::new(name),
        n_tasks,
        schemas,
    };
    Arc::new(SchemaTable::new(&[
        component("in", 1, vec![schema]),
        component("count", 4, Vec::new()),
    ]))
}

const fn edge(reader: TaskId) -> EdgeId {
    EdgeId {
        emitter: ComponentIdx(0),
        reader,
    }
}

/// A delivery of words, so many of them under each root.
fn delivery(words_per_root: u32) -> Delivery {
    let words = [
        "the", "quick", "brown", "fox", "jumps", "over", "lazy", "dogs",
    ];
    let mut batch = Batch::new(schemas().get(0).unwrap().clone(), SPOUT);
    for word in words.iter().cycle().take(ROWS as usize) {
        batch.push(&mut vec![Value::from(*word)]);
    }
    let run = |slot| Run {
        batch_idx: 0,
        n_rows: words_per_root,
        roots: Roots::One(RootId {
            task: SPOUT,
            slot,
            generation: 1 << 50,
        }),
    };
    let runs = (0..ROWS / words_per_root).map(run).collect();
    let edges = (0..u64::from(ROWS)).map(|n| n * 0x9E37_79B9 + 1).collect();
    Delivery::new(vec![Arc::new(batch)], runs, edges, Moment::ZERO)
}

/// Emits the same delivery for ever, while the bound on pending rows leaves room.
struct Source {
    delivery: Delivery,
    pending: Arc<AtomicU64>,
    waker: Mutex<Option<Waker>>,
}

impl Outlet for Source {
    fn take(&self) -> Option<Item> {
        if self.pending.load(Ordering::Relaxed) >= MAX_PENDING {
            return None;
        }
        self.pending.fetch_add(u64::from(ROWS), Ordering::Relaxed);
        Some(Item::Rows(self.delivery.clone()))
    }

    fn set_waker(&self, waker: Waker) {
        *self.waker.lock().unwrap() = Some(waker);
    }
}

/// Counts the acks that come back, and lets the source go on.
struct Ledger {
    pending: Arc<AtomicU64>,
    acked: AtomicU64,
    sources: Vec<Arc<Source>>,
}

impl AckInlet for Ledger {
    fn contribute(&self, contributions: &mut Vec<Contribution>) {
        // The sink says one word for each row.
        let n_rows = contributions.len() as u64;
        contributions.clear();
        self.acked.fetch_add(n_rows, Ordering::Relaxed);
        self.pending.fetch_sub(n_rows, Ordering::Relaxed);
        for source in &self.sources {
            if let Some(waker) = &*source.waker.lock().unwrap() {
                waker.wake_by_ref();
            }
        }
    }
}

/// Executes what arrives on the spot: acks each row.
struct Sink {
    lane: Arc<Lane>,
}

#[derive(Default)]
struct Lane {
    words: Mutex<Vec<Contribution>>,
    waker: Mutex<Option<Waker>>,
}

impl Inlet for Sink {
    fn try_deliver(&self, item: Item) -> Result<(), Refused> {
        let Item::Rows(delivery) = item else {
            return Ok(());
        };
        let mut cursor = Cursor::new(&delivery);
        let mut words = self.lane.words.lock().unwrap();
        while let Some(place) = cursor.advance(&delivery) {
            std::hint::black_box(delivery.batches[place.batch_idx].row(place.row_idx));
            for (root, edge) in place.roots.as_slice().iter().zip(place.edges) {
                // Every row's own, so that nothing is merged and all are counted.
                let slot = u32::try_from(words.len()).unwrap();
                words.push(Contribution {
                    slot,
                    generation: root.generation,
                    word: Word::Xor(*edge),
                });
            }
        }
        drop(words);
        if let Some(waker) = &*self.lane.waker.lock().unwrap() {
            waker.wake_by_ref();
        }
        Ok(())
    }

    fn await_room(&self, _waker: &Waker) {}
}

impl AckOutlet for Lane {
    fn take(&self, into: &mut Vec<Contribution>) {
        into.append(&mut self.words.lock().unwrap());
    }

    fn set_waker(&self, waker: Waker) {
        *self.waker.lock().unwrap() = Some(waker);
    }
}

struct NoEvents;

impl LinkEvents for NoEvents {
    fn roots_lost(&self, _roots: &[RootId], _why: &Failure) {}

    fn roots_wait(&self, _roots: &[RootId]) {}

    fn peer_ended(&self, _peer: WorkerIdx, _fence: Fence) {}

    fn superseded(&self, _by: Fence) {}
}

struct Dialer;

impl Dial for Dialer {
    fn dial<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, Result<Channel, Error>> {
        Box::pin(async move {
            Endpoint::from_shared(format!("http://{address}"))?
                .tcp_nodelay(true)
                .initial_stream_window_size(limits::LINK_WINDOW_BYTES)
                .initial_connection_window_size(limits::LINK_WINDOW_BYTES)
                .connect()
                .await
        })
    }
}

async fn start(idx: u32, ports: Ports) -> (Links, Peer) {
    let config = LinkConfig {
        topology: TopologyId::new("bench-1"),
        worker: WorkerIdx(idx),
        fence: Fence {
            placement_epoch: 1,
            incarnation: 1,
        },
        handshake: Handshake::ours("x86_64-unknown-linux-gnu", None, None),
        schemas: schemas(),
        max_tuple_bytes: 16 << 20,
        window_bytes: LinkConfig::WINDOW_BYTES,
        touch_every: LinkConfig::TOUCH_EVERY,
        reconnect_base: LinkConfig::RECONNECT_BASE,
        reconnect_cap: LinkConfig::RECONNECT_CAP,
        seed: 1,
    };
    let links = Links::new(config, ports, Arc::new(Dialer), &CancellationToken::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = Server::builder()
        .initial_stream_window_size(limits::LINK_WINDOW_BYTES)
        .initial_connection_window_size(limits::LINK_WINDOW_BYTES)
        .add_service(links.service())
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
    tokio::spawn(server);
    let tasks = if idx == 0 {
        vec![SPOUT]
    } else {
        READERS.to_vec()
    };
    let peer = Peer {
        worker: WorkerIdx(idx),
        address: address.parse().unwrap(),
        placement_epoch: 1,
        tasks,
    };
    (links, peer)
}

fn ports() -> Ports {
    Ports {
        outlets: Vec::new(),
        inlets: Vec::new(),
        ack_outlets: Vec::new(),
        ack_inlets: Vec::new(),
        events: Arc::new(NoEvents),
        clock: Arc::new(ManualClock::new()) as Arc<dyn Clock>,
    }
}

async fn loopback(words_per_root: u32, for_secs: f64) {
    let pending = Arc::new(AtomicU64::new(0));
    let sources: Vec<Arc<Source>> = READERS
        .iter()
        .map(|_| {
            Arc::new(Source {
                delivery: delivery(words_per_root),
                pending: pending.clone(),
                waker: Mutex::default(),
            })
        })
        .collect();
    let ledger = Arc::new(Ledger {
        pending,
        acked: AtomicU64::new(0),
        sources: sources.clone(),
    });
    let outlets = READERS.iter().zip(sources);
    let source_ports = Ports {
        outlets: outlets
            .map(|(reader, source)| (edge(*reader), source as Arc<dyn Outlet>))
            .collect(),
        ack_inlets: vec![(SPOUT, ledger.clone())],
        ..ports()
    };
    let lane = Arc::new(Lane::default());
    let inlet = |reader: &TaskId| {
        let sink = Arc::new(Sink { lane: lane.clone() });
        (edge(*reader), sink as Arc<dyn Inlet>)
    };
    let sink_ports = Ports {
        inlets: READERS.iter().map(inlet).collect(),
        ack_outlets: vec![(SPOUT, lane.clone())],
        ..ports()
    };
    let (source, source_peer) = start(0, source_ports).await;
    let (sink, sink_peer) = start(1, sink_ports).await;
    source.set_peers(&[sink_peer]);
    sink.set_peers(&[source_peer]);
    let up = |links: &Links| {
        links
            .status()
            .iter()
            .all(|link| link.state == LinkState::Up)
    };
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    while !(up(&source) && up(&sink)) {
        tick.tick().await;
    }
    // Warm, then measure.
    tokio::time::sleep_until(Instant::now() + Duration::from_millis(500)).await;
    let (before, start) = (ledger.acked.load(Ordering::Relaxed), Instant::now());
    let bytes = |links: &Links| links.status()[0].bytes_sent;
    let frames = |links: &Links| links.status()[0].frames_sent;
    let (bytes_before, frames_before) = (bytes(&source), frames(&source));
    let (acks_before, ack_frames_before) = (bytes(&sink), frames(&sink));
    tokio::time::sleep_until(start + Duration::from_secs_f64(for_secs)).await;
    let secs = start.elapsed().as_secs_f64();
    let n_rows = (ledger.acked.load(Ordering::Relaxed) - before) as f64;
    let n_bytes = (bytes(&source) - bytes_before) as f64;
    let ack_bytes = (bytes(&sink) - acks_before) as f64;
    println!(
        "{words_per_root} words a root: {:.2} M rows/s acked, {:.0} MB/s of rows in frames of {:.1} KiB, \
         {:.0} MB/s of acks in frames of {:.1} KiB",
        n_rows / secs / 1e6,
        n_bytes / secs / 1e6,
        n_bytes / (frames(&source) - frames_before) as f64 / 1024.0,
        ack_bytes / secs / 1e6,
        ack_bytes / (frames(&sink) - ack_frames_before) as f64 / 1024.0,
    );
    source.end().await;
    sink.end().await;
}

fn codec(words_per_root: u32, n_rounds: u32) {
    let (table, delivery) = (schemas(), delivery(words_per_root));
    let free = Limits {
        max_len: usize::MAX,
        max_cost: usize::MAX,
        free_first: false,
    };
    let mut payload = Vec::new();
    let n_rows = f64::from(n_rounds) * f64::from(ROWS);
    let start = Instant::now();
    for _ in 0..n_rounds {
        begin_payload(&mut payload);
        let mut cursor = Cursor::new(&delivery);
        let rows = (&delivery, &mut cursor);
        std::hint::black_box(push_rows(
            &mut payload,
            edge(SPOUT),
            rows,
            (&table, free),
            |_| {},
        ));
    }
    let encode = start.elapsed().as_secs_f64() / n_rows * 1e9;
    let start = Instant::now();
    for _ in 0..n_rounds {
        for section in Sections::new(&payload).unwrap() {
            if let SectionBody::Rows(body) = section.unwrap().body {
                std::hint::black_box(decode_rows(body, &table, Moment::ZERO).unwrap());
            }
        }
    }
    let decode = start.elapsed().as_secs_f64() / n_rows * 1e9;
    let bytes = payload.len() as f64 / f64::from(ROWS);
    println!(
        "{words_per_root} words a root: {encode:.0} ns to encode a row, {decode:.0} ns to decode it, {bytes:.1} bytes"
    );
}

fn main() {
    // `cargo test` runs benches as well, to see that they work.
    let measure = std::env::args().any(|arg| arg == "--bench");
    let (n_rounds, for_secs) = if measure { (40_000, 5.0) } else { (10, 0.2) };
    for words_per_root in [1, 8] {
        codec(words_per_root, n_rounds);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    for words_per_root in [1, 8] {
        runtime.block_on(loopback(words_per_root, for_secs));
    }
}
