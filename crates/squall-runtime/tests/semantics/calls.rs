//! A fused bolt is called by the task in front of it: what that changes, and what it must not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::bounded;
use squall_core::{FailureReason, Value};
use squall_runtime::{Running, Services, SystemClock, start};

use crate::kit::{Bench, FnBolt, Log, Numbers, ids, services};

/// How long a test waits before it gives up; far more than it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tells calls from tuples that came over an edge: a called bolt executes while its caller does.
#[derive(Clone, Default)]
struct Watch {
    caller_executes: Arc<AtomicBool>,
    n_called: Arc<AtomicU64>,
    n_written: Arc<AtomicU64>,
}

impl Watch {
    /// A bolt that emits what it gets `copies` times.
    fn caller(&self, copies: u64) -> FnBolt {
        let watch = self.clone();
        FnBolt::new(move |input, out, _| {
            watch.caller_executes.store(true, Ordering::SeqCst);
            for _ in 0..copies {
                out.emit(input.values())?;
            }
            watch.caller_executes.store(false, Ordering::SeqCst);
            Ok(())
        })
    }

    fn note(&self) {
        match self.caller_executes.load(Ordering::SeqCst) {
            true => self.n_called.fetch_add(1, Ordering::SeqCst),
            false => self.n_written.fetch_add(1, Ordering::SeqCst),
        };
    }

    fn counts(&self) -> (u64, u64) {
        (
            self.n_called.load(Ordering::SeqCst),
            self.n_written.load(Ordering::SeqCst),
        )
    }
}

/// `in` emits numbers, `a` passes them on, `b` is called with them.
fn chain(
    n: u64,
    watch: &Watch,
    b: impl Fn(&Log) -> FnBolt + Send + Sync + 'static,
) -> (Log, Bench) {
    let log = Log::default();
    let mut bench = Bench::new();
    // So few that they are soon all executed, and the next ones find the edges empty.
    bench.topology.settings().max_spout_pending = 20;
    let (of_spout, of_b, of_a) = (log.clone(), log.clone(), watch.clone());
    bench.spout("in", 1, move || Numbers::new(&of_spout, n));
    bench.bolt("a", move || of_a.caller(1)).shuffle("in");
    let b = bench.bolt("b", move || b(&of_b));
    b.tick(Duration::from_secs(1)).shuffle("a");
    (log, bench)
}

fn numbers(rows: &[Vec<Value>]) -> Vec<u64> {
    let number = |row: &Vec<Value>| row.first().and_then(Value::as_i64).unwrap() as u64;
    rows.iter().map(number).collect()
}

#[test]
fn a_fused_bolt_is_called_after_its_trial() {
    let watch = Watch::default();
    let of_b = watch.clone();
    let (log, mut bench) = chain(1000, &watch, move |log| {
        let watch = of_b.clone();
        FnBolt::new(move |_, _, _| {
            watch.note();
            Ok(())
        })
        .logging(log)
    });
    bench.options.call_after = 100;
    let snapshot = bench.run();
    assert_eq!(log.acked(), ids(0..1000));
    assert_eq!(numbers(&log.executed_by("b")), ids(0..1000));
    let (called, written) = watch.counts();
    assert!(called > 0 && written >= 100, "{called} {written}");
    let b = snapshot.of("b").next().unwrap();
    assert_eq!((b.executed, b.acked), (1000, 1000));
    assert_eq!((b.queue_us.n, b.execute_us.n), (1000, 1000));
    let a = snapshot.of("a").next().unwrap();
    assert_eq!(
        (a.streams[0].emitted, a.streams[0].transferred),
        (1000, 1000)
    );
}

#[test]
fn order_stays_where_a_called_bolt_parks_and_is_written_to() {
    let watch = Watch::default();
    let of_b = watch.clone();
    let (log, mut bench) = chain(500, &watch, move |log| {
        let watch = of_b.clone();
        FnBolt::new(move |input, out, _| {
            watch.note();
            for _ in 0..5 {
                out.emit(input.values())?;
            }
            Ok(())
        })
        .logging(log)
    });
    bench.topology.settings().edge_bytes.0 = 512;
    let of_sink = log.clone();
    // On a loop of its own: the simulation lets it fall behind.
    bench
        .bolt("sink", move || FnBolt::sink(&of_sink))
        .parallelism(2)
        .fields("b", ["n"]);
    bench.run();
    assert_eq!(log.acked(), ids(0..500));
    assert_eq!(numbers(&log.executed_by("b")), ids(0..500));
    let (called, written) = watch.counts();
    assert!(called > 0 && written > 0, "{called} {written}");
    for task in ["sink/0", "sink/1"] {
        let rows: Vec<_> = log.executed_of(task);
        let numbers = numbers(&rows);
        assert!(numbers.is_sorted(), "{task}: {numbers:?}");
    }
    assert_eq!(log.executed_by("sink").len(), 2500);
}

#[test]
fn keys_whose_task_shares_the_loop_never_leave_it() {
    let watch = Watch::default();
    let log = Log::default();
    let mut bench = Bench::new();
    bench.topology.settings().max_spout_pending = 20;
    let (of_spout, of_a) = (log.clone(), watch.clone());
    bench.spout("in", 1, move || Numbers::new(&of_spout, 2000));
    let a = bench.bolt("a", move || of_a.caller(1));
    // In turn: even numbers to one task, odd ones to the other.
    a.parallelism(2).shuffle("in");
    let (of_b, of_log) = (watch.clone(), log.clone());
    let b = bench.bolt("b", move || {
        let watch = of_b.clone();
        FnBolt::new(move |_, _, _| {
            watch.note();
            Ok(())
        })
        .logging(&of_log)
    });
    b.parallelism(2).fields("a", ["n"]);
    let snapshot = bench.run();
    let mut acked = log.acked();
    acked.sort_unstable();
    assert_eq!(acked, ids(0..2000));
    let (called, written) = watch.counts();
    assert_eq!(called + written, 2000);
    assert!(called > 0 && written > 0, "{called} {written}");
    for (task, id) in snapshot.of("b").zip(["b/0", "b/1"]) {
        let numbers = numbers(&log.executed_of(id));
        assert_eq!(task.executed, numbers.len() as u64);
        let (even, odd): (Vec<u64>, Vec<u64>) = numbers.iter().partition(|n| *n % 2 == 0);
        assert!(even.is_sorted() && odd.is_sorted(), "{id}: {numbers:?}");
    }
}

#[test]
fn a_chain_however_long_is_called_only_so_deep() {
    let log = Log::default();
    let mut bench = Bench::new();
    bench.topology.settings().max_spout_pending = 5;
    let of_spout = log.clone();
    bench.spout("b0", 1, move || Numbers::new(&of_spout, 40));
    let (depth, deepest): (Arc<AtomicU64>, Arc<AtomicU64>) = Default::default();
    for n in 1..=200 {
        let (depth, deepest) = (depth.clone(), deepest.clone());
        let bolt = bench.bolt(&format!("b{n}"), move || {
            let (depth, deepest) = (depth.clone(), deepest.clone());
            FnBolt::new(move |input, out, _| {
                let own = depth.fetch_add(1, Ordering::SeqCst) + 1;
                deepest.fetch_max(own, Ordering::SeqCst);
                let emitted = out.emit(input.values());
                depth.fetch_sub(1, Ordering::SeqCst);
                Ok(emitted?)
            })
        });
        bolt.shuffle(&format!("b{}", n - 1));
    }
    bench.run();
    assert_eq!(log.acked().len(), 40);
    let deepest = deepest.load(Ordering::SeqCst);
    assert!(deepest > 1 && deepest <= 17, "{deepest}");
}

#[test]
fn a_tree_fails_where_a_called_bolt_does_though_its_caller_is_well() {
    let watch = Watch::default();
    let of_b = watch.clone();
    // Two tasks of `a` and `b` each: the roots' owner is not in the chain.
    let log = Log::default();
    let mut bench = Bench::new();
    bench.topology.settings().restart_backoff = "1ms".parse().unwrap();
    let (of_spout, of_a) = (log.clone(), watch.clone());
    bench.spout("in", 1, move || Numbers::new(&of_spout, 600));
    let a = bench.bolt("a", move || of_a.caller(1));
    a.parallelism(2).shuffle("in");
    let b = bench.bolt("b", move || {
        let watch = of_b.clone();
        FnBolt::new(move |input, _, _| {
            watch.note();
            let n = input.i64("n")?;
            assert!(n != 300, "a habit");
            match n % 3 {
                0 => Err("every third".into()),
                _ => Ok(()),
            }
        })
    });
    b.parallelism(2).local_or_shuffle("a");
    bench.run();
    let (third, rest): (Vec<u64>, Vec<u64>) = (0..600).partition(|n| n % 3 == 0);
    let mut failed: Vec<u64> = log.failed().iter().map(|(id, _)| *id).collect();
    failed.sort_unstable();
    assert_eq!(failed, third);
    let mut acked = log.acked();
    acked.sort_unstable();
    assert_eq!(acked, rest);
    let reasons = log.failed().into_iter().map(|(_, failure)| failure.reason);
    assert!(
        reasons
            .into_iter()
            .all(|reason| reason == FailureReason::Rejected)
    );
    assert!(watch.counts().0 > 0);
}

#[test]
fn a_called_bolt_that_defers_keeps_the_tree() {
    let watch = Watch::default();
    let of_b = watch.clone();
    let (log, mut bench) = chain(500, &watch, move |_| {
        let watch = of_b.clone();
        FnBolt::new(move |_, out, state| {
            watch.note();
            state.tokens.push(out.defer());
            Ok(())
        })
        .on_tick(|_, state| {
            state.tokens.drain(..).for_each(squall_core::AckToken::ack);
            Ok(())
        })
    });
    bench.topology.settings().max_spout_pending = 1000;
    let mut simulation = bench.simulate();
    simulation.run_until_idle();
    let (called, written) = watch.counts();
    assert!(called > 0 && called + written == 500, "{called} {written}");
    assert_eq!(
        (log.acked().len(), simulation.snapshot().pending()),
        (0, 500)
    );
    simulation.advance(Duration::from_secs(1));
    assert_eq!(log.acked().len(), 500);
}

fn run(bench: Bench) -> Running {
    let (spec, signatures, registry, options) = bench.parts();
    let services = Services {
        clock: Arc::new(SystemClock::new()),
        ..services()
    };
    start(&spec, &signatures, &registry, services, &options).unwrap()
}

#[test]
fn a_bolt_that_begins_to_block_is_called_no_more_and_nothing_is_lost() {
    let watch = Watch::default();
    let (of_b, log) = (watch.clone(), Log::default());
    let (release, released) = bounded::<()>(0);
    let mut bench = Bench::new();
    bench.options.n_loops = Some(1);
    bench.options.call_after = 100;
    let (of_spout, of_a) = (log.clone(), watch.clone());
    bench.spout("in", 1, move || Numbers::new(&of_spout, 20_000));
    bench.bolt("a", move || of_a.caller(1)).shuffle("in");
    bench
        .bolt("b", move || {
            let (watch, released) = (of_b.clone(), released.clone());
            FnBolt::new(move |_, _, state| {
                watch.note();
                if state.seen == 5_000 || state.seen == 5_050 {
                    released.recv().unwrap_or_default();
                }
                Ok(())
            })
        })
        .shuffle("a");
    let running = run(bench);
    let wait_for = |done: &dyn Fn() -> bool| {
        while !done() {
            assert_eq!(running.wait(Some(Duration::from_millis(1))), None);
        }
    };
    // In a call: its callers are stuck with it for longer than a loop puts up with.
    let busy_us = |id: &str| {
        running
            .snapshot()
            .of(id)
            .map(|task| task.busy_us)
            .sum::<u64>()
    };
    wait_for(&|| busy_us("b") > 200_000);
    let (called, _) = watch.counts();
    assert!(called > 0 && busy_us("a") > 200_000, "{called}");
    release.send(()).unwrap();
    // Over its edge: its callers go on until that is full.
    wait_for(&|| busy_us("b") > 200_000 && busy_us("a") < 100_000);
    release.send(()).unwrap();
    drop(release);
    assert_eq!(running.wait(Some(PATIENCE)), Some(Ok(())));
    let mut acked = log.acked();
    acked.sort_unstable();
    assert_eq!(acked, ids(0..20_000));
    let (called, written) = watch.counts();
    assert_eq!(called + written, 20_000);
}
