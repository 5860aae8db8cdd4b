//! What links see of one part of a topology: each test is the other workers itself. In virtual time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

use squall_core::engine::{
    Anchor, Batch, Contribution, Cursor, Delivery, Inlet, Item, Mark, Refused, Roots, Run, Word,
    WorkerIdx,
};
use squall_core::{
    Failure, FailureReason, Fence, Grouping, ManualClock, Moment, Registry, Schema, TaskId,
    TopologySpec, Value,
};
use squall_plan::Signatures;
use squall_runtime::{Options, Part, Services, Simulation};

use crate::flow::Endless;
use crate::kit::{Bench, FnBolt, Log, Numbers, ids, services};

/// A topology whose parts are made one at a time.
struct Cluster {
    spec: TopologySpec,
    signatures: Signatures,
    registry: Arc<Registry>,
    options: Options,
    workers: Vec<WorkerIdx>,
}

impl Cluster {
    /// `workers` says for each task where it runs.
    fn new(bench: Bench, workers: &[u32]) -> Self {
        let (spec, signatures, registry, options) = bench.parts();
        Self {
            spec,
            signatures,
            registry,
            options,
            workers: workers.iter().map(|worker| WorkerIdx(*worker)).collect(),
        }
    }

    /// Makes one worker's part, as its `incarnation`.
    fn part(&self, me: u32, incarnation: u64) -> Simulation {
        let part = Part {
            me: WorkerIdx(me),
            workers: self.workers.clone(),
        };
        let options = Options {
            part: Some(part),
            ..self.options.clone()
        };
        let fence = Fence {
            incarnation,
            ..Fence::default()
        };
        let services = Services {
            fence,
            ..services()
        };
        let (spec, signatures, registry) = (&self.spec, &self.signatures, &self.registry);
        let clock = Arc::new(ManualClock::new());
        Simulation::new(spec, signatures, registry, services, &options, clock).unwrap()
    }
}

/// Counts how often a link was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// One untracked number, as it arrives from a task of `in`.
fn number(source: TaskId) -> Item {
    let schema = Schema::new("in".into(), "default".into(), vec!["n".into()]);
    let mut batch = Batch::new(schema, source);
    batch.push(&mut vec![Value::I64(1)]);
    let run = Run {
        batch_idx: 0,
        n_rows: 1,
        roots: Roots::None,
    };
    let rows = Delivery::new(vec![Arc::new(batch)], vec![run], Vec::new(), Moment::ZERO);
    Item::Rows(rows)
}

/// The rows of a delivery of one stream, each as a delivery of its own.
fn one_by_one(item: Item) -> Vec<Item> {
    let Item::Rows(rows) = item else {
        panic!("{item:?}")
    };
    let (mut cursor, mut items) = (Cursor::new(&rows), Vec::new());
    while let Some(place) = cursor.advance(&rows) {
        let whole = &rows.batches[place.batch_idx];
        let mut batch = Batch::new(whole.schema().clone(), whole.source());
        batch.push(&mut whole.row(place.row_idx).to_vec());
        let run = Run {
            batch_idx: 0,
            n_rows: 1,
            roots: place.roots.clone(),
        };
        let edges = place.edges.to_vec();
        let row = Delivery::new(vec![Arc::new(batch)], vec![run], edges, Moment::ZERO);
        items.push(Item::Rows(row));
    }
    items
}

fn is_full(inlet: &dyn Inlet, source: TaskId) -> bool {
    matches!(inlet.try_deliver(number(source)), Err(Refused::Full(_)))
}

#[test]
fn each_link_that_waits_for_room_at_a_reader_is_woken() {
    let log = Log::default();
    let mut bench = Bench::new();
    bench.topology.settings().edge_batches = 1;
    let (of_spout, of_sink) = (log.clone(), log.clone());
    bench.spout("in", 2, move || Numbers::new(&of_spout, 0));
    bench
        .bolt("sink", move || FnBolt::sink(&of_sink))
        .global("in");
    let mut part = Cluster::new(bench, &[0, 1, 2]).part(2, 1);
    let inlet = part.ports().unwrap().inlets[0].1.clone();

    assert!(!is_full(&*inlet, TaskId(0)) && is_full(&*inlet, TaskId(1)));
    let links: [Arc<Woken>; 2] = Default::default();
    let wakers = links.each_ref().map(|link| Waker::from(link.clone()));
    // One of them asks twice: that counts once.
    for waker in [&wakers[0], &wakers[1], &wakers[0]] {
        inlet.await_room(waker);
    }
    part.run_until_idle();
    assert!(!is_full(&*inlet, TaskId(1)));
    let n_woken = links.map(|link| link.0.load(Ordering::SeqCst));
    assert_eq!(n_woken, [1, 1]);
    assert_eq!(log.executed()["sink/0"], 1);
}

#[test]
fn what_is_said_to_an_ended_copy_of_a_worker_reaches_no_tree_of_the_next() {
    let log = Log::default();
    let mut bench = Bench::new();
    bench.topology.settings().seed = Some(7);
    let (of_spout, of_sink) = (log.clone(), log.clone());
    bench.spout("in", 1, move || Numbers::new(&of_spout, 10));
    bench
        .bolt("sink", move || FnBolt::sink(&of_sink))
        .global("in");
    let cluster = Cluster::new(bench, &[0, 1]);
    let (mut old, mut sinks) = (cluster.part(0, 1), cluster.part(1, 1));
    old.activate();
    old.run_until_idle();
    while let Some(item) = old.ports().unwrap().outlets[0].1.take() {
        sinks.ports().unwrap().inlets[0]
            .1
            .try_deliver(item)
            .unwrap();
    }
    sinks.run_until_idle();
    assert_eq!(log.executed()["sink/0"], 10);
    let mut words = Vec::new();
    sinks.ports().unwrap().ack_outlets[0].1.take(&mut words);
    assert!(!words.is_empty());
    drop(old);

    // Its tuples haven't left.
    let mut new = cluster.part(0, 2);
    new.activate();
    new.run_until_idle();
    new.ports().unwrap().ack_inlets[0].1.contribute(&mut words);
    new.run_until_idle();
    assert_eq!((log.acked(), log.failed()), (Vec::new(), Vec::new()));
    assert_eq!(new.snapshot().pending(), 10);
}

/// The anchors of all rows that a link takes.
fn take_anchors(part: &Simulation) -> Vec<Anchor> {
    let mut anchors = Vec::new();
    while let Some(item) = part.ports().unwrap().outlets[0].1.take() {
        let Item::Rows(rows) = item else { continue };
        let mut cursor = Cursor::new(&rows);
        while let Some(place) = cursor.advance(&rows) {
            anchors.extend_from_slice(place.roots.anchors(place.edges).as_slice());
        }
    }
    anchors
}

/// Says something about each of these trees to their owner, the first task.
fn say(part: &Simulation, anchors: &[Anchor], word: impl Fn(u64) -> Word) {
    let contribution = |anchor: &Anchor| Contribution {
        slot: anchor.root.slot,
        generation: anchor.root.generation,
        word: word(anchor.edge),
    };
    let mut words = anchors.iter().map(contribution).collect();
    part.ports().unwrap().ack_inlets[0].1.contribute(&mut words);
}

#[test]
fn held_tuples_that_fill_their_bound_in_one_part_stop_nothing_and_are_shown() {
    let log = Log::default();
    let mut bench = Bench::new();
    // A number takes 24 bytes.
    bench.topology.settings().max_held_bytes = "240B".parse().unwrap();
    bench.topology.settings().max_spout_pending = 10;
    let of_spout = log.clone();
    bench.spout("in", 1, move || Numbers::new(&of_spout, 20));
    bench
        .bolt("window", || FnBolt::new(|_, _, _| Ok(())))
        .global("in");
    let mut part = Cluster::new(bench, &[0, 1]).part(0, 1);
    part.activate();
    part.run_until_idle();
    let held = take_anchors(&part);
    assert_eq!(held.len(), 10);
    say(&part, &held, |_| Word::Hold);
    // What they wait for may be another worker's.
    part.advance(Duration::from_secs(60));
    assert_eq!(part.failure(), None);
    let task = part.snapshot().tasks[0].clone();
    assert_eq!((task.pending, task.held), (0, 10));
    let error = task.last_error.unwrap();
    assert!(error.contains("max_held_bytes (240B)"), "{error}");

    say(&part, &held, |_| Word::Release);
    say(&part, &held, Word::Xor);
    part.run_until_idle();
    assert_eq!(log.acked(), ids(0..10));
    assert_eq!(take_anchors(&part).len(), 10);
}

#[test]
fn a_bolt_is_not_called_for_ever_while_what_it_emits_finds_no_room() {
    let mut bench = Bench::new();
    bench.topology.settings().edge_batches = 4;
    bench.spout("in", 1, || Endless);
    let numbers = || {
        FnBolt::new(|_, _, _| Ok(())).on_tick(|out, state| {
            state.seen += 1;
            Ok(out.emit([state.seen as i64])?)
        })
    };
    bench
        .bolt("ticks", numbers)
        .tick(Duration::from_millis(100))
        .global("in");
    bench
        .bolt("sink", || FnBolt::new(|_, _, _| Ok(())))
        .global("ticks");
    let mut part = Cluster::new(bench, &[0, 0, 1]).part(0, 1);
    part.activate();
    part.advance(Duration::from_secs(3600));
    let n_emitted = |part: &Simulation| part.snapshot().tasks[1].streams[0].emitted;
    assert!(n_emitted(&part) <= 100, "{}", n_emitted(&part));
    let outlet = part.ports().unwrap().outlets[0].1.clone();
    let mut taken_for = |seconds: u64| {
        for _ in 0..10 * seconds {
            while outlet.take().is_some() {}
            part.advance(Duration::from_millis(100));
        }
        n_emitted(&part)
    };
    let n_before = taken_for(5);
    assert_eq!(taken_for(10), n_before + 100);
}

#[test]
fn trees_that_never_leave_their_worker_outlive_another() {
    let log = Log::default();
    let mut bench = Bench::new();
    let (of_spout, of_far) = (log.clone(), Log::default());
    bench.spout("in", 2, move || Numbers::new(&of_spout, 5));
    bench.spout("far", 1, move || Numbers::new(&of_far, 5));
    // Keeps its tuples, so that their trees are pending.
    let keep = || {
        FnBolt::new(|_, out, state| {
            state.tokens.push(out.defer());
            Ok(())
        })
    };
    let keep = bench.bolt("keep", keep).parallelism(2);
    keep.input("in", Grouping::LocalOrShuffle);
    bench
        .bolt("sink", || FnBolt::new(|_, _, _| Ok(())))
        .global("far");
    let mut part = Cluster::new(bench, &[0, 1, 0, 0, 1, 1]).part(0, 1);
    part.activate();
    part.run_until_idle();
    let pending = |part: &Simulation| {
        let tasks = part.snapshot().tasks;
        let of = |name: &str| tasks.iter().find(|task| task.component == name).unwrap();
        (of("in").pending, of("far").pending)
    };
    assert_eq!(pending(&part), (5, 5));
    let events = part.ports().unwrap().events.clone();
    events.peer_ended(WorkerIdx(1), Fence::default());
    part.run_until_idle();
    assert_eq!(pending(&part), (5, 0), "those of the sink in worker 1 fail");
    assert!(log.failed().is_empty(), "{:?}", log.failed());
}

/// The numbers that have failed as lost with an ended worker, since the last call.
fn lost_since(log: &Log, n_before: &mut usize) -> Vec<u64> {
    let failed = log.failed().split_off(*n_before);
    *n_before += failed.len();
    let lost = |(id, why): &(u64, Failure)| {
        assert_eq!(why.reason, FailureReason::Lost, "{why}");
        assert!(why.text.contains("has ended"), "{why}");
        *id
    };
    let mut lost: Vec<u64> = failed.iter().map(lost).collect();
    lost.sort_unstable();
    lost
}

#[test]
fn what_others_may_have_sent_to_a_worker_that_was_moved_fails_before_its_time() {
    let numbers = |log: &Log, workers: &[u32]| {
        let mut bench = Bench::new();
        bench.topology.settings().max_spout_pending = 5;
        let of_spout = log.clone();
        bench.spout("in", 1, move || Numbers::new(&of_spout, 20));
        let pass = || FnBolt::new(|input, out, _| Ok(out.emit(input.values())?));
        bench.bolt("pass", pass).global("in");
        bench
            .bolt("sink", || FnBolt::new(|_, _, _| Ok(())))
            .global("pass");
        let mut part = Cluster::new(bench, workers).part(0, 1);
        part.activate();
        part.run_until_idle();
        part
    };
    let sink = WorkerIdx(2);

    let log = Log::default();
    let (mut part, mut n_before) = (numbers(&log, &[0, 1, 2]), 0);
    let events = part.ports().unwrap().events.clone();
    events.peer_moved(sink, Fence::default());
    part.advance(Duration::from_millis(1));
    assert_eq!(lost_since(&log, &mut n_before), ids(0..5));
    // The next ones went out by then, and worker 1 may not have heard of it.
    part.advance(Duration::from_millis(3900));
    assert_eq!(lost_since(&log, &mut n_before), ids(0..0));
    part.advance(Duration::from_millis(200));
    assert_eq!(lost_since(&log, &mut n_before), ids(5..10));
    part.advance(Duration::from_secs(20));
    assert_eq!(lost_since(&log, &mut n_before), ids(0..0));

    // A copy that was started again in its place had no successor yet when it ended; and what only this
    // worker sends, it knows.
    for (workers, moved) in [([0, 1, 2], false), ([0, 0, 2], true)] {
        let log = Log::default();
        let (mut part, mut n_before) = (numbers(&log, &workers), 0);
        let events = part.ports().unwrap().events.clone();
        if moved {
            events.peer_moved(sink, Fence::default());
        } else {
            events.peer_ended(sink, Fence::default());
        }
        part.advance(Duration::from_secs(20));
        assert_eq!(lost_since(&log, &mut n_before), ids(0..5));
    }
}

#[test]
fn what_waits_in_a_part_that_is_stopped_fails_wherever_its_owner_is() {
    let log = Log::default();
    let mut bench = Bench::new();
    bench.topology.settings().edge_batches = 1;
    let (of_spout, of_pass) = (log.clone(), log.clone());
    bench.spout("in", 1, move || Numbers::new(&of_spout, 3));
    let pass = move || FnBolt::new(|input, out, _| Ok(out.emit(input.values())?)).logging(&of_pass);
    bench.bolt("pass", pass).global("in");
    bench
        .bolt("sink", || FnBolt::new(|_, _, _| Ok(())))
        .global("pass");
    let cluster = Cluster::new(bench, &[0, 1, 0]);
    let (mut spout, mut pass) = (cluster.part(0, 1), cluster.part(1, 1));
    spout.activate();
    spout.run_until_idle();
    let item = spout.ports().unwrap().outlets[0].1.take().unwrap();
    let [first, second, third] = one_by_one(item).try_into().unwrap();

    // One is sent on, one finds no room, and one isn't executed yet.
    let inlet = pass.ports().unwrap().inlets[0].1.clone();
    for item in [first, second] {
        inlet.try_deliver(item).unwrap();
        pass.run_until_idle();
    }
    inlet.try_deliver(third).unwrap();
    pass.run_until_idle();
    assert_eq!(log.executed()["pass/0"], 2);
    pass.force();
    pass.run_until_idle();
    assert!(pass.has_ended());

    let mut words = Vec::new();
    pass.ports().unwrap().ack_outlets[0].1.take(&mut words);
    spout.ports().unwrap().ack_inlets[0]
        .1
        .contribute(&mut words);
    spout.run_until_idle();
    let drained = |(id, why): &(u64, Failure)| {
        assert_eq!(why.reason, FailureReason::Drained);
        *id
    };
    let mut failed: Vec<u64> = log.failed().iter().map(drained).collect();
    failed.sort_unstable();
    assert_eq!(failed, [1, 2]);
}

#[test]
fn a_bolt_that_stays_after_the_end_of_its_input_flushes_once_and_again_if_more_comes() {
    let log = Log::default();
    let mut bench = Bench::new();
    let (of_spout, of_bolt) = (log.clone(), log.clone());
    bench.spout("in", 1, move || Numbers::new(&of_spout, 0));
    let ticks = move || {
        let log = of_bolt.clone();
        FnBolt::new(|_, _, _| Ok(()))
            .on_tick(|_, _| Ok(()))
            .on_flush(move |_, state| {
                log.say(format!("flushed {}", state.seen));
                Ok(())
            })
    };
    bench
        .bolt("ticks", ticks)
        .tick(Duration::from_secs(1))
        .global("in");
    let mut part = Cluster::new(bench, &[0, 1]).part(1, 1);
    part.activate();
    let inlet = part.ports().unwrap().inlets[0].1.clone();
    // Said twice, as by a task that was started again.
    let (end, number) = (|| Item::Mark(Mark::End(TaskId(0))), || number(TaskId(0)));
    for item in [number(), end(), end(), number()] {
        inlet.try_deliver(item).unwrap();
        part.advance(Duration::from_secs(10));
    }
    assert_eq!(log.said(), ["flushed 1", "flushed 2"]);
    assert!(!part.has_ended());
    part.drain();
    assert!(part.run_to_end(Duration::from_secs(1)));
    assert_eq!(log.said().len(), 2);
}

#[test]
fn a_part_that_drains_before_it_was_activated_ends_and_opens_no_spout() {
    let log = Log::default();
    let mut bench = Bench::new();
    let of_spout = log.clone();
    bench.spout("in", 1, move || Numbers::new(&of_spout, 10));
    bench
        .bolt("here", || FnBolt::new(|_, _, _| Ok(())))
        .global("in");
    bench
        .bolt("there", || FnBolt::new(|_, _, _| Ok(())))
        .global("in");
    let mut part = Cluster::new(bench, &[0, 0, 1]).part(0, 1);
    part.advance(Duration::from_secs(1));
    part.drain();
    part.activate();
    assert!(part.run_to_end(Duration::from_secs(1)));
    assert_eq!(log.events(), []);
    let outlet = &part.ports().unwrap().outlets[0].1;
    let end = Mark::End(TaskId(0));
    assert!(matches!(outlet.take(), Some(Item::Mark(mark)) if mark == end));
    assert!(outlet.take().is_none());
}
