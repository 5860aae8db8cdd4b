//! A component alone in a test: calls it as an engine would and keeps what it says.
//!
//! Connectors see squall-core only, so this stands in for `squall::testing`, which stands above them.

use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use squall_core::engine::{
    Anchor, Anchoring, Anchors, Batch, EmitTo, Output, RootId, TokenReport, TokenSink,
};
use squall_core::{
    AckToken, Activity, Bolt, BoxFuture, CheckpointStore, EmitError, Emitter, Entry, Failure,
    FailureReason, Fence, ManualClock, MessageId, MetricReading, Metrics, Outputs, Result, Schema,
    Spawner, Spout, SpoutEmitter, StoreError, Str, StreamId, TaskContext, TaskId, TaskInfo,
    TaskServices, Tuple, Value, Write,
};

/// Makes the schema of the default stream of a component `source`.
pub(crate) fn schema(fields: &[&str]) -> Arc<Schema> {
    let fields = fields.iter().map(Str::new).collect();
    Schema::new("source".into(), StreamId::default(), fields)
}

/// Makes a tuple of a component `source`.
pub(crate) fn tuple<const N: usize>(fields: &[&str; N], values: [Value; N]) -> Tuple {
    let mut batch = Batch::new(schema(fields), TaskId(0));
    batch.push(&mut Vec::from(values));
    Tuple::new(Arc::new(batch), 0)
}

/// How a deferred tuple ended; tokens are numbered from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Acked(u32),
    Failed(u32, String),
    Dropped(u32),
}

#[derive(Default)]
struct Ends(Mutex<Vec<End>>);

impl TokenSink for Ends {
    fn report(&self, anchors: Anchors, report: TokenReport) {
        let token = anchors.as_slice()[0].root.slot;
        let end = match report {
            TokenReport::Acked { .. } => End::Acked(token),
            TokenReport::Failed {
                error: Some(error), ..
            } => End::Failed(token, error.to_string()),
            TokenReport::Failed { error: None, .. } => End::Dropped(token),
            TokenReport::Held => return,
        };
        self.0.lock().unwrap().push(end);
    }
}

struct Emitted {
    stream: String,
    id: Option<u64>,
    values: Vec<Value>,
}

#[derive(Default)]
struct Recorder {
    outputs: Outputs,
    row: Vec<Value>,
    emitted: Vec<Emitted>,
    ends: Arc<Ends>,
    n_tokens: u32,
}

impl Recorder {
    fn take(&mut self, stream: &str) -> Vec<Emitted> {
        let (taken, left) = std::mem::take(&mut self.emitted)
            .into_iter()
            .partition(|emitted| emitted.stream == stream);
        self.emitted = left;
        taken
    }
}

impl Output for Recorder {
    fn row(&mut self) -> &mut Vec<Value> {
        &mut self.row
    }

    fn send(&mut self, to: EmitTo<'_>) -> Result<(), Box<EmitError>> {
        let values = std::mem::take(&mut self.row);
        let fields = self.fields(to.stream)?;
        assert_eq!(values.len(), fields.len(), "{values:?} for {fields:?}");
        self.emitted.push(Emitted {
            stream: to.stream.unwrap_or(StreamId::DEFAULT).to_owned(),
            id: match to.anchoring {
                Anchoring::Root(MessageId(id)) => Some(id),
                Anchoring::Input | Anchoring::Tokens(_) | Anchoring::Unanchored => None,
            },
            values,
        });
        Ok(())
    }

    fn fields(&self, stream: Option<&str>) -> Result<&[Str], EmitError> {
        let stream = stream.unwrap_or(StreamId::DEFAULT);
        let fields = self.outputs.get(stream);
        fields.ok_or_else(|| EmitError::UnknownStream {
            stream: stream.to_owned(),
            declared: self.outputs.iter().map(|(id, _)| id.clone()).collect(),
        })
    }

    fn defer(&mut self) -> AckToken {
        let root = RootId {
            task: TaskId(0),
            slot: self.n_tokens,
            generation: 0,
        };
        self.n_tokens += 1;
        AckToken::new(Anchors::One(Anchor { root, edge: 1 }), self.ends.clone())
    }
}

struct Nothing;

impl Spawner for Nothing {
    fn spawn(&self, name: &str, _future: BoxFuture<'static, ()>) {
        panic!("{name} spawned, nothing runs it");
    }
}

impl CheckpointStore for Nothing {
    fn load<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
        Box::pin(async { Ok(None) })
    }
    fn list<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<(String, Entry)>, StoreError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
    fn commit(&self, _: Fence, _: Vec<Write>) -> BoxFuture<'_, Result<Vec<u64>, StoreError>> {
        Box::pin(async { Err(StoreError::Unavailable("in a test".to_owned())) })
    }
    fn location(&self) -> String {
        "nowhere".to_owned()
    }
}

/// Runs asynchronous work at once, as far as it comes, and again when it is told to.
#[derive(Default)]
struct Spawned(Mutex<Vec<BoxFuture<'static, ()>>>);

impl Spawned {
    fn poll_all(&self) {
        let mut spawned = self.0.lock().unwrap();
        let mut context = Context::from_waker(Waker::noop());
        spawned.retain_mut(|future| future.as_mut().poll(&mut context).is_pending());
    }
}

impl Spawner for Spawned {
    fn spawn(&self, _name: &str, future: BoxFuture<'static, ()>) {
        self.0.lock().unwrap().push(future);
        self.poll_all();
    }
}

struct Task {
    clock: Arc<ManualClock>,
    metrics: Metrics,
    info: TaskInfo,
    fence: Fence,
    checkpoints: Option<Arc<dyn CheckpointStore>>,
    spawned: Arc<Spawned>,
}

impl Task {
    fn new() -> Self {
        Self {
            clock: Arc::default(),
            metrics: Metrics::default(),
            info: TaskInfo {
                topology: "test".into(),
                component: "tested".into(),
                task: TaskId(0),
                task_idx: 0,
                n_tasks: 1,
                inputs: Vec::new(),
                key_fields: Vec::new(),
                tasks: Arc::default(),
            },
            fence: Fence::default(),
            checkpoints: None,
            spawned: Arc::default(),
        }
    }

    fn context(&self) -> TaskContext {
        let (spawner, checkpoints): (Arc<dyn Spawner>, Arc<dyn CheckpointStore>) =
            match &self.checkpoints {
                Some(checkpoints) => (self.spawned.clone(), checkpoints.clone()),
                None => (Arc::new(Nothing), Arc::new(Nothing)),
            };
        let services = TaskServices {
            clock: self.clock.clone(),
            seed: 1,
            fence: self.fence,
            waker: Waker::noop().clone(),
            spawner,
            checkpoints,
            metrics: self.metrics.clone(),
        };
        TaskContext::new(self.info.clone(), services)
    }
}

/// A bolt alone.
pub(crate) struct BoltHarness<B> {
    bolt: B,
    task: Task,
    output: Recorder,
}

impl<B: Bolt> BoltHarness<B> {
    pub(crate) fn new(bolt: B) -> Self {
        Self {
            bolt,
            task: Task::new(),
            output: Recorder::default(),
        }
    }

    pub(crate) fn inputs(mut self, inputs: impl IntoIterator<Item = Arc<Schema>>) -> Self {
        self.task.info.inputs = inputs.into_iter().collect();
        self
    }

    pub(crate) fn keyed<const N: usize>(mut self, fields: [&str; N]) -> Self {
        self.task.info.key_fields = fields.map(Str::from).to_vec();
        self
    }

    pub(crate) fn prepare(&mut self) -> Result<()> {
        self.output.outputs = self.bolt.outputs();
        self.bolt.prepare(&mut self.task.context())
    }

    pub(crate) fn execute(&mut self, input: &Tuple) -> Result<()> {
        self.bolt
            .execute(input, &mut Emitter::new(&mut self.output))
    }

    pub(crate) fn tick(&mut self) -> Result<()> {
        self.bolt.tick(&mut Emitter::new(&mut self.output))
    }

    pub(crate) fn flush(&mut self) -> Result<()> {
        self.bolt.flush(&mut Emitter::new(&mut self.output))
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.task.clock.advance(by);
    }

    /// Takes what was emitted to the default stream since the last call.
    pub(crate) fn emitted(&mut self) -> Vec<Vec<Value>> {
        self.emitted_to(StreamId::DEFAULT)
    }

    pub(crate) fn emitted_to(&mut self, stream: &str) -> Vec<Vec<Value>> {
        let emitted = self.output.take(stream).into_iter();
        emitted.map(|emitted| emitted.values).collect()
    }

    pub(crate) fn ends(&self) -> Vec<End> {
        self.output.ends.0.lock().unwrap().clone()
    }

    pub(crate) fn metrics(&self) -> Vec<MetricReading> {
        self.task.metrics.read()
    }
}

/// A spout alone. Its message ids are numbered from 0, in the order of their first emits.
pub(crate) struct SpoutHarness<S> {
    spout: S,
    task: Task,
    output: Recorder,
    ids: Vec<u64>,
}

impl<S: Spout> SpoutHarness<S> {
    pub(crate) fn new(spout: S) -> Self {
        Self {
            spout,
            task: Task::new(),
            output: Recorder::default(),
            ids: Vec::new(),
        }
    }

    pub(crate) fn task(mut self, task_idx: usize, n_tasks: usize) -> Self {
        self.task.info.task_idx = task_idx;
        self.task.info.n_tasks = n_tasks;
        self
    }

    /// Gives the task a store, and the fence under which it writes.
    pub(crate) fn store(mut self, store: Arc<dyn CheckpointStore>, fence: Fence) -> Self {
        self.task.checkpoints = Some(store);
        self.task.fence = fence;
        self
    }

    pub(crate) const fn spout(&mut self) -> &mut S {
        &mut self.spout
    }

    pub(crate) fn open(&mut self) -> Result<()> {
        self.output.outputs = self.spout.outputs();
        self.spout.open(&mut self.task.context())
    }

    pub(crate) fn next_tuple(&mut self) -> Result<Activity> {
        self.task.spawned.poll_all();
        self.spout
            .next_tuple(&mut SpoutEmitter::new(&mut self.output))
    }

    pub(crate) fn ack(&mut self, id: usize) {
        self.spout.ack(MessageId(self.ids[id]));
    }

    pub(crate) fn held(&mut self, id: usize) {
        self.spout.held(MessageId(self.ids[id]));
    }

    pub(crate) fn fail(&mut self, id: usize, reason: FailureReason) {
        let why = Failure::new(reason, None, "no luck");
        self.spout.fail(MessageId(self.ids[id]), &why);
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.task.clock.advance(by);
    }

    /// Takes what was emitted under a message id since the last call.
    pub(crate) fn emitted(&mut self) -> Vec<(usize, Vec<Value>)> {
        let mut rows = Vec::new();
        for emitted in self.output.take(StreamId::DEFAULT) {
            let id = emitted.id.expect("a tracked emit");
            let known = self.ids.iter().position(|known| *known == id);
            let number = known.unwrap_or_else(|| {
                self.ids.push(id);
                self.ids.len() - 1
            });
            rows.push((number, emitted.values));
        }
        rows
    }

    /// Takes what was emitted without a message id since the last call, and counts it.
    pub(crate) fn n_untracked(&mut self) -> usize {
        let emitted = self.output.take(StreamId::DEFAULT);
        assert!(emitted.iter().all(|emitted| emitted.id.is_none()));
        emitted.len()
    }

    pub(crate) fn metric(&self, name: &str) -> i64 {
        self.task.metrics.get(name, "").get()
    }
}
