//! Collects the commits of many workers and writes them together.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use squall_core::{Fence, MAX_WRITES_PER_COMMIT, StoreError, Write};
use squall_daemon::fail_point;
use squall_daemon::shutdown::Scope;
use squall_proto::bounds::MAX_COMMIT_BYTES;
use squall_proto::limits::CHECKPOINT_DEADLINE;
use squall_proto::{CheckpointOutcome, Refusal};
use squall_store::cluster::ClusterCheckpoints;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use crate::metrics::NimbusMetrics;

/// How many requests may wait.
const MAX_WAITING: usize = 4096;
/// How many bytes of keys and values may wait.
const MAX_WAITING_BYTES: usize = 64 << 20;

/// One request's commits: performed in one transaction, so that none of them is stored when the call fails.
struct Job {
    fence: Fence,
    commits: Vec<Vec<Write>>,
    n_bytes: usize,
    reply: oneshot::Sender<Result<Vec<CheckpointOutcome>, Refusal>>,
    _room: OwnedSemaphorePermit,
}

/// Writes what has been collected, at most once in each interval.
pub(crate) struct CheckpointDesk {
    store: ClusterCheckpoints,
    interval: Duration,
    metrics: NimbusMetrics,
    jobs: mpsc::Receiver<Job>,
}

/// Takes commits to the desk.
#[derive(Clone)]
pub(crate) struct DeskHandle {
    jobs: mpsc::Sender<Job>,
    room: Arc<Semaphore>,
}

impl CheckpointDesk {
    pub(crate) fn new(
        store: ClusterCheckpoints,
        interval: Duration,
        metrics: NimbusMetrics,
    ) -> (Self, DeskHandle) {
        let (sender, jobs) = mpsc::channel(MAX_WAITING);
        let desk = Self {
            store,
            interval,
            metrics,
            jobs,
        };
        let handle = DeskHandle {
            jobs: sender,
            room: Arc::new(Semaphore::new(MAX_WAITING_BYTES)),
        };
        (desk, handle)
    }

    /// Works until the scope drains and what had come by then is written.
    pub(crate) async fn run(mut self, scope: Scope) {
        let mut next_at = Instant::now();
        let mut left: Option<Job> = None;
        loop {
            let first = match left.take() {
                Some(job) => job,
                None => tokio::select! {
                    biased;
                    job = self.jobs.recv() => match job {
                        Some(job) => job,
                        None => return,
                    },
                    () = scope.draining() => return,
                },
            };
            sleep_until(next_at).await;
            next_at = Instant::now() + self.interval;
            let mut batch = Batch::default();
            batch.push(first);
            while let Ok(job) = self.jobs.try_recv() {
                if !batch.has_room_for(&job) {
                    left = Some(job);
                    break;
                }
                batch.push(job);
            }
            self.write(batch).await;
        }
    }

    async fn write(&self, batch: Batch) {
        let (mut jobs, mut commits) = (Vec::new(), Vec::new());
        for job in batch.jobs {
            jobs.push((job.commits.len(), job.reply));
            commits.extend(job.commits.into_iter().map(|writes| (job.fence, writes)));
        }
        self.metrics.checkpoint_commits.inc();
        self.metrics.checkpoint_writes.inc_by(batch.n_writes as u64);
        let mut answers = self.store.commit_many(commits).await.into_iter();
        fail_point::reach(format_args!("checkpoints-stored"));
        for (n_commits, reply) in jobs {
            let own = answers
                .by_ref()
                .take(n_commits)
                .map(CheckpointOutcome::from_store);
            let outcomes: Result<Vec<CheckpointOutcome>, StoreError> = own.collect();
            for outcome in outcomes.iter().flatten() {
                if !matches!(outcome, CheckpointOutcome::Committed(_)) {
                    self.metrics.checkpoint_refusals.inc();
                }
            }
            // Who has gone will read what it stored.
            reply
                .send(outcomes.map_err(Refusal::from))
                .unwrap_or_default();
        }
    }
}

impl DeskHandle {
    /// Has commits performed.
    pub(crate) async fn commit(
        &self,
        fence: Fence,
        commits: Vec<Vec<Write>>,
    ) -> Result<Vec<CheckpointOutcome>, Refusal> {
        let n_bytes = commits.iter().flatten().map(n_bytes).sum::<usize>();
        let n_permits = u32::try_from(n_bytes.min(MAX_WAITING_BYTES)).unwrap_or(u32::MAX);
        let waited = timeout(CHECKPOINT_DEADLINE, async {
            let room = Arc::clone(&self.room).acquire_many_owned(n_permits).await;
            let room = room.map_err(|_| stopping())?;
            let (reply, answer) = oneshot::channel();
            let job = Job {
                fence,
                commits,
                n_bytes,
                reply,
                _room: room,
            };
            self.jobs.send(job).await.map_err(|_| stopping())?;
            answer.await.map_err(|_| stopping())?
        });
        let slow = |_| Refusal::unavailable("the store doesn't answer; what was asked may be done");
        waited.await.map_err(slow)?
    }
}

/// Jobs that fit into one transaction and don't touch each other's keys.
#[derive(Default)]
struct Batch {
    jobs: Vec<Job>,
    keys: HashSet<String>,
    n_bytes: usize,
    n_writes: usize,
}

impl Batch {
    fn has_room_for(&self, job: &Job) -> bool {
        let mut writes = job.commits.iter().flatten();
        let n_writes = self.n_writes + writes.clone().count();
        self.n_bytes + job.n_bytes <= MAX_COMMIT_BYTES
            && n_writes <= MAX_WRITES_PER_COMMIT
            && writes.all(|write| !self.keys.contains(&write.key))
    }

    fn push(&mut self, job: Job) {
        self.n_bytes += job.n_bytes;
        self.n_writes += job.commits.iter().map(Vec::len).sum::<usize>();
        let writes = job.commits.iter().flatten();
        self.keys.extend(writes.map(|write| write.key.clone()));
        self.jobs.push(job);
    }
}

fn n_bytes(write: &Write) -> usize {
    write.key.len() + write.value.as_ref().map_or(0, Vec::len)
}

fn stopping() -> Refusal {
    Refusal::unavailable("nimbus is stopping")
}
