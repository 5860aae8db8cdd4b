//! Components and a cluster of one for the tests of semantics: everything is counted.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use squall_core::{
    AckToken, Activity, Bolt, BoxFuture, CheckpointStore, Emitter, Entry, Failure, Fence,
    ManualClock, MessageId, Outputs, Registry, Result, Spawner, Spout, SpoutEmitter, StoreError,
    TaskContext, TopologyBuilder, Tuple, Verdict, Write,
};
use squall_plan::Signatures;
use squall_runtime::{Options, Services, Simulation, TaskSnapshot, TopologySnapshot};

/// What happened, in order, across all tasks.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Event>>>);

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// A spout was told: message, attempt.
    Acked(u64),
    Failed(u64, Failure),
    Held(u64),
    /// A bolt executed a tuple: component/task index, its values.
    Executed(String, Vec<squall_core::Value>),
    /// Something else that a component says.
    Said(String),
}

impl Log {
    pub(crate) fn push(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }

    pub(crate) fn say(&self, text: impl Into<String>) {
        self.push(Event::Said(text.into()));
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn acked(&self) -> Vec<u64> {
        let mut acked: Vec<u64> = self
            .events()
            .iter()
            .filter_map(|e| {
                if let Event::Acked(id) = e {
                    Some(*id)
                } else {
                    None
                }
            })
            .collect();
        acked.sort_unstable();
        acked
    }

    pub(crate) fn failed(&self) -> Vec<(u64, Failure)> {
        self.events()
            .into_iter()
            .filter_map(|e| {
                if let Event::Failed(id, f) = e {
                    Some((id, f))
                } else {
                    None
                }
            })
            .collect()
    }

    pub(crate) fn said(&self) -> Vec<String> {
        self.events()
            .into_iter()
            .filter_map(|e| {
                if let Event::Said(text) = e {
                    Some(text)
                } else {
                    None
                }
            })
            .collect()
    }

    /// How many tuples each task of a component executed, by `component/task index`.
    pub(crate) fn executed(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for event in self.events() {
            if let Event::Executed(task, _) = event {
                *counts.entry(task).or_default() += 1;
            }
        }
        counts
    }

    pub(crate) fn executed_of(&self, task: &str) -> Vec<Vec<squall_core::Value>> {
        self.events()
            .into_iter()
            .filter_map(|e| match e {
                Event::Executed(of, values) if of == task => Some(values),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn executed_by(&self, component: &str) -> Vec<Vec<squall_core::Value>> {
        let of = |task: &str| task.split('/').next() == Some(component);
        self.events()
            .into_iter()
            .filter_map(|e| match e {
                Event::Executed(task, values) if of(&task) => Some(values),
                _ => None,
            })
            .collect()
    }
}

/// Emits the numbers below `n`, each under its own id, again while they fail (if it retries).
pub(crate) struct Numbers {
    pub(crate) log: Log,
    pub(crate) queue: VecDeque<u64>,
    pub(crate) in_flight: usize,
    pub(crate) retry: bool,
    pub(crate) tracked: bool,
}

impl Numbers {
    pub(crate) fn new(log: &Log, n: u64) -> Self {
        Self {
            log: log.clone(),
            queue: (0..n).collect(),
            in_flight: 0,
            retry: false,
            tracked: true,
        }
    }

    pub(crate) fn retrying(mut self) -> Self {
        self.retry = true;
        self
    }

    pub(crate) fn untracked(mut self) -> Self {
        self.tracked = false;
        self
    }
}

impl Spout for Numbers {
    fn outputs(&self) -> Outputs {
        Outputs::fields(["n"])
    }

    fn next_tuple(&mut self, out: &mut SpoutEmitter<'_>) -> Result<Activity> {
        match self.queue.pop_front() {
            Some(n) if self.tracked => {
                self.in_flight += 1;
                out.tracked(MessageId(n)).emit([n as i64])?;
                Ok(Activity::Emitted)
            }
            Some(n) => {
                out.emit([n as i64])?;
                Ok(Activity::Emitted)
            }
            None => Ok(Activity::Finished),
        }
    }

    fn ack(&mut self, id: MessageId) {
        self.in_flight -= 1;
        self.log.push(Event::Acked(id.0));
    }

    fn fail(&mut self, id: MessageId, why: &Failure) {
        self.in_flight -= 1;
        self.log.push(Event::Failed(id.0, why.clone()));
        if self.retry {
            self.queue.push_back(id.0);
        }
    }

    fn held(&mut self, id: MessageId) {
        self.log.push(Event::Held(id.0));
    }

    fn activate(&mut self) {
        self.log.say("activated");
    }

    fn deactivate(&mut self) {
        self.log.say("deactivated");
    }

    fn close(&mut self) {
        self.log.say("spout closed");
    }
}

type Execute = Box<dyn FnMut(&Tuple, &mut Emitter<'_>, &mut State) -> Result<()> + Send>;
type Hook = Box<dyn FnMut(&mut Emitter<'_>, &mut State) -> Result<()> + Send>;

/// What a closure bolt keeps.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) tokens: Vec<AckToken>,
    pub(crate) seen: u64,
    pub(crate) ctx: Option<TaskContext>,
    pub(crate) verdicts: Vec<(MessageId, Verdict)>,
}

/// A bolt made of closures, one output stream `n` unless told otherwise.
pub(crate) struct FnBolt {
    pub(crate) outputs: Outputs,
    pub(crate) execute: Execute,
    pub(crate) tick: Option<Hook>,
    pub(crate) wake: Option<Hook>,
    pub(crate) flush: Option<Hook>,
    pub(crate) verdict: Option<Hook>,
    pub(crate) state: State,
    pub(crate) log: Option<Log>,
    pub(crate) name: String,
}

impl FnBolt {
    pub(crate) fn new(
        execute: impl FnMut(&Tuple, &mut Emitter<'_>, &mut State) -> Result<()> + Send + 'static,
    ) -> Self {
        Self {
            outputs: Outputs::fields(["n"]),
            execute: Box::new(execute),
            tick: None,
            wake: None,
            flush: None,
            verdict: None,
            state: State::default(),
            log: None,
            name: String::new(),
        }
    }

    /// Takes all and emits nothing.
    pub(crate) fn sink(log: &Log) -> Self {
        Self::new(|_, _, _| Ok(())).logging(log)
    }

    pub(crate) fn logging(mut self, log: &Log) -> Self {
        self.log = Some(log.clone());
        self
    }

    pub(crate) fn outputs(mut self, outputs: Outputs) -> Self {
        self.outputs = outputs;
        self
    }

    pub(crate) fn on_tick(
        mut self,
        hook: impl FnMut(&mut Emitter<'_>, &mut State) -> Result<()> + Send + 'static,
    ) -> Self {
        self.tick = Some(Box::new(hook));
        self
    }

    pub(crate) fn on_wake(
        mut self,
        hook: impl FnMut(&mut Emitter<'_>, &mut State) -> Result<()> + Send + 'static,
    ) -> Self {
        self.wake = Some(Box::new(hook));
        self
    }

    pub(crate) fn on_flush(
        mut self,
        hook: impl FnMut(&mut Emitter<'_>, &mut State) -> Result<()> + Send + 'static,
    ) -> Self {
        self.flush = Some(Box::new(hook));
        self
    }

    pub(crate) fn on_verdict(
        mut self,
        hook: impl FnMut(&mut Emitter<'_>, &mut State) -> Result<()> + Send + 'static,
    ) -> Self {
        self.verdict = Some(Box::new(hook));
        self
    }
}

impl Bolt for FnBolt {
    fn outputs(&self) -> Outputs {
        self.outputs.clone()
    }

    fn prepare(&mut self, ctx: &mut TaskContext) -> Result<()> {
        self.name = format!("{}/{}", ctx.component(), ctx.task_idx());
        self.state.ctx = Some(ctx.clone());
        Ok(())
    }

    fn execute(&mut self, input: &Tuple, out: &mut Emitter<'_>) -> Result<()> {
        if let Some(log) = &self.log {
            log.push(Event::Executed(self.name.clone(), input.values().to_vec()));
        }
        self.state.seen += 1;
        (self.execute)(input, out, &mut self.state)
    }

    fn tick(&mut self, out: &mut Emitter<'_>) -> Result<()> {
        self.tick
            .as_mut()
            .map_or(Ok(()), |hook| hook(out, &mut self.state))
    }

    fn wake(&mut self, out: &mut Emitter<'_>) -> Result<()> {
        self.wake
            .as_mut()
            .map_or(Ok(()), |hook| hook(out, &mut self.state))
    }

    fn flush(&mut self, out: &mut Emitter<'_>) -> Result<()> {
        self.flush
            .as_mut()
            .map_or(Ok(()), |hook| hook(out, &mut self.state))
    }

    fn verdict(&mut self, id: MessageId, verdict: Verdict, out: &mut Emitter<'_>) -> Result<()> {
        self.state.verdicts.push((id, verdict));
        self.verdict
            .as_mut()
            .map_or(Ok(()), |hook| hook(out, &mut self.state))
    }
}

/// A topology under construction with the components it is made of.
pub(crate) struct Bench {
    pub(crate) registry: Registry,
    pub(crate) topology: TopologyBuilder,
    pub(crate) options: Options,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let mut topology = TopologyBuilder::new("test");
        topology.settings().seed = Some(7);
        Self {
            registry: Registry::new(),
            topology,
            options: Options {
                n_loops: Some(2),
                fuse: true,
                call_after: 0,
                part: None,
            },
        }
    }

    pub(crate) fn spout<S: Spout + 'static>(
        &mut self,
        id: &str,
        n_tasks: u32,
        make: impl Fn() -> S + Send + Sync + 'static,
    ) {
        self.registry.spout(id, move |(): ()| Ok(make()));
        self.topology
            .spout(id, id, ())
            .unwrap()
            .parallelism(n_tasks);
    }

    pub(crate) fn bolt<B: Bolt + 'static>(
        &mut self,
        id: &str,
        make: impl Fn() -> B + Send + Sync + 'static,
    ) -> squall_core::BoltDeclarer<'_> {
        self.registry.bolt(id, move |(): ()| Ok(make()));
        self.topology.bolt(id, id, ()).unwrap()
    }

    pub(crate) fn parts(
        self,
    ) -> (
        squall_core::TopologySpec,
        Signatures,
        Arc<Registry>,
        Options,
    ) {
        let spec = self.topology.build();
        let mut signatures = Signatures::new();
        for (id, spout) in &spec.spouts {
            let built = self
                .registry
                .get_spout(&spout.type_name)
                .unwrap()
                .build(&spout.config)
                .unwrap();
            signatures.insert(id.clone(), built.outputs());
        }
        for (id, bolt) in &spec.bolts {
            let built = self
                .registry
                .get_bolt(&bolt.type_name)
                .unwrap()
                .build(&bolt.config)
                .unwrap();
            signatures.insert(id.clone(), built.outputs());
        }
        (spec, signatures, Arc::new(self.registry), self.options)
    }

    pub(crate) fn simulate(self) -> Simulation {
        let (spec, signatures, registry, options) = self.parts();
        let clock = Arc::new(ManualClock::new());
        Simulation::new(&spec, &signatures, &registry, services(), &options, clock).unwrap()
    }

    /// Runs to the end in virtual time; fails the test if that takes an hour, or if somebody is owed a verdict
    /// after it.
    pub(crate) fn run(self) -> TopologySnapshot {
        let mut simulation = self.simulate();
        assert!(
            simulation.run_to_end(Duration::from_secs(3600)),
            "{:#?}",
            simulation.snapshot()
        );
        let snapshot = simulation.snapshot();
        let owed = |task: &TaskSnapshot| task.pending + task.held;
        assert_eq!(snapshot.tasks.iter().map(owed).sum::<u64>(), 0);
        snapshot
    }
}

pub(crate) fn services() -> Services {
    Services {
        clock: Arc::new(ManualClock::new()),
        spawner: Arc::new(NoSpawner),
        checkpoints: Arc::new(NoStore),
        fence: Fence::default(),
    }
}

/// No test here spawns.
struct NoSpawner;

impl Spawner for NoSpawner {
    fn spawn(&self, name: &str, _: BoxFuture<'static, ()>) {
        panic!("nothing runs `{name}` here");
    }
}

/// No test here stores.
struct NoStore;

impl CheckpointStore for NoStore {
    fn load<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
        Box::pin(async { Err(StoreError::Unavailable("none".into())) })
    }
    fn list<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<(String, Entry)>, StoreError>> {
        Box::pin(async { Err(StoreError::Unavailable("none".into())) })
    }
    fn commit(&self, _: Fence, _: Vec<Write>) -> BoxFuture<'_, Result<Vec<u64>, StoreError>> {
        Box::pin(async { Err(StoreError::Unavailable("none".into())) })
    }
    fn location(&self) -> String {
        "nowhere".into()
    }
}

pub(crate) fn ids(range: std::ops::Range<u64>) -> Vec<u64> {
    range.collect()
}
