//! A nimbus in this process, and callers of it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use squall_core::{BoxFuture, TopologyId};
use squall_daemon::shutdown::{Shutdown, ShutdownBounds, Signals};
use squall_nimbus::{Nimbus, NimbusConfig, NimbusError, Stores};
use squall_proto::wire::blob_client::BlobClient;
use squall_proto::wire::checkpoints_client::CheckpointsClient;
use squall_proto::wire::coordination_client::CoordinationClient;
use squall_proto::wire::nimbus_client::NimbusClient;
use squall_proto::{
    Describe, Description, Handshake, Kill, Planned, Refusal, Sha256, Submit, SupervisorInfo,
    TopologySummary, UploadHeader, UploadPart, wire,
};
use squall_store::blob::{BlobHash, BlobStore, BlobStoreConfig};
use squall_store::cluster::{
    ClusterError, ClusterStore, LeaderEpoch, MemoryCluster, Outcome, Page, Revision, Stored, Txn,
    Watch,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Channel;

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A nimbus that runs, and what it keeps things in.
pub(crate) struct Bench {
    pub(crate) store: Arc<MemoryCluster>,
    /// Has the next commit performed and its answer lost.
    pub(crate) loses_answer: Arc<AtomicBool>,
    pub(crate) blobs: BlobStore,
    pub(crate) config: NimbusConfig,
    pub(crate) running: Option<Running>,
    _dir: TempDir,
}

/// One life of nimbus.
pub(crate) struct Running {
    pub(crate) address: String,
    http_address: String,
    _signals: mpsc::Sender<squall_daemon::shutdown::Signal>,
    scope: squall_daemon::shutdown::Scope,
    ended: JoinHandle<squall_daemon::shutdown::Ended>,
    outcome: oneshot::Receiver<Result<(), NimbusError>>,
}

impl Bench {
    /// Starts a nimbus with empty stores.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut NimbusConfig)) -> Self {
        let dir = TempDir::new().unwrap();
        let blobs = BlobStoreConfig {
            min_free_bytes: 0,
            ..BlobStoreConfig::default()
        };
        let mut config = NimbusConfig {
            port: 0,
            http_port: 0,
            ..NimbusConfig::default()
        };
        change(&mut config);
        let mut bench = Self {
            store: Arc::new(MemoryCluster::new()),
            loses_answer: Arc::default(),
            blobs: BlobStore::open(dir.path(), blobs).unwrap(),
            config,
            running: None,
            _dir: dir,
        };
        bench.start().await;
        bench
    }

    pub(crate) async fn start(&mut self) {
        let shutdown = Shutdown::new(ShutdownBounds::default());
        let scope = shutdown.scope().clone();
        let stores = Stores {
            cluster: Arc::new(Lossy {
                inner: Arc::clone(&self.store),
                loses_answer: Arc::clone(&self.loses_answer),
            }),
            blobs: self.blobs.clone(),
        };
        let nimbus = Nimbus::start_with(self.config.clone(), stores, scope.clone())
            .await
            .unwrap();
        let (address, http_address) = (nimbus.address(), nimbus.http_address());
        // After a restart it is found where it was.
        self.config.port = address.port();
        self.config.http_port = http_address.port();
        let (tell, outcome) = oneshot::channel();
        scope.spawn("nimbus", async move {
            tell.send(nimbus.run().await).ok();
        });
        let (signals, received) = mpsc::channel(1);
        let ended = tokio::spawn(shutdown.run(Signals::from_channel(received)));
        self.running = Some(Running {
            address: address.to_string(),
            http_address: http_address.to_string(),
            _signals: signals,
            scope,
            ended,
            outcome,
        });
    }

    /// Ends this life of nimbus; it must end in time, and well.
    pub(crate) async fn stop(&mut self) {
        let running = self.running.take().unwrap();
        running.scope.end_process("the test is over");
        let ended = timeout(PATIENCE, running.ended).await.unwrap().unwrap();
        assert!(ended.is_clean(), "{ended:?}");
        running.outcome.await.unwrap().unwrap();
    }

    /// Waits until nimbus has ended by itself.
    pub(crate) async fn outcome(&mut self) -> Result<(), NimbusError> {
        let running = self.running.as_mut().unwrap();
        timeout(PATIENCE, &mut running.outcome)
            .await
            .unwrap()
            .unwrap()
    }

    pub(crate) async fn channel(&self) -> Channel {
        let running = self.running.as_ref().unwrap();
        let endpoint = Channel::from_shared(format!("http://{}", running.address)).unwrap();
        endpoint.connect().await.unwrap()
    }

    pub(crate) async fn operator(&self) -> Operator {
        Operator::new(self.channel().await)
    }

    pub(crate) async fn coordination(&self) -> CoordinationClient<Channel> {
        CoordinationClient::new(self.channel().await).max_decoding_message_size(64 << 20)
    }

    pub(crate) async fn checkpoints(&self) -> CheckpointsClient<Channel> {
        CheckpointsClient::new(self.channel().await).max_decoding_message_size(16 << 20)
    }

    /// Fetches a page of the HTTP server: its status line and its body.
    pub(crate) async fn http(&self, path: &str) -> (String, String) {
        let running = self.running.as_ref().unwrap();
        let mut stream = TcpStream::connect(&running.http_address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: nimbus\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }

    /// The value of a metric.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let (_, page) = self.http("/metrics").await;
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {page}"))
            .parse()
            .unwrap()
    }
}

/// A store that may perform a commit and then not say so.
struct Lossy {
    inner: Arc<MemoryCluster>,
    loses_answer: Arc<AtomicBool>,
}

impl ClusterStore for Lossy {
    fn get_many(
        &self,
        keys: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<Option<Stored>>, ClusterError>> {
        self.inner.get_many(keys)
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Page, ClusterError>> {
        self.inner.list(prefix, after)
    }

    fn commit(&self, txn: Txn) -> BoxFuture<'_, Result<Outcome, ClusterError>> {
        let committed = self.inner.commit(txn);
        if self.loses_answer.swap(false, Ordering::SeqCst) {
            return Box::pin(async move {
                drop(committed.await?);
                Err(ClusterError::Unknown("the disk went away".to_owned()))
            });
        }
        committed
    }

    fn raise_leader_epoch(&self) -> BoxFuture<'_, Result<LeaderEpoch, ClusterError>> {
        self.inner.raise_leader_epoch()
    }

    fn watch(&self, prefix: &str, after: Revision) -> Watch {
        self.inner.watch(prefix, after)
    }

    fn location(&self) -> String {
        self.inner.location()
    }
}

/// What an operator does.
pub(crate) struct Operator {
    pub(crate) nimbus: NimbusClient<Channel>,
    pub(crate) blobs: BlobClient<Channel>,
}

impl Operator {
    pub(crate) fn new(channel: Channel) -> Self {
        Self {
            nimbus: NimbusClient::new(channel.clone()),
            blobs: BlobClient::new(channel),
        }
    }

    pub(crate) async fn upload(&mut self, content: &[u8]) -> Result<bool, Refusal> {
        self.upload_as(hash(content), content.len() as u64, content)
            .await
    }

    pub(crate) async fn upload_as(
        &mut self,
        sha256: Sha256,
        size_bytes: u64,
        content: &[u8],
    ) -> Result<bool, Refusal> {
        let header = UploadHeader { sha256, size_bytes };
        let chunks = content
            .chunks(60_000)
            .map(|chunk| UploadPart::Chunk(chunk.to_vec().into()));
        let parts = std::iter::once(UploadPart::Header(header)).chain(chunks);
        let parts: Vec<wire::UploadRequest> = parts.map(Into::into).collect();
        let answer = self.blobs.upload(futures_util::stream::iter(parts)).await?;
        Ok(answer.into_inner().known)
    }

    pub(crate) async fn submit(&mut self, submit: Submit) -> Result<Planned, Refusal> {
        let answer = self
            .nimbus
            .submit(wire::SubmitRequest::from(submit))
            .await?;
        Ok(answer.into_inner().try_into()?)
    }

    /// Submits a topology of a program that it uploads first.
    pub(crate) async fn run(&mut self, name: &str, n_workers: u32) -> TopologyId {
        self.upload(&program()).await.unwrap();
        self.submit(submission(name, n_workers))
            .await
            .unwrap()
            .topology
            .unwrap()
    }

    pub(crate) async fn list(&mut self) -> Vec<TopologySummary> {
        let answer = self
            .nimbus
            .list_topologies(wire::ListTopologiesRequest {})
            .await
            .unwrap();
        answer.into_inner().try_into().unwrap()
    }

    pub(crate) async fn supervisors(&mut self) -> Vec<SupervisorInfo> {
        let answer = self
            .nimbus
            .list_supervisors(wire::ListSupervisorsRequest {})
            .await
            .unwrap();
        answer.into_inner().try_into().unwrap()
    }

    pub(crate) async fn describe(&mut self, name: &str) -> Result<Description, Refusal> {
        let describe = Describe {
            name: name.parse().unwrap(),
        };
        let answer = self
            .nimbus
            .describe(wire::DescribeRequest::from(describe))
            .await?;
        Ok(answer.into_inner().try_into()?)
    }

    pub(crate) async fn kill(&mut self, name: &str, wait: Duration) -> Result<TopologyId, Refusal> {
        let kill = Kill {
            name: name.parse().unwrap(),
            wait,
        };
        let answer = self.nimbus.kill(wire::KillRequest::from(kill)).await?;
        Ok(answer.into_inner().try_into()?)
    }

    /// Waits until the list says something.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        mut holds: impl FnMut(&[TopologySummary]) -> bool,
    ) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let list = self.list().await;
            if holds(&list) {
                return;
            }
            assert!(Instant::now() < deadline, "never came: {what}; {list:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

pub(crate) fn hash(content: &[u8]) -> Sha256 {
    Sha256::new(*BlobHash::of(content).as_bytes())
}

/// The smallest program for Linux that there is: it has one segment and does nothing.
pub(crate) fn program() -> Vec<u8> {
    let mut elf = vec![0u8; 64 + 56];
    elf[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    // Type, machine, version; then where the segments are, their size and number; then a segment to load.
    for (at, value) in [
        (16, 2),
        (18, 62),
        (20, 1),
        (32, 64),
        (52, 64),
        (54, 56),
        (56, 1),
        (64, 1),
    ] {
        elf[at] = value;
    }
    elf
}

pub(crate) fn handshake() -> Handshake {
    let glibc = "2.36".parse().unwrap();
    Handshake::ours("x86_64-unknown-linux-gnu", Some(glibc), None)
}

/// A spout and a bolt with as many tasks as there are workers.
pub(crate) fn submission(name: &str, n_workers: u32) -> Submit {
    let spec = format!(
        r#"{{"name": "{name}", "spouts": {{"in": {{"type": "x", "parallelism": {n_workers}}}}},
            "bolts": {{"count": {{"type": "y", "parallelism": {n_workers}, "inputs": [
                {{"component": "in", "grouping": {{"fields": ["word"]}}}}]}}}}}}"#
    );
    Submit {
        name: name.parse().unwrap(),
        spec_json: spec.into_bytes().into(),
        binary_sha256: hash(&program()),
        needs: squall_proto::BinaryNeeds {
            target: "x86_64-unknown-linux-gnu".to_owned(),
            glibc: None,
        },
        n_workers: NonZeroU32::new(n_workers),
        program: None,
        dry_run: false,
    }
}
