//! Numbers from a source with checkpoints over bolts to sinks, and an oracle that counts them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use squall_core::{
    Activity, Bolt, ComponentError, Emitter, Failure, FailureReason, Fence, MessageId, Outputs,
    Registry, Result, Spout, SpoutEmitter, StoreError, TaskContext, TopologyBuilder, TopologySpec,
    Tuple, Write,
};
use tokio::sync::oneshot;
use tokio::time::interval;

/// Knows what was seen, over all incarnations.
#[derive(Clone, Default)]
pub(crate) struct Oracle(Arc<Noted>);

#[derive(Default)]
struct Noted {
    /// How often each number reached a sink.
    seen: Mutex<BTreeMap<u64, u64>>,
    /// How many numbers there are to be emitted.
    n_numbers: AtomicU64,
    n_timed_out: AtomicU64,
    n_lost: AtomicU64,
    n_spouts_opened: AtomicU64,
    /// A worker was killed: its source waits for nothing, and no other can tell whether it was its own.
    killed: AtomicBool,
    /// Sinks hold their threads.
    blocked: AtomicBool,
    /// The source can't go on.
    broken: AtomicBool,
    /// Where sources began, and the fences they were told.
    resumed: Mutex<Vec<(u64, Fence)>>,
}

impl Oracle {
    /// Lets the source emit up to so many numbers.
    pub(crate) fn allow(&self, n_numbers: u64) {
        self.0.n_numbers.store(n_numbers, Ordering::SeqCst);
    }

    /// Returns how many different numbers were seen.
    pub(crate) fn n_seen(&self) -> u64 {
        self.0.seen.lock().unwrap().len() as u64
    }

    /// Returns how often numbers were seen that had been before.
    pub(crate) fn n_duplicates(&self) -> u64 {
        self.0.seen.lock().unwrap().values().map(|n| n - 1).sum()
    }

    pub(crate) fn n_timed_out(&self) -> u64 {
        self.0.n_timed_out.load(Ordering::SeqCst)
    }

    pub(crate) fn n_lost(&self) -> u64 {
        self.0.n_lost.load(Ordering::SeqCst)
    }

    pub(crate) fn n_spouts_opened(&self) -> u64 {
        self.0.n_spouts_opened.load(Ordering::SeqCst)
    }

    /// Has the sinks hold their threads, or lets them go on.
    pub(crate) fn block(&self, blocked: bool) {
        self.0.blocked.store(blocked, Ordering::SeqCst);
    }

    /// Has sources close without waiting for their last save.
    pub(crate) fn kill(&self) {
        self.0.killed.store(true, Ordering::SeqCst);
    }

    /// Has the source give up.
    pub(crate) fn break_source(&self) {
        self.0.broken.store(true, Ordering::SeqCst);
    }

    /// Returns where sources have begun.
    pub(crate) fn resumed(&self) -> Vec<u64> {
        self.0
            .resumed
            .lock()
            .unwrap()
            .iter()
            .map(|(from, _)| *from)
            .collect()
    }

    /// Returns the components.
    pub(crate) fn registry(&self) -> Arc<Registry> {
        let mut registry = Registry::new();
        let (of_source, of_sink) = (self.clone(), self.clone());
        registry.spout("numbers", move |(): ()| Ok(Numbers::new(of_source.clone())));
        registry.bolt("pass", |(): ()| Ok(Pass));
        registry.bolt("sink", move |(): ()| Ok(Sink(of_sink.clone())));
        Arc::new(registry)
    }
}

/// Makes the topology: one source, three bolts that pass numbers on, two sinks by the number.
pub(crate) fn topology() -> TopologySpec {
    let mut topology = TopologyBuilder::new("numbers");
    topology.settings().max_spout_pending = 500;
    topology.spout("in", "numbers", ()).unwrap();
    topology
        .bolt("pass", "pass", ())
        .unwrap()
        .parallelism(3)
        .shuffle("in");
    topology
        .bolt("sink", "sink", ())
        .unwrap()
        .parallelism(2)
        .fields("pass", ["n"]);
    topology.build()
}

struct Pass;

impl Bolt for Pass {
    fn outputs(&self) -> Outputs {
        Outputs::fields(["n"])
    }

    fn execute(&mut self, input: &Tuple, out: &mut Emitter<'_>) -> Result<()> {
        Ok(out.emit(input.values())?)
    }
}

struct Sink(Oracle);

impl Bolt for Sink {
    fn execute(&mut self, input: &Tuple, _: &mut Emitter<'_>) -> Result<()> {
        while self.0.0.blocked.load(Ordering::SeqCst) {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let number = u64::try_from(input.i64("n")?)?;
        *self.0.0.seen.lock().unwrap().entry(number).or_default() += 1;
        Ok(())
    }
}

/// Emits numbers, each until it is acked, from where its checkpoint is.
struct Numbers {
    oracle: Oracle,
    progress: Arc<Mutex<Progress>>,
    retries: Vec<u64>,
    /// Has the last checkpoint saved.
    stop: Option<Stop>,
}

/// Is answered when all is saved.
type Stop = oneshot::Sender<SyncSender<()>>;

/// What the source and what saves its checkpoint share.
#[derive(Default)]
struct Progress {
    /// The next number; `None` until the checkpoint was read.
    next: Option<u64>,
    in_flight: BTreeSet<u64>,
}

impl Progress {
    /// All numbers below are acked.
    fn checkpoint(&self) -> Option<u64> {
        self.in_flight.first().copied().or(self.next)
    }
}

impl Numbers {
    fn new(oracle: Oracle) -> Self {
        Self {
            oracle,
            progress: Arc::default(),
            retries: Vec::new(),
            stop: None,
        }
    }
}

impl Spout for Numbers {
    fn outputs(&self) -> Outputs {
        Outputs::fields(["n"])
    }

    fn open(&mut self, ctx: &mut TaskContext) -> Result<()> {
        self.oracle.0.n_spouts_opened.fetch_add(1, Ordering::SeqCst);
        let (progress, oracle) = (self.progress.clone(), self.oracle.clone());
        let (stop, stopped) = oneshot::channel();
        self.stop = Some(stop);
        ctx.spawn("checkpoint", save(ctx.clone(), progress, oracle, stopped));
        Ok(())
    }

    fn close(&mut self) {
        let (answer, answered) = sync_channel(1);
        if let Some(stop) = self.stop.take()
            && stop.send(answer).is_ok()
        {
            let mut patience = 500;
            while !self.oracle.0.killed.load(Ordering::SeqCst)
                && patience > 0
                && answered.recv_timeout(Duration::from_millis(20))
                    == Err(RecvTimeoutError::Timeout)
            {
                patience -= 1;
            }
        }
    }

    fn next_tuple(&mut self, out: &mut SpoutEmitter<'_>) -> Result<Activity> {
        if self.oracle.0.broken.load(Ordering::SeqCst) {
            return Err(ComponentError::from("the stream is gone").permanent());
        }
        let mut progress = self.progress.lock().unwrap();
        let Some(next) = progress.next else {
            return Ok(Activity::Idle);
        };
        let number = match self.retries.pop() {
            Some(number) => number,
            None if next < self.oracle.0.n_numbers.load(Ordering::SeqCst) => {
                progress.next = Some(next + 1);
                progress.in_flight.insert(next);
                next
            }
            None => return Ok(Activity::IdleFor(Duration::from_millis(5))),
        };
        drop(progress);
        out.tracked(MessageId(number))
            .emit([i64::try_from(number)?])?;
        Ok(Activity::Emitted)
    }

    fn ack(&mut self, id: MessageId) {
        self.progress.lock().unwrap().in_flight.remove(&id.0);
    }

    fn fail(&mut self, id: MessageId, why: &Failure) {
        match why.reason {
            FailureReason::TimedOut => &self.oracle.0.n_timed_out,
            _ => &self.oracle.0.n_lost,
        }
        .fetch_add(1, Ordering::SeqCst);
        self.retries.push(id.0);
    }
}

/// Reads the checkpoint, and then saves it whenever it has moved.
async fn save(
    ctx: TaskContext,
    progress: Arc<Mutex<Progress>>,
    oracle: Oracle,
    mut stopped: oneshot::Receiver<SyncSender<()>>,
) {
    const KEY: &str = "test/numbers/0";
    let store = ctx.checkpoints().clone();
    let mut version = None;
    let mut saved = 0;
    let read = |value: &[u8]| u64::from_le_bytes(value.try_into().unwrap());
    let mut ticks = interval(Duration::from_millis(50));
    loop {
        ticks.tick().await;
        if let Ok(found) = store.load(KEY).await {
            if let Some(entry) = found {
                (version, saved) = (Some(entry.version), read(&entry.value));
            }
            break;
        }
    }
    oracle.0.resumed.lock().unwrap().push((saved, ctx.fence()));
    progress.lock().unwrap().next = Some(saved);
    ctx.waker().wake();
    let mut answer: Option<SyncSender<()>> = None;
    loop {
        tokio::select! {
            stop = &mut stopped, if answer.is_none() => match stop {
                Ok(stop) => answer = Some(stop),
                Err(_) => return,
            },
            _ = ticks.tick() => {}
        }
        let checkpoint = progress.lock().unwrap().checkpoint();
        let Some(checkpoint) = checkpoint.filter(|checkpoint| *checkpoint != saved) else {
            if let Some(answer) = answer.take() {
                answer.send(()).ok();
                return;
            }
            continue;
        };
        let write = Write {
            key: KEY.to_owned(),
            expected: version,
            value: Some(checkpoint.to_le_bytes().to_vec()),
        };
        match store.commit(ctx.fence(), vec![write]).await {
            Ok(versions) => (version, saved) = (Some(versions[0]), checkpoint),
            Err(StoreError::Conflict { .. }) => {
                // An answer was lost on the way: the write was ours.
                let entry = store.load(KEY).await.unwrap().unwrap();
                assert_eq!(entry.fence, ctx.fence());
                (version, saved) = (Some(entry.version), read(&entry.value));
            }
            Err(StoreError::Fenced { .. }) => return,
            Err(_) => {}
        }
    }
}
