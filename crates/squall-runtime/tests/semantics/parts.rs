//! A topology in several parts, each a simulation, with links between them that the test moves by hand.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use squall_core::engine::{EdgeId, Item, Refused, RootId, WorkerIdx};
use squall_core::{
    Clock, Failure, FailureReason, Fence, Grouping, ManualClock, Registry, TaskId, TopologySpec,
};
use squall_plan::Signatures;
use squall_runtime::{Options, Part, Ports, Simulation};

use crate::kit::{Bench, Event, FnBolt, Log, Numbers, ids, services};

/// The parts of one topology, on one clock.
pub(crate) struct Parts {
    spec: TopologySpec,
    signatures: Signatures,
    registry: Arc<Registry>,
    options: Options,
    clock: Arc<ManualClock>,
    workers: Vec<WorkerIdx>,
    parts: Vec<Simulation>,
    /// What a link has taken and could not deliver yet.
    on_link: BTreeMap<(usize, EdgeId), Item>,
    /// Links that are down, by sender and receiver.
    down: Vec<(usize, usize)>,
    n_delivered: usize,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.parts.iter().map(Simulation::snapshot))
            .finish()
    }
}

impl Parts {
    pub(crate) fn new(bench: Bench, n_workers: u32, at: impl Fn(TaskId) -> u32) -> Self {
        let (spec, signatures, registry, options) = bench.parts();
        let n_tasks: u32 = (spec.spouts.values().map(|s| s.parallelism.get()))
            .chain(spec.bolts.values().map(|b| b.parallelism.get()))
            .sum();
        let mut parts = Self {
            workers: (0..n_tasks)
                .map(|task| WorkerIdx(at(TaskId(task))))
                .collect(),
            spec,
            signatures,
            registry,
            options,
            clock: Arc::new(ManualClock::new()),
            parts: Vec::new(),
            on_link: BTreeMap::new(),
            down: Vec::new(),
            n_delivered: 0,
        };
        parts.parts = (0..n_workers).map(|me| parts.launch(me)).collect();
        parts
    }

    fn launch(&self, me: u32) -> Simulation {
        let part = Part {
            me: WorkerIdx(me),
            workers: self.workers.clone(),
        };
        let options = Options {
            part: Some(part),
            ..self.options.clone()
        };
        let clock = self.clock.clone();
        Simulation::new(
            &self.spec,
            &self.signatures,
            &self.registry,
            services(),
            &options,
            clock,
        )
        .unwrap()
    }

    fn ports(&self, worker: usize) -> &Ports {
        self.parts[worker].ports().unwrap()
    }

    pub(crate) fn activate(&self) {
        self.parts.iter().for_each(Simulation::activate);
    }

    pub(crate) fn drain(&self) {
        self.parts.iter().for_each(Simulation::drain);
    }

    fn worker_of(&self, task: TaskId) -> usize {
        self.workers[task.idx()].0 as usize
    }

    /// Moves what it can over the links that are up; tells whether that was anything.
    fn move_links(&mut self) -> bool {
        let mut moved = false;
        for from in 0..self.parts.len() {
            for (edge, outlet) in self.ports(from).outlets.clone() {
                let to = self.worker_of(edge.reader);
                if self.down.contains(&(from, to)) {
                    continue;
                }
                let inlets = &self.ports(to).inlets;
                let inlet = inlets.iter().find(|(id, _)| *id == edge).unwrap().1.clone();
                while let Some(item) = self.on_link.remove(&(from, edge)).or_else(|| outlet.take())
                {
                    match inlet.try_deliver(item) {
                        Ok(()) => {
                            self.n_delivered += 1;
                            moved = true;
                        }
                        Err(Refused::Full(item)) => {
                            self.on_link.insert((from, edge), item);
                            break;
                        }
                        Err(Refused::Closed(item)) => {
                            self.lose(from, item, "the reader has ended");
                            moved = true;
                        }
                    }
                }
            }
            for (task, outlet) in self.ports(from).ack_outlets.clone() {
                let to = self.worker_of(task);
                if self.down.contains(&(from, to)) {
                    continue;
                }
                let mut words = Vec::new();
                outlet.take(&mut words);
                if words.is_empty() {
                    continue;
                }
                moved = true;
                let inlets = &self.ports(to).ack_inlets;
                let inlet = &inlets.iter().find(|(id, _)| *id == task).unwrap().1;
                inlet.contribute(&mut words);
            }
        }
        moved
    }

    fn lose(&self, from: usize, item: Item, why: &str) {
        if let Item::Rows(delivery) = item {
            let mut roots: Vec<RootId> = Vec::new();
            delivery.for_each_root(0, |root| roots.push(root));
            let failure = Failure::new(FailureReason::Lost, None, why);
            self.ports(from).events.roots_lost(&roots, &failure);
        }
    }

    /// Loses what a link has taken and not delivered; returns how many deliveries that was.
    pub(crate) fn break_link(&mut self, from: usize, to: usize) -> usize {
        let mut n_lost = 0;
        for (edge, outlet) in self.ports(from).outlets.clone() {
            if self.worker_of(edge.reader) == to {
                while let Some(item) = self.on_link.remove(&(from, edge)).or_else(|| outlet.take())
                {
                    self.lose(from, item, "the link broke");
                    n_lost += 1;
                }
            }
        }
        n_lost
    }

    /// Ends a worker as kill -9 does, and starts it again. The others hear of it.
    pub(crate) fn kill(&mut self, worker: usize) {
        for from in 0..self.parts.len() {
            if from != worker {
                self.break_link(from, worker);
            }
        }
        self.on_link.retain(|(from, _), _| *from != worker);
        self.parts[worker] = self.launch(worker as u32);
        self.parts[worker].activate();
        let peer = WorkerIdx(worker as u32);
        for from in (0..self.parts.len()).filter(|from| *from != worker) {
            self.ports(from).events.peer_ended(peer, Fence::default());
        }
    }

    fn step(&mut self) -> bool {
        let mut worked = false;
        for part in &mut self.parts {
            worked |= part.step();
        }
        self.move_links() || worked
    }

    pub(crate) fn step_times(&mut self, n: usize) {
        for _ in 0..n {
            self.step();
        }
    }

    pub(crate) fn run_until_idle(&mut self) {
        while self.step() {}
    }

    /// Moves time on, stopping at each moment at which a task wants to be run.
    pub(crate) fn advance(&mut self, by: Duration) {
        let until = self.clock.now() + by;
        loop {
            self.run_until_idle();
            match self
                .parts
                .iter()
                .filter_map(|part| part.next_due(until))
                .min()
            {
                Some(due) => self.clock.set(due),
                None => break,
            }
        }
        self.clock.set(until);
        self.run_until_idle();
    }

    pub(crate) fn run_to_end(&mut self, at_most: Duration) -> bool {
        let until = self.clock.now() + at_most;
        loop {
            self.run_until_idle();
            if self.parts.iter().all(Simulation::has_ended) {
                return true;
            }
            match self
                .parts
                .iter()
                .filter_map(|part| part.next_due(until))
                .min()
            {
                Some(due) => self.clock.set(due),
                None => return false,
            }
        }
    }
}

/// Numbers from one task in worker 0, over `pass` in workers 0 and 1, to a sink in worker 2.
fn chain(log: &Log, n: u64, grouping: Grouping) -> Parts {
    let mut bench = Bench::new();
    let (of_spout, of_sink) = (log.clone(), log.clone());
    bench.spout("in", 1, move || Numbers::new(&of_spout, n).retrying());
    let of_pass = log.clone();
    let pass = move || FnBolt::new(|input, out, _| Ok(out.emit(input.values())?)).logging(&of_pass);
    bench
        .bolt("pass", pass)
        .parallelism(2)
        .input("in", grouping);
    bench
        .bolt("sink", move || FnBolt::sink(&of_sink))
        .input("pass", Grouping::Global);
    Parts::new(bench, 3, |task| [0, 0, 1, 2][task.idx()])
}

fn numbers_at(log: &Log, component: &str) -> Vec<u64> {
    let values = log.executed_by(component);
    let mut numbers: Vec<u64> = values
        .iter()
        .map(|values| values[0].as_i64().unwrap() as u64)
        .collect();
    numbers.sort_unstable();
    numbers
}

fn n_timed_out(parts: &Parts) -> u64 {
    let tasks = parts.parts.iter().flat_map(|part| part.snapshot().tasks);
    tasks.map(|task| task.failed.timed_out).sum()
}

#[test]
fn parts_do_what_a_whole_topology_does() {
    let log = Log::default();
    let mut parts = chain(&log, 1000, Grouping::Shuffle);
    parts.activate();
    parts.run_until_idle();
    parts.drain();
    assert!(parts.run_to_end(Duration::from_secs(60)), "{parts:?}");
    assert_eq!(log.acked(), ids(0..1000));
    assert_eq!(numbers_at(&log, "sink"), ids(0..1000));
    assert!(log.failed().is_empty());
    assert_eq!(log.executed()["pass/0"], 500);
    assert!(parts.n_delivered > 2, "{}", parts.n_delivered);
}

#[test]
fn local_or_shuffle_stays_in_the_worker() {
    let log = Log::default();
    let mut parts = chain(&log, 100, Grouping::LocalOrShuffle);
    parts.activate();
    parts.run_until_idle();
    assert_eq!(log.acked(), ids(0..100));
    assert_eq!(log.executed()["pass/0"], 100);
}

#[test]
fn spouts_of_a_part_wait_until_it_is_activated() {
    let log = Log::default();
    let mut parts = chain(&log, 10, Grouping::Shuffle);
    parts.advance(Duration::from_secs(60));
    assert!(parts.parts.iter().all(Simulation::is_ready));
    assert_eq!(log.events(), []);
    parts.activate();
    parts.run_until_idle();
    assert_eq!(log.acked(), ids(0..10));
}

#[test]
fn what_a_link_loses_fails_at_once_and_is_replayed() {
    let log = Log::default();
    let mut parts = chain(&log, 3000, Grouping::Shuffle);
    parts.activate();
    let mut n_lost = 0;
    for round in 0..40 {
        parts.step_times(5);
        parts.down = vec![(0, 1)];
        parts.step_times(5);
        parts.down.clear();
        n_lost += parts.break_link(round % 2, 1 + round % 2);
    }
    parts.run_until_idle();
    assert!(n_lost > 3, "{n_lost}");
    let failed = log.failed();
    assert!(!failed.is_empty());
    assert!(
        failed
            .iter()
            .all(|(_, why)| why.reason == FailureReason::Lost)
    );
    assert_eq!(log.acked(), ids(0..3000));
    assert_eq!(n_timed_out(&parts), 0);
}

#[test]
fn what_an_ended_worker_had_fails_with_its_owners_and_is_replayed() {
    let log = Log::default();
    let mut parts = chain(&log, 3000, Grouping::Shuffle);
    parts.activate();
    for worker in [1, 2, 1, 2, 2, 1] {
        parts.step_times(7);
        parts.kill(worker);
    }
    let n_failed = log.failed().len();
    parts.run_until_idle();
    assert!(
        log.failed().len() > n_failed,
        "the last kill lost something"
    );
    assert_eq!(log.acked(), ids(0..3000));
    let mut seen = numbers_at(&log, "sink");
    let n_seen = seen.len();
    seen.dedup();
    assert_eq!(seen, ids(0..3000));
    assert!(n_seen > 3000, "what was replayed was seen again: {n_seen}");
    assert_eq!(n_timed_out(&parts), 0);
}

#[test]
fn what_waits_for_a_link_does_not_time_out() {
    let log = Log::default();
    let mut parts = chain(&log, 10, Grouping::Shuffle);
    parts.activate();
    parts.down = vec![(0, 1)];
    parts.advance(Duration::from_secs(300));
    assert_eq!(log.acked().len(), 5, "those that went over worker 0");
    assert!(log.failed().is_empty(), "{:?}", log.failed());
    parts.down.clear();
    parts.run_until_idle();
    assert_eq!(log.acked(), ids(0..10));
}

#[test]
fn a_source_that_ended_may_be_started_again_and_finds_its_bolts() {
    let log = Log::default();
    let mut parts = chain(&log, 10, Grouping::Shuffle);
    parts.activate();
    parts.advance(Duration::from_secs(1));
    assert_eq!(log.acked(), ids(0..10));
    assert!(log.said().contains(&"spout closed".to_owned()));
    assert!(!parts.parts[1].has_ended() && !parts.parts[2].has_ended());
    parts.kill(0);
    parts.advance(Duration::from_secs(1));
    assert_eq!(
        log.acked().len(),
        20,
        "the new source begins from the start"
    );
    assert!(log.failed().is_empty(), "{:?}", log.failed());
    parts.drain();
    assert!(parts.run_to_end(Duration::from_secs(1)), "{parts:?}");
}

#[test]
fn bolts_flush_at_the_end_of_input_wherever_it_was() {
    let log = Log::default();
    let mut bench = Bench::new();
    let (of_spout, of_sink) = (log.clone(), log.clone());
    bench.spout("in", 1, move || Numbers::new(&of_spout, 100));
    let sum = || {
        FnBolt::new(|_, _, _| Ok(()))
            .on_flush(|out, state| Ok(out.emit([std::mem::take(&mut state.seen) as i64])?))
    };
    bench.bolt("sum", sum).input("in", Grouping::Shuffle);
    bench
        .bolt("sink", move || FnBolt::sink(&of_sink))
        .input("sum", Grouping::Global);
    let mut parts = Parts::new(bench, 3, |task| task.0);
    parts.activate();
    parts.advance(Duration::from_secs(1));
    assert_eq!(numbers_at(&log, "sink"), [100]);
}

/// `back` keeps what comes from `late` for five seconds and passes it on to `x`, which is done with `early`
/// long before that.
#[test]
fn a_drain_lets_trees_go_round_a_cycle_over_workers_whose_other_sources_have_ended() {
    let (early, late) = (Log::default(), Log::default());
    let mut bench = Bench::new();
    let (of_early, of_late) = (early.clone(), late.clone());
    bench.spout("early", 1, move || Numbers::new(&of_early, 3));
    bench.spout("late", 1, move || Numbers::new(&of_late, 3));
    let x = || FnBolt::new(|_, _, _| Ok(()));
    let x = bench.bolt("x", x).input("early", Grouping::Global);
    x.input("back", Grouping::Global);
    let back = || {
        FnBolt::new(|_, out, state| {
            state.tokens.push(out.defer());
            Ok(())
        })
        .on_tick(|out, state| {
            for token in state.tokens.drain(..) {
                out.anchored(&[&token]).emit([1])?;
                token.ack();
            }
            Ok(())
        })
    };
    let back = bench.bolt("back", back).tick(Duration::from_secs(5));
    back.input("late", Grouping::Global)
        .input("x", Grouping::Global);
    let mut parts = Parts::new(bench, 2, |task| task.0 % 2);
    parts.activate();
    parts.advance(Duration::from_secs(1));
    assert_eq!((early.acked(), late.acked()), (ids(0..3), Vec::new()));
    parts.drain();
    assert!(parts.run_to_end(Duration::from_secs(60)), "{parts:?}");
    assert_eq!((late.acked(), late.failed()), (ids(0..3), Vec::new()));
}

#[test]
fn a_cycle_over_workers_that_moves_slowly_is_not_taken_for_jammed() {
    let log = Log::default();
    let mut bench = Bench::new();
    // Room for all that goes forward, and for little of what comes back.
    bench.topology.settings().edge_bytes = "16KiB".parse().unwrap();
    let of_spout = log.clone();
    bench.spout("in", 1, move || Numbers::new(&of_spout, 100));
    let clock: Arc<OnceLock<Arc<ManualClock>>> = Arc::default();
    let of_slow = clock.clone();
    let slow = move || {
        let clock = of_slow.clone();
        FnBolt::new(move |input, out, _| {
            if input.source() == "in" {
                out.emit(input.values())?;
            } else if let Some(clock) = clock.get() {
                // Several seconds for a batch.
                clock.advance(Duration::from_millis(50));
            }
            Ok(())
        })
    };
    let slow = bench.bolt("slow", slow).input("in", Grouping::Global);
    slow.input("back", Grouping::Global);
    let back = || {
        FnBolt::new(|_, out, _| {
            for _ in 0..4 {
                out.emit(["x".repeat(512)])?;
            }
            Ok(())
        })
    };
    bench.bolt("back", back).input("slow", Grouping::Global);
    let mut parts = Parts::new(bench, 2, |task| [0, 0, 1][task.idx()]);
    clock.set(parts.clock.clone()).unwrap();
    parts.activate();
    parts.advance(Duration::from_secs(120));
    let tasks = parts.parts.iter().flat_map(|part| part.snapshot().tasks);
    let n_dropped: u64 = tasks.map(|task| task.cycle_drops).sum();
    assert_eq!((n_dropped, log.failed()), (0, Vec::new()));
    assert_eq!(log.acked(), ids(0..100));
}

#[test]
fn a_worker_that_is_superseded_ends() {
    let log = Log::default();
    let mut parts = chain(&log, 10, Grouping::Shuffle);
    parts.ports(1).events.superseded(Fence::default());
    parts.run_until_idle();
    assert!(parts.parts[1].has_ended());
    let failure = parts.parts[1].failure().unwrap().to_string();
    assert!(
        failure.starts_with("a newer copy of this worker runs"),
        "{failure}"
    );
    assert!(!log.events().contains(&Event::Said("spout closed".into())));
}
