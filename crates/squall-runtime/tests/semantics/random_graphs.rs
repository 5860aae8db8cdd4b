//! Random topologies against a plain model: no tree is acked while a tuple of it lives or after one
//! failed, every tree that is whole is acked, and each tracked emit gets one verdict.
//!
//! The model counts: whoever emits adds the copies that the graph will make of the tuple to each of its
//! roots, whoever is done with a copy takes it off again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use squall_core::{
    AckToken, Activity, Bolt, Emitter, Failure, FailureReason, Grouping, MessageId, Outputs,
    Result, Spout, SpoutEmitter, Tuple, Value,
};

use squall_runtime::TopologySnapshot;

use crate::kit::Bench;

/// What the model knows of one message.
#[derive(Debug, Default)]
pub(crate) struct Known {
    n_live: i64,
    pub(crate) failed: bool,
    pub(crate) verdicts: Vec<bool>,
    /// A verdict that the model didn't expect, and what it knew then.
    pub(crate) wrong: Option<String>,
}

#[derive(Clone, Default)]
pub(crate) struct Model(Arc<Mutex<BTreeMap<u64, Known>>>);

impl Model {
    pub(crate) fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, roots: &[u64], n: i64) {
        let mut known = self.lock();
        roots
            .iter()
            .for_each(|root| known.entry(*root).or_default().n_live += n);
    }

    fn fail(&self, roots: &[u64]) {
        let mut known = self.lock();
        roots
            .iter()
            .for_each(|root| known.entry(*root).or_default().failed = true);
    }
}

/// How one random bolt treats what it gets, by the remainder of a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Habit {
    Drop,
    Pass,
    FanOut,
    Defer,
    Join,
    Fail,
    Panic,
    Forget,
    /// Emits without a tree: tracked and untracked tuples go the same ways.
    Loose,
    /// Keeps the tuple as a window does.
    Hold,
}

#[derive(Clone, Debug)]
pub(crate) struct RandomBolt {
    parallelism: u32,
    /// Component index (0 is the spout; a larger one than its own closes a cycle) and grouping.
    inputs: Vec<(usize, Grouping)>,
    pub(crate) habits: [Habit; 8],
}

#[derive(Clone, Debug)]
pub(crate) struct Graph {
    pub(crate) n_spout_tasks: u32,
    pub(crate) bolts: Vec<RandomBolt>,
    /// Fused, and called after so many tuples.
    fuse: Option<u32>,
    seed: u64,
    /// Small ones make executors park.
    edge_bytes: u64,
}

/// A token and the roots it answers for: dropped unended, it fails them, in the model as in the engine.
struct Kept {
    token: Option<AckToken>,
    roots: Vec<u64>,
    model: Model,
}

impl Kept {
    fn ack(mut self) {
        self.model.add(&self.roots, -1);
        if let Some(token) = self.token.take() {
            token.ack();
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.token.is_some() {
            self.model.fail(&self.roots);
        }
    }
}

struct Source {
    model: Model,
    next: u64,
    step: u64,
    n: u64,
    copies: i64,
}

impl Spout for Source {
    fn outputs(&self) -> Outputs {
        Outputs::fields(["n", "hops", "roots"])
    }

    fn open(&mut self, ctx: &mut squall_core::TaskContext) -> Result<()> {
        (self.next, self.step) = (ctx.task_idx() as u64, ctx.n_tasks() as u64);
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutEmitter<'_>) -> Result<Activity> {
        if self.next >= self.n {
            return Ok(Activity::Finished);
        }
        let id = self.next;
        self.next += self.step;
        self.model.add(&[id], self.copies);
        out.tracked(MessageId(id)).emit((
            id as i64,
            0,
            Value::from(vec![Value::I64(id as i64)]),
        ))?;
        Ok(Activity::Emitted)
    }

    fn ack(&mut self, id: MessageId) {
        let mut known = self.model.lock();
        let known = known.entry(id.0).or_default();
        if known.n_live != 0 || known.failed {
            known.wrong = Some(format!("acked while {known:?}"));
        }
        known.verdicts.push(true);
    }

    fn fail(&mut self, id: MessageId, why: &Failure) {
        let mut known = self.model.lock();
        let known = known.entry(id.0).or_default();
        // What was dropped to free a cycle is known to the engine only.
        if !known.failed && why.reason != FailureReason::Lost {
            known.wrong = Some(format!("failed as {why:?} while {known:?}"));
        }
        known.verdicts.push(false);
    }
}

struct Worker {
    model: Model,
    habits: [Habit; 8],
    copies: i64,
    kept: Vec<Kept>,
}

impl Worker {
    fn emit(
        &self,
        out: &mut Emitter<'_>,
        tokens: &[&AckToken],
        n: i64,
        hops: i64,
        roots: &[u64],
    ) -> Result<()> {
        self.model.add(roots, self.copies);
        let list: Vec<Value> = roots.iter().map(|root| Value::I64(*root as i64)).collect();
        let row = (n, hops, Value::from(list));
        match tokens {
            [] => Ok(out.emit(row)?),
            tokens => Ok(out.anchored(tokens).emit(row)?),
        }
    }

    fn join(&mut self, out: &mut Emitter<'_>, n: i64, hops: i64) -> Result<()> {
        let Some((one, other)) = self.kept.pop().zip(self.kept.pop()) else {
            return Ok(());
        };
        let tokens = [one.token.as_ref().unwrap(), other.token.as_ref().unwrap()];
        let mut roots: Vec<u64> = one.roots.iter().chain(&other.roots).copied().collect();
        roots.sort_unstable();
        roots.dedup();
        self.emit(out, &tokens, n, hops + 1, &roots)?;
        one.ack();
        other.ack();
        Ok(())
    }
}

impl Bolt for Worker {
    fn outputs(&self) -> Outputs {
        Outputs::fields(["n", "hops", "roots"])
    }

    fn execute(&mut self, input: &Tuple, out: &mut Emitter<'_>) -> Result<()> {
        let (n, hops) = (input.i64("n")?, input.i64("hops")?);
        let Value::List(list) = input.get("roots")? else {
            panic!("roots are a list")
        };
        let roots: Vec<u64> = list
            .iter()
            .map(|root| root.as_i64().unwrap() as u64)
            .collect();
        // A number of hops bounds the cycles.
        let habit = if hops > 12 {
            Habit::Drop
        } else {
            self.habits[((n + hops) % 8) as usize]
        };
        let mut keep = |kept: &mut Vec<Kept>| {
            kept.push(Kept {
                token: Some(out.defer()),
                roots: roots.clone(),
                model: self.model.clone(),
            });
        };
        match habit {
            Habit::Drop => {}
            Habit::Pass => self.emit(out, &[], n, hops + 1, &roots)?,
            Habit::FanOut => {
                for extra in 0..3 {
                    self.emit(out, &[], n + extra, hops + 4, &roots)?;
                }
            }
            Habit::Loose => {
                let row = (n, hops + 4, Value::from(Vec::<Value>::new()));
                out.unanchored().emit(row)?;
            }
            Habit::Defer => {
                keep(&mut self.kept);
                return Ok(());
            }
            Habit::Hold => {
                keep(&mut self.kept);
                let kept = self.kept.last_mut();
                kept.and_then(|kept| kept.token.as_mut())
                    .map(AckToken::hold);
                return Ok(());
            }
            Habit::Join => {
                keep(&mut self.kept);
                return self.join(out, n, hops);
            }
            Habit::Fail => {
                self.model.fail(&roots);
                return Err("a habit".into());
            }
            Habit::Panic => {
                self.model.fail(&roots);
                panic!("a habit");
            }
            Habit::Forget => {
                keep(&mut self.kept);
                drop(self.kept.pop());
                return Ok(());
            }
        }
        self.model.add(&roots, -1);
        Ok(())
    }

    fn flush(&mut self, _: &mut Emitter<'_>) -> Result<()> {
        self.kept.drain(..).for_each(Kept::ack);
        Ok(())
    }
}

fn grouping() -> impl Strategy<Value = Grouping> {
    prop_oneof![
        3 => Just(Grouping::LocalOrShuffle),
        1 => Just(Grouping::Shuffle),
        1 => Just(Grouping::All),
        1 => Just(Grouping::Global),
        1 => Just(Grouping::Fields(vec!["n".into()])),
        1 => Just(Grouping::PartialKey(vec!["n".into()])),
    ]
}

fn habit() -> impl Strategy<Value = Habit> {
    prop_oneof![
        2 => Just(Habit::Drop),
        10 => Just(Habit::Pass),
        2 => Just(Habit::FanOut),
        3 => Just(Habit::Defer),
        3 => Just(Habit::Join),
        1 => Just(Habit::Fail),
        1 => Just(Habit::Panic),
        1 => Just(Habit::Forget),
        2 => Just(Habit::Loose),
        1 => Just(Habit::Hold),
    ]
}

pub(crate) fn graph() -> impl Strategy<Value = Graph> {
    let bolt = |own: usize, n_bolts: usize| {
        let forward = (0..own, grouping());
        let any = (0..=n_bolts, grouping());
        // The first input comes from before, so that every bolt is fed; one in four has any other.
        (
            1u32..4,
            forward,
            proptest::option::weighted(0.25, any),
            proptest::array::uniform8(habit()),
        )
            .prop_map(|(parallelism, first, second, habits)| RandomBolt {
                parallelism,
                inputs: std::iter::once(first).chain(second).collect(),
                habits,
            })
    };
    (1usize..6).prop_flat_map(move |n_bolts| {
        let bolts: Vec<_> = (1..=n_bolts).map(|own| bolt(own, n_bolts)).collect();
        (
            1u32..3,
            bolts,
            proptest::option::of(0u32..20),
            any::<u64>(),
            prop_oneof![Just(256u64), Just(1 << 20)],
        )
            .prop_map(|(n_spout_tasks, bolts, fuse, seed, edge_bytes)| Graph {
                n_spout_tasks,
                bolts,
                fuse,
                seed,
                edge_bytes,
            })
    })
}

/// How many copies an emit of a component becomes: one for each input that reads it, or one for each
/// task where the grouping is `all`.
fn copies_of(graph: &Graph, component: usize) -> i64 {
    let reads = graph
        .bolts
        .iter()
        .flat_map(|bolt| bolt.inputs.iter().map(move |input| (bolt, input)));
    let copies = reads
        .filter(|(_, (from, _))| *from == component)
        .map(|(bolt, (_, grouping))| match grouping {
            Grouping::All => i64::from(bolt.parallelism),
            _ => 1,
        });
    copies.sum()
}

fn name(component: usize) -> String {
    if component == 0 {
        "in".into()
    } else {
        format!("b{component}")
    }
}

/// Keeps the panics that are meant out of the test's output.
fn hush_habits() {
    static HUSHED: Once = Once::new();
    HUSHED.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref::<&str>() != Some(&"a habit") {
                usual(info);
            }
        }));
    });
}

pub(crate) fn bench(graph: &Graph, n: u64, model: &Model) -> Bench {
    hush_habits();
    let mut bench = Bench::new();
    bench.options.fuse = graph.fuse.is_some();
    bench.options.call_after = graph.fuse.unwrap_or_default();
    let settings = bench.topology.settings();
    settings.seed = Some(graph.seed);
    settings.edge_bytes.0 = graph.edge_bytes;
    settings.restart_backoff_cap = "1s".parse().unwrap();
    // A token may be kept for as long as a cycle is jammed. A tree that is stuck shows by the run's not
    // ending.
    settings.message_timeout = "2h".parse().unwrap();
    let (spout_model, copies) = (model.clone(), copies_of(graph, 0));
    bench.spout("in", graph.n_spout_tasks, move || Source {
        model: spout_model.clone(),
        next: 0,
        step: 1,
        n,
        copies,
    });
    for (idx, bolt) in graph.bolts.iter().enumerate() {
        let (model, copies, habits) = (model.clone(), copies_of(graph, idx + 1), bolt.habits);
        let make = move || Worker {
            model: model.clone(),
            habits,
            copies,
            kept: Vec::new(),
        };
        let mut declared = bench
            .bolt(&name(idx + 1), make)
            .parallelism(bolt.parallelism);
        for (from, grouping) in &bolt.inputs {
            declared = declared.input(&name(*from), grouping.clone());
        }
    }
    bench
}

fn run(graph: &Graph, n: u64) -> (Model, TopologySnapshot) {
    let model = Model::default();
    let mut simulation = bench(graph, n, &model).simulate();
    assert!(
        simulation.run_to_end(Duration::from_secs(3600)),
        "{:#?}",
        simulation.snapshot()
    );
    (model, simulation.snapshot())
}

/// The graphs are the same in each run; `SQUALL_TEST_SEED`, a number, gives others.
pub(crate) fn rng() -> TestRng {
    let seed = std::env::var("SQUALL_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(2026u64);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}

#[test]
fn every_tree_gets_the_verdict_that_the_model_expects() {
    let totals = Mutex::new((0, 0, 0));
    let config = ProptestConfig {
        cases: 256,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Default::default()
    };
    let checked = TestRunner::new_with_rng(config, rng()).run(&graph(), |graph| {
        let n = 60;
        let (model, snapshot) = run(&graph, n);
        let known = model.lock();
        prop_assert_eq!(known.len(), n as usize);
        for (id, known) in known.iter() {
            prop_assert_eq!(known.verdicts.len(), 1, "message {}: {:?}", id, known);
            prop_assert!(known.wrong.is_none(), "message {}: {:?}", id, known);
        }
        let mut totals = totals.lock().unwrap();
        totals.0 += snapshot
            .spouts()
            .map(|task| task.failed.rejected)
            .sum::<u64>();
        totals.1 += snapshot.tasks.iter().map(|task| task.restarts).sum::<u64>();
        totals.2 += snapshot
            .tasks
            .iter()
            .map(|task| task.cycle_drops)
            .sum::<u64>();
        Ok(())
    });
    checked.unwrap();
    // The faults that this is about did happen.
    let (rejected, restarts, cycle_drops) = *totals.lock().unwrap();
    assert!(
        rejected > 100 && restarts > 100 && cycle_drops > 0,
        "{rejected} {restarts} {cycle_drops}"
    );
}
