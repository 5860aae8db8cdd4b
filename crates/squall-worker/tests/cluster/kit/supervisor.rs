//! A supervisor that orders what a test wants, and notes what its workers say.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures_util::Stream;
use futures_util::stream::{StreamExt, unfold};
use squall_core::Fence;
use squall_core::engine::WorkerIdx;
use squall_proto::wire::local_server::{Local, LocalServer};
use squall_proto::{
    Address, Assignment, Handshake, Phase, Refusal, WorkerHello, WorkerOrder, WorkerReport,
    WorkerStatus, wire,
};
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use super::{CLUSTER, Serving};

type Orders = Pin<Box<dyn Stream<Item = Result<wire::WorkerOrder, Status>> + Send>>;

/// What is known of a worker.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) fence: Fence,
    pub(crate) status: Option<WorkerStatus>,
}

#[derive(Default)]
struct Book {
    /// The copy that is the present one, by worker.
    present: BTreeMap<WorkerIdx, Fence>,
    seen: BTreeMap<WorkerIdx, Seen>,
    hellos: Vec<(WorkerIdx, Fence)>,
    n_statuses: u64,
}

/// A supervisor of all workers of a topology.
#[derive(Clone)]
pub(crate) struct FakeSupervisor {
    book: Arc<Mutex<Book>>,
    orders: Arc<watch::Sender<WorkerOrder>>,
}

impl FakeSupervisor {
    pub(crate) fn new(assignment: Assignment) -> Self {
        let order = WorkerOrder {
            handshake: handshake(),
            assignment,
            phase: Phase::Starting,
            all_ready: false,
        };
        Self {
            book: Arc::default(),
            orders: Arc::new(watch::Sender::new(order)),
        }
    }

    /// Serves at an address until what is returned is dropped.
    pub(crate) fn serve(&self, address: &Address) -> Serving {
        let service = LocalServer::new(self.clone());
        Serving::start(address, move |incoming| {
            Server::builder().serve_with_incoming(service, incoming)
        })
    }

    /// Knows this copy of a worker, and no older one.
    pub(crate) fn expect(&self, worker: WorkerIdx, fence: Fence) {
        let mut book = self.book.lock().unwrap();
        book.present.insert(worker, fence);
        book.seen.remove(&worker);
        drop(book);
        self.update_readiness();
    }

    /// Changes what is ordered.
    pub(crate) fn order(&self, change: impl FnOnce(&mut WorkerOrder)) {
        self.orders.send_modify(change);
        self.update_readiness();
    }

    pub(crate) fn assignment(&self) -> Assignment {
        self.orders.borrow().assignment.clone()
    }

    pub(crate) fn status(&self, worker: u32) -> Option<WorkerStatus> {
        let book = self.book.lock().unwrap();
        book.seen.get(&WorkerIdx(worker))?.status.clone()
    }

    pub(crate) fn all_ready(&self) -> bool {
        self.orders.borrow().all_ready
    }

    /// Returns who has said hello, in order.
    pub(crate) fn hellos(&self) -> Vec<(u32, u64)> {
        let book = self.book.lock().unwrap();
        let hellos = book.hellos.iter();
        hellos
            .map(|(worker, fence)| (worker.0, fence.incarnation))
            .collect()
    }

    pub(crate) fn n_statuses(&self) -> u64 {
        self.book.lock().unwrap().n_statuses
    }

    fn update_readiness(&self) {
        let book = self.book.lock().unwrap();
        self.orders.send_if_modified(|order| {
            let version = order.assignment.version;
            let ready = order.assignment.workers.iter().all(|placement| {
                let status = book
                    .seen
                    .get(&placement.worker)
                    .and_then(|seen| seen.status.as_ref());
                status.is_some_and(|status| status.ready && status.assignment_version == version)
            });
            std::mem::replace(&mut order.all_ready, ready) != ready
        });
    }

    fn hello(&self, hello: &WorkerHello) -> Result<(), Refusal> {
        let mut book = self.book.lock().unwrap();
        book.hellos.push((hello.worker, hello.fence));
        match book.present.get(&hello.worker) {
            Some(present) if *present == hello.fence => {}
            Some(present) => return Err(Refusal::stale_fence(hello.fence, *present)),
            None => return Err(Refusal::unknown_worker("nobody has started this worker")),
        }
        let seen = Seen {
            fence: hello.fence,
            status: None,
        };
        book.seen.insert(hello.worker, seen);
        Ok(())
    }

    fn report(&self, hello: &WorkerHello, report: wire::WorkerReport) {
        let Ok(WorkerReport::Status(status)) = WorkerReport::try_from(report) else {
            panic!("not a status");
        };
        let mut book = self.book.lock().unwrap();
        book.n_statuses += 1;
        if let Some(seen) = book.seen.get_mut(&hello.worker)
            && seen.fence == hello.fence
        {
            seen.status = Some(status);
        }
        drop(book);
        self.update_readiness();
    }
}

#[tonic::async_trait]
impl Local for FakeSupervisor {
    type AttendStream = Orders;

    async fn attend(
        &self,
        request: Request<Streaming<wire::WorkerReport>>,
    ) -> Result<Response<Orders>, Status> {
        let mut reports = request.into_inner();
        let first = reports.message().await?.unwrap_or_default();
        let WorkerReport::Hello(hello) = WorkerReport::try_from(first)? else {
            return Err(Refusal::internal("no hello").into());
        };
        self.hello(&hello)?;
        let mut orders = self.orders.subscribe();
        orders.mark_changed();
        let supervisor = self.clone();
        tokio::spawn(async move {
            while let Some(Ok(report)) = reports.next().await {
                supervisor.report(&hello, report);
            }
        });
        let orders = unfold(orders, |mut orders| async {
            orders.changed().await.ok()?;
            let order = orders.borrow_and_update().clone();
            Some((Ok(order.into()), orders))
        });
        Ok(Response::new(Box::pin(orders)))
    }
}

pub(crate) fn handshake() -> Handshake {
    Handshake::ours("test", None, Some(CLUSTER))
}
