//! Service `Supervisor`: the logs of this machine's workers, for nimbus.

mod reader;

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use squall_core::TopologyId;
use squall_core::engine::WorkerIdx;
use squall_proto::bounds::MAX_CHUNK_BYTES;
use squall_proto::worker_dir::LOG_FILE;
use squall_proto::{LogPiece, Refusal, TailWorkerLog, wire};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tonic::{Request, Response, Status};

use crate::hub::Hub;

use reader::{Lines, Reader};

/// How many logs are read at the same time.
const MAX_READERS: usize = 16;
/// How often a follower looks for more.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(200);

type Pieces = Pin<Box<dyn Stream<Item = Result<wire::TailLogResponse, Status>> + Send>>;

/// Serves logs.
#[derive(Clone, Debug)]
pub(crate) struct TailService {
    hub: Arc<Hub>,
    readers: Arc<Semaphore>,
}

impl TailService {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self {
            hub,
            readers: Arc::new(Semaphore::new(MAX_READERS)),
        }
    }
}

#[tonic::async_trait]
impl wire::supervisor_server::Supervisor for TailService {
    type TailLogStream = Pieces;

    async fn tail_log(
        &self,
        request: Request<wire::TailWorkerLogRequest>,
    ) -> Result<Response<Pieces>, Status> {
        let tail = TailWorkerLog::try_from(request.into_inner())?;
        self.hub
            .leader()
            .judge(Some(tail.cluster), tail.leader_epoch)?;
        let permit = self.readers.clone().try_acquire_owned();
        let permit = permit.map_err(|_| Refusal::busy("readers of logs", MAX_READERS))?;
        let directory = self
            .hub
            .worker_dir(&tail.topology, tail.worker)
            .ok_or_else(|| {
                let (topology, worker) = (&tail.topology, tail.worker);
                Refusal::unknown_worker(format!("worker {worker} of {topology} never ran here"))
            })?;
        let following = Following::open(directory.join(LOG_FILE), tail, permit).await?;
        Ok(Response::new(Box::pin(unfold(following, Following::next))))
    }
}

/// One reader on its way.
struct Following {
    topology: TopologyId,
    worker: WorkerIdx,
    /// Away while it reads.
    reader: Option<Reader>,
    /// Read and not sent.
    text: Bytes,
    follow: bool,
    /// There was nothing new at the last look.
    is_waiting: bool,
    ticks: Interval,
    _permit: OwnedSemaphorePermit,
}

impl Following {
    async fn open(
        path: PathBuf,
        tail: TailWorkerLog,
        permit: OwnedSemaphorePermit,
    ) -> Result<Self, Status> {
        let lines = Lines {
            word: tail.component.map(|component| component.to_string()),
            n_lines: usize::try_from(tail.n_lines).unwrap_or(usize::MAX),
        };
        let opened = spawn_blocking(move || Reader::open(&path, &lines)).await;
        let (reader, text) = flat(opened)?;
        let mut ticks = interval(FOLLOW_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            topology: tail.topology,
            worker: tail.worker,
            reader: Some(reader),
            text: text.into(),
            follow: tail.follow,
            is_waiting: false,
            ticks,
            _permit: permit,
        })
    }

    async fn next(mut self) -> Option<(Result<wire::TailLogResponse, Status>, Self)> {
        while self.text.is_empty() {
            // The reader is away only when reading it failed: that was the last word.
            let mut reader = self.reader.take().filter(|_| self.follow)?;
            if self.is_waiting {
                self.ticks.tick().await;
            }
            let read = spawn_blocking(move || reader.more().map(|text| (reader, text))).await;
            match flat(read) {
                Ok((reader, text)) => {
                    self.reader = Some(reader);
                    self.is_waiting = text.is_none();
                    self.text = text.unwrap_or_default().into();
                }
                Err(status) => return Some((Err(status), self)),
            }
        }
        let n_bytes = self.text.len().min(MAX_CHUNK_BYTES);
        // Pieces end with lines where they can.
        let end = self.text.get(..n_bytes).and_then(|piece| {
            let end = piece.iter().rposition(|byte| *byte == b'\n');
            end.map(|end| end + 1)
        });
        let piece = LogPiece {
            topology: self.topology.clone(),
            worker: self.worker,
            text: self.text.split_to(end.unwrap_or(n_bytes)),
            trouble: None,
        };
        Some((Ok(piece.into()), self))
    }
}

fn flat<T>(read: Result<std::io::Result<T>, tokio::task::JoinError>) -> Result<T, Status> {
    let read = read.map_err(std::io::Error::other).flatten();
    read.map_err(|error| Refusal::unavailable(format!("the log can't be read: {error}")).into())
}
