//! Stands in for the engine: asks a spout for tuples, gives verdicts, runs its async tasks on tokio.

use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};
use std::time::{Duration, UNIX_EPOCH};

use squall_core::engine::{Anchoring, Anchors, EmitTo, Output, TokenReport, TokenSink};
use squall_core::{
    AckToken, Activity, BoxFuture, CheckpointStore, Clock, ComponentError, EmitError, Failure,
    Fence, MessageId, Metrics, Moment, Outputs, Spawner, Spout, SpoutEmitter, Str, TaskContext,
    TaskId, TaskInfo, TaskServices, Value,
};
use squall_kinesis::{KinesisApi, KinesisConfig, KinesisSpout};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::fake::Fake;

/// How long a test waits for what has to come, in the clock's time.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a spout is run with.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) config: KinesisConfig,
    pub(crate) api: Option<Arc<dyn KinesisApi>>,
    pub(crate) store: Arc<dyn CheckpointStore>,
    pub(crate) fence: Fence,
    pub(crate) task_idx: usize,
    pub(crate) n_tasks: usize,
    pub(crate) wall: Wall,
}

/// The wall clock, in milliseconds since 1970.
pub(crate) type Wall = Arc<dyn Fn() -> u64 + Send + Sync>;

/// One emit.
#[derive(Clone, Debug)]
pub(crate) struct Emitted {
    pub(crate) id: MessageId,
    pub(crate) stream: String,
    fields: Vec<Str>,
    pub(crate) row: Vec<Value>,
}

/// A running spout.
pub(crate) struct Driver {
    spout: KinesisSpout,
    out: Recorder,
    woken: Arc<Woken>,
    spawner: Arc<Tasks>,
    pub(crate) metrics: Metrics,
    /// It has said that it is finished: an engine would have ended it.
    pub(crate) said_finished: bool,
}

impl Setup {
    /// Runs against the endpoint that the config names, in real time.
    pub(crate) fn real(config: KinesisConfig, store: Arc<dyn CheckpointStore>) -> Self {
        let wall = || u64::try_from(UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
        Self::new(config, store, None, Arc::new(wall))
    }

    /// Runs against the fake, in its time.
    pub(crate) fn fake(fake: &Arc<Fake>, store: Arc<dyn CheckpointStore>) -> Self {
        let api = Arc::clone(fake) as Arc<dyn KinesisApi>;
        let wall = Arc::clone(fake);
        let wall = Arc::new(move || wall.unix_ms());
        Self::new(KinesisConfig::new("web"), store, Some(api), wall)
    }

    fn new(
        config: KinesisConfig,
        store: Arc<dyn CheckpointStore>,
        api: Option<Arc<dyn KinesisApi>>,
        wall: Wall,
    ) -> Self {
        Self {
            config,
            api,
            store,
            wall,
            fence: Fence {
                placement_epoch: 1,
                incarnation: 1,
            },
            task_idx: 0,
            n_tasks: 1,
        }
    }

    /// Opens the spout.
    pub(crate) fn start(&self) -> Driver {
        let config = self.config.clone();
        let mut spout = match &self.api {
            Some(api) => KinesisSpout::with_api(config, Arc::clone(api)),
            None => KinesisSpout::new(config),
        }
        .unwrap();
        let woken = Arc::new(Woken(Notify::new()));
        let spawner = Arc::new(Tasks::default());
        let metrics = Metrics::default();
        let info = TaskInfo {
            topology: Str::new("top"),
            component: "clicks".into(),
            task: TaskId(u32::try_from(self.task_idx).unwrap()),
            task_idx: self.task_idx,
            n_tasks: self.n_tasks,
            inputs: Vec::new(),
            key_fields: Vec::new(),
            tasks: Arc::default(),
        };
        let services = TaskServices {
            clock: Arc::new(TokioClock {
                start: Instant::now(),
                wall: Arc::clone(&self.wall),
            }),
            seed: 7,
            fence: self.fence,
            waker: Waker::from(Arc::clone(&woken)),
            spawner: Arc::clone(&spawner) as Arc<dyn Spawner>,
            checkpoints: Arc::clone(&self.store),
            metrics: metrics.clone(),
        };
        spout.open(&mut TaskContext::new(info, services)).unwrap();
        Driver {
            out: Recorder::new(&spout.outputs()),
            spout,
            woken,
            spawner,
            metrics,
            said_finished: false,
        }
    }
}

impl Driver {
    /// Runs the spout until it has emitted `n` tuples more; all of them are returned, a few more maybe.
    pub(crate) async fn emits(&mut self, n: usize) -> Vec<Emitted> {
        let mut emits = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        while emits.len() < n {
            assert!(
                Instant::now() < deadline,
                "{} of {n} tuples came",
                emits.len()
            );
            self.turn(deadline).await;
            emits.append(&mut self.out.emits);
        }
        emits
    }

    /// Runs the spout for so long; returns what it emitted.
    pub(crate) async fn run_for(&mut self, time: Duration) -> Vec<Emitted> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.turn(until).await;
        }
        std::mem::take(&mut self.out.emits)
    }

    /// Runs the spout until `condition` holds; returns what it emitted.
    pub(crate) async fn run_until(&mut self, mut condition: impl FnMut() -> bool) -> Vec<Emitted> {
        let deadline = Instant::now() + PATIENCE;
        while !condition() {
            assert!(Instant::now() < deadline, "the condition never held");
            let soon = Instant::now() + Duration::from_millis(20);
            self.turn(soon).await;
        }
        std::mem::take(&mut self.out.emits)
    }

    /// Runs the spout until it says that it is finished.
    pub(crate) async fn finish(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.turn(deadline).await != Activity::Finished {
            assert!(Instant::now() < deadline, "it never finished");
        }
    }

    /// Runs the spout until `next_tuple` fails, without a pause; returns the error.
    pub(crate) async fn fails(&mut self) -> ComponentError {
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "it never failed");
            if let Err(error) = self.try_turn(deadline).await {
                return error;
            }
        }
    }

    async fn turn(&mut self, until: Instant) -> Activity {
        self.try_turn(until).await.unwrap()
    }

    async fn try_turn(&mut self, until: Instant) -> Result<Activity, ComponentError> {
        let mut emitter = SpoutEmitter::new(&mut self.out);
        let activity = self.spout.next_tuple(&mut emitter)?;
        self.said_finished |= activity == Activity::Finished;
        let left = until.saturating_duration_since(Instant::now());
        let wait = match activity {
            Activity::Emitted => Duration::ZERO,
            Activity::Idle | Activity::Finished => left,
            Activity::IdleFor(time) => time.min(left),
        };
        if wait.is_zero() {
            tokio::task::yield_now().await;
        } else if timeout(wait, self.woken.0.notified()).await.is_ok() {
            return Ok(Activity::Idle);
        }
        Ok(activity)
    }

    pub(crate) fn ack(&mut self, emitted: &Emitted) {
        self.spout.ack(emitted.id);
    }

    pub(crate) fn ack_all(&mut self, emits: &[Emitted]) {
        for emitted in emits {
            self.ack(emitted);
        }
    }

    pub(crate) fn fail(&mut self, emitted: &Emitted, why: &Failure) {
        self.spout.fail(emitted.id, why);
    }

    /// Reads a metric of a shard.
    pub(crate) fn metric(&self, name: &str, shard: &str) -> i64 {
        self.metrics.get(name, shard).get()
    }

    /// Closes the spout as an engine does, then drops its async tasks.
    pub(crate) async fn close(self) {
        let Self {
            mut spout, spawner, ..
        } = self;
        let closed = tokio::task::spawn_blocking(move || spout.close());
        closed.await.unwrap();
        for task in spawner.abort() {
            // Aborted or ended, but gone: nothing holds the store any more.
            drop(task.await);
        }
    }

    /// Ends everything at once, as a kill does.
    pub(crate) fn kill(self) {
        drop(self.spawner.abort());
    }
}

impl Emitted {
    pub(crate) fn value(&self, field: &str) -> &Value {
        let idx = self.fields.iter().position(|name| name == field).unwrap();
        &self.row[idx]
    }

    pub(crate) fn data(&self) -> String {
        self.value("data").to_string()
    }

    pub(crate) fn shard(&self) -> &str {
        self.value("shard_id").as_str().unwrap()
    }

    pub(crate) fn attempt(&self) -> i64 {
        self.value("attempt").as_i64().unwrap()
    }
}

/// Collects what is emitted.
struct Recorder {
    outputs: Outputs,
    row: Vec<Value>,
    emits: Vec<Emitted>,
}

impl Recorder {
    fn new(outputs: &Outputs) -> Self {
        Self {
            outputs: outputs.clone(),
            row: Vec::new(),
            emits: Vec::new(),
        }
    }
}

impl Output for Recorder {
    fn row(&mut self) -> &mut Vec<Value> {
        self.row.clear();
        &mut self.row
    }

    fn send(&mut self, to: EmitTo<'_>) -> Result<(), Box<EmitError>> {
        let Anchoring::Root(id) = to.anchoring else {
            panic!("an untracked emit");
        };
        let row = std::mem::take(&mut self.row);
        let fields = self.fields(to.stream)?.to_vec();
        assert_eq!(row.len(), fields.len());
        self.emits.push(Emitted {
            id,
            fields,
            stream: to.stream.unwrap_or("default").to_owned(),
            row,
        });
        Ok(())
    }

    fn fields(&self, stream: Option<&str>) -> Result<&[Str], EmitError> {
        Ok(self.outputs.get(stream.unwrap_or("default")).unwrap())
    }

    fn defer(&mut self) -> AckToken {
        AckToken::new(Anchors::None, Arc::new(Nowhere))
    }
}

struct Nowhere;

impl TokenSink for Nowhere {
    fn report(&self, _: Anchors, _: TokenReport) {}
}

struct Woken(Notify);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

/// Tokio's clock, which stands still in tests that pause it.
struct TokioClock {
    start: Instant,
    wall: Wall,
}

impl Clock for TokioClock {
    fn now(&self) -> Moment {
        Moment::ZERO + self.start.elapsed() + Duration::from_secs(1)
    }

    fn unix_ms(&self) -> u64 {
        (self.wall)()
    }
}

#[derive(Default)]
struct Tasks(Mutex<Vec<JoinHandle<()>>>);

impl Spawner for Tasks {
    fn spawn(&self, _: &str, future: BoxFuture<'static, ()>) {
        let handle = tokio::spawn(future);
        self.0.lock().unwrap().push(handle);
    }
}

impl Tasks {
    fn abort(&self) -> Vec<JoinHandle<()>> {
        let handles = std::mem::take(&mut *self.0.lock().unwrap());
        for handle in &handles {
            handle.abort();
        }
        handles
    }
}
