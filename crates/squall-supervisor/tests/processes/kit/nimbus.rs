//! A nimbus that gives the orders of the test and keeps what it is told.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream::{iter, unfold};
use futures_util::{Stream, StreamExt};
use sha2::Digest;
use squall_proto::{
    BlobChunk, ClusterId, FetchBlob, Handshake, Refusal, Sha256, SupervisorHello, SupervisorOrder,
    SupervisorReport, SupervisorStatus, TopologyOrder, wire,
};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use super::PATIENCE;

type Answer<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

pub(crate) const CLUSTER: ClusterId = ClusterId::new([7; 16]);

/// A nimbus and its server.
pub(crate) struct Nimbus {
    pub(crate) address: String,
    pub(crate) binary: Sha256,
    state: Arc<State>,
    server: Mutex<Option<AbortHandle>>,
}

struct State {
    content: Bytes,
    binary: Sha256,
    leader_epoch: AtomicU64,
    topologies: watch::Sender<Vec<TopologyOrder>>,
    status: watch::Sender<Option<SupervisorStatus>>,
    hello: watch::Sender<Option<SupervisorHello>>,
    /// What the last stream said first.
    first: watch::Sender<Option<SupervisorStatus>>,
    n_fetches: AtomicUsize,
}

impl Nimbus {
    pub(crate) async fn start(content: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let binary = Sha256::new(sha2::Sha256::digest(&content).into());
        let state = Arc::new(State {
            content: content.into(),
            binary,
            leader_epoch: AtomicU64::new(1),
            topologies: watch::Sender::new(Vec::new()),
            status: watch::Sender::new(None),
            hello: watch::Sender::new(None),
            first: watch::Sender::new(None),
            n_fetches: AtomicUsize::new(0),
        });
        let nimbus = Self {
            address,
            binary,
            state,
            server: Mutex::default(),
        };
        nimbus.serve(listener);
        nimbus
    }

    fn serve(&self, listener: TcpListener) {
        let service = Service(self.state.clone());
        let server = Server::builder()
            .add_service(wire::coordination_server::CoordinationServer::new(
                service.clone(),
            ))
            .add_service(wire::blob_server::BlobServer::new(service))
            .serve_with_incoming(TcpIncoming::from(listener));
        // Connections live in tasks of their own and end with this set.
        let mut tasks = JoinSet::new();
        let handle = tasks.spawn(async move { drop(server.await) });
        *self.server.lock().unwrap() = Some(handle);
        tasks.detach_all();
    }

    /// Says what shall run from now on.
    pub(crate) fn order(&self, topologies: Vec<TopologyOrder>) {
        self.state.topologies.send_replace(topologies);
    }

    /// Speaks as a leader of another epoch from the next order on.
    pub(crate) fn set_epoch(&self, epoch: u64) {
        self.state.leader_epoch.store(epoch, Ordering::SeqCst);
    }

    pub(crate) fn n_fetches(&self) -> usize {
        self.state.n_fetches.load(Ordering::SeqCst)
    }

    pub(crate) fn hello(&self) -> Option<SupervisorHello> {
        self.state.hello.borrow().clone()
    }

    /// Forgets what it was told.
    pub(crate) fn forget(&self) {
        self.state.status.send_replace(None);
    }

    pub(crate) fn first_status(&self) -> Option<SupervisorStatus> {
        self.state.first.borrow().clone()
    }

    pub(crate) fn status(&self) -> Option<SupervisorStatus> {
        self.state.status.borrow().clone()
    }

    /// Waits until a report has what is looked for.
    pub(crate) async fn until<T>(
        &self,
        what: &str,
        find: impl Fn(&SupervisorStatus) -> Option<T>,
    ) -> T {
        let mut status = self.state.status.subscribe();
        let found = |status: &Option<SupervisorStatus>| status.as_ref().and_then(&find);
        let wait = status.wait_for(|status| found(status).is_some());
        let seen = timeout(PATIENCE, wait).await;
        match seen {
            Ok(seen) => found(&seen.unwrap()).unwrap(),
            Err(_) => panic!("waited in vain for {what}: {:#?}", self.status()),
        }
    }
}

#[derive(Clone)]
struct Service(Arc<State>);

#[tonic::async_trait]
impl wire::coordination_server::Coordination for Service {
    type AttendStream = Answer<wire::SupervisorOrder>;

    async fn attend(
        &self,
        request: Request<Streaming<wire::SupervisorReport>>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        let mut reports = request.into_inner();
        let first = reports.message().await?.unwrap();
        let SupervisorReport::Hello(hello) = first.try_into()? else {
            return Err(Refusal::internal("no hello").into());
        };
        self.0.hello.send_replace(Some(hello));
        let state = self.0.clone();
        let mut first = true;
        tokio::spawn(async move {
            while let Ok(Some(report)) = reports.message().await {
                let SupervisorReport::Status(status) = report.try_into().unwrap() else {
                    panic!("a second hello");
                };
                if first {
                    state.first.send_replace(Some(status.clone()));
                }
                first = false;
                state.status.send_replace(Some(status));
            }
        });
        let mut topologies = self.0.topologies.subscribe();
        topologies.mark_changed();
        let state = self.0.clone();
        let orders = unfold((topologies, state), |(mut topologies, state)| async move {
            topologies.changed().await.ok()?;
            let order = SupervisorOrder {
                handshake: Handshake::ours("fake", None, Some(CLUSTER)),
                leader_epoch: state.leader_epoch.load(Ordering::SeqCst),
                topologies: topologies.borrow_and_update().clone(),
            };
            Some((Ok(order.into()), (topologies, state)))
        });
        Ok(Response::new(Box::pin(orders)))
    }
}

#[tonic::async_trait]
impl wire::blob_server::Blob for Service {
    type FetchStream = Answer<wire::FetchResponse>;

    async fn has(
        &self,
        _: Request<wire::HasRequest>,
    ) -> Result<Response<wire::HasResponse>, Status> {
        Err(Refusal::internal("nobody asks").into())
    }

    async fn upload(
        &self,
        _: Request<Streaming<wire::UploadRequest>>,
    ) -> Result<Response<wire::UploadResponse>, Status> {
        Err(Refusal::internal("nobody uploads").into())
    }

    async fn fetch(
        &self,
        request: Request<wire::FetchRequest>,
    ) -> Result<Response<Self::FetchStream>, Status> {
        let fetch = FetchBlob::try_from(request.into_inner())?;
        self.0.n_fetches.fetch_add(1, Ordering::SeqCst);
        if fetch.sha256 != self.0.binary {
            return Err(Refusal::unknown_blob(&fetch.sha256).into());
        }
        let content = self.0.content.clone();
        let chunk = wire::FetchResponse::from(BlobChunk {
            size_bytes: content.len() as u64,
            offset_bytes: fetch.offset_bytes,
            chunk: content.slice(usize::try_from(fetch.offset_bytes).unwrap()..),
        });
        Ok(Response::new(iter([Ok(chunk)]).boxed()))
    }
}
