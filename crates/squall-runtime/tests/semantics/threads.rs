//! The same tasks on real threads: nothing is lost, nobody waits for a bolt that blocks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use squall_core::engine::WorkerIdx;
use squall_core::{Activity, Failure, MessageId, Outputs, Result, Spout, SpoutEmitter};
use squall_runtime::{Options, Part, Running, Services, SystemClock, TopologyState, start};

use crate::kit::{Bench, FnBolt, Log, Numbers, ids, services};

/// How long a test waits before it gives up; far more than it takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn run(bench: Bench) -> Running {
    let (mut spec, signatures, registry, options) = bench.parts();
    spec.settings.seed = None;
    let services = Services {
        clock: Arc::new(SystemClock::new()),
        ..services()
    };
    start(&spec, &signatures, &registry, services, &options).unwrap()
}

#[test]
fn everything_is_acked_across_loops_whatever_fails_on_the_way() {
    for (n_loops, fuse) in [(1, true), (2, true), (4, false)] {
        let log = Log::default();
        let mut bench = Bench::new();
        bench.options.n_loops = Some(n_loops);
        bench.options.fuse = fuse;
        bench.topology.settings().restart_backoff = "1ms".parse().unwrap();
        bench.topology.settings().edge_bytes = "4KiB".parse().unwrap();
        let spout_log = log.clone();
        bench.spout("in", 2, move || Numbers::new(&spout_log, 5000).retrying());
        bench
            .bolt("flaky", || {
                FnBolt::new(|input, out, state| {
                    if state.seen.is_multiple_of(10) {
                        return Err("every tenth".into());
                    }
                    assert!(!state.seen.is_multiple_of(1001), "a habit");
                    for _ in 0..3 {
                        out.emit(input.values())?;
                    }
                    Ok(())
                })
            })
            .parallelism(2)
            .local_or_shuffle("in");
        let sink_log = log.clone();
        bench
            .bolt("sink", move || FnBolt::sink(&sink_log))
            .parallelism(3)
            .fields("flaky", ["n"]);
        let running = run(bench);
        assert_eq!(
            running.wait(Some(PATIENCE)),
            Some(Ok(())),
            "{:#?}",
            running.snapshot()
        );
        let mut expected: Vec<u64> = ids(0..5000).into_iter().flat_map(|id| [id, id]).collect();
        expected.sort_unstable();
        assert_eq!(log.acked(), expected, "{n_loops} loops");
        assert!(log.failed().len() > 500);
        assert!(log.executed_by("sink").len() >= 30_000);
        let snapshot = running.snapshot();
        assert_eq!(snapshot.state, TopologyState::Finished);
        assert!(snapshot.of("flaky").map(|task| task.restarts).sum::<u64>() > 0);
    }
}

#[test]
fn a_bolt_that_blocks_stalls_nobody_else() {
    let (free, blocked) = (Log::default(), Log::default());
    let (release, released) = bounded::<()>(0);
    let mut bench = Bench::new();
    // All on one loop: the bolt that blocks holds its only thread.
    bench.options.n_loops = Some(1);
    let free_log = free.clone();
    bench.spout("free", 1, move || Numbers::new(&free_log, 20_000));
    let free_sink = free.clone();
    bench
        .bolt("free-sink", move || FnBolt::sink(&free_sink))
        .shuffle("free");
    let blocked_log = blocked.clone();
    bench.spout("stuck", 1, move || Numbers::new(&blocked_log, 10));
    bench
        .bolt("blocks", move || {
            let released = released.clone();
            FnBolt::new(move |_, _, _| {
                released.recv().unwrap_or_default();
                Ok(())
            })
        })
        .shuffle("stuck");
    let running = run(bench);
    let clock = SystemClock::new();
    while free.acked().len() < 20_000 {
        assert!(
            squall_core::Clock::now(&clock).as_nanos() < 60_000_000_000,
            "the free half stands still"
        );
        assert_eq!(running.wait(Some(Duration::from_millis(5))), None);
    }
    assert!(blocked.acked().is_empty());
    drop(release);
    assert_eq!(running.wait(Some(PATIENCE)), Some(Ok(())));
    assert_eq!(blocked.acked(), ids(0..10));
}

#[test]
fn a_dedicated_bolt_runs_beside_the_loops() {
    let log = Log::default();
    let mut bench = Bench::new();
    bench.options.n_loops = Some(1);
    let spout_log = log.clone();
    bench.spout("in", 1, move || Numbers::new(&spout_log, 10_000));
    let sink_log = log.clone();
    bench
        .bolt("sink", move || {
            let log = sink_log.clone();
            FnBolt::new(move |_, _, state| {
                if state.seen == 1 {
                    log.say(std::thread::current().name().unwrap_or_default());
                }
                Ok(())
            })
        })
        .dedicated()
        .shuffle("in");
    let running = run(bench);
    assert_eq!(running.wait(Some(PATIENCE)), Some(Ok(())));
    assert_eq!(log.acked(), ids(0..10_000));
    assert!(
        log.said().contains(&"squall-sink-1".to_owned()),
        "{:?}",
        log.said()
    );
}

#[test]
fn a_forced_end_tells_the_spout_of_all_that_was_pending() {
    let log = Log::default();
    let mut bench = Bench::new();
    let spout_log = log.clone();
    bench.spout("in", 1, move || Numbers::new(&spout_log, 100));
    bench
        .bolt("hoard", || {
            FnBolt::new(|_, out, state| {
                state.tokens.push(out.defer());
                Ok(())
            })
        })
        .shuffle("in");
    let running = run(bench);
    while running.snapshot().pending() < 100 {
        assert_eq!(running.wait(Some(Duration::from_millis(1))), None);
    }
    running.force();
    assert_eq!(running.wait(Some(PATIENCE)), Some(Ok(())));
    assert_eq!(log.failed().len(), 100);
    assert!(
        log.failed()
            .iter()
            .all(|(_, failure)| !failure.reason.counts_as_attempt())
    );
}

/// Emits three batches without tracking; the edge takes the first two while the sink is held up, and has
/// room for the third before `next_tuple` returns.
#[derive(Clone)]
struct ThreeBatches {
    begun: Receiver<()>,
    release: Sender<()>,
    passed: Receiver<()>,
    n_calls: u32,
}

impl Spout for ThreeBatches {
    fn outputs(&self) -> Outputs {
        Outputs::fields(["n"])
    }

    fn next_tuple(&mut self, out: &mut SpoutEmitter<'_>) -> Result<Activity> {
        self.n_calls += 1;
        // Not in the first slice: a task that has just started is run again anyway.
        match self.n_calls {
            ..20 => return Ok(Activity::Emitted),
            20 => {}
            _ => return Ok(Activity::Finished),
        }
        for n in 0..3 * BATCH {
            if n == BATCH {
                self.begun.recv_timeout(PATIENCE)?;
            }
            out.emit([n])?;
        }
        self.release.send(())?;
        self.passed.recv_timeout(PATIENCE)?;
        Ok(Activity::Emitted)
    }
}

/// The rows of a full batch.
const BATCH: i64 = 256;

#[test]
fn an_untracked_source_goes_on_when_room_comes_within_its_slice() {
    // No ack wakes it: it has to notice by itself that the edge refused and then had room again.
    let ((began, begun), (release, released), (pass, passed)) =
        (bounded(1), bounded(1), bounded(1));
    let spout = ThreeBatches {
        begun,
        release,
        passed,
        n_calls: 0,
    };
    let mut bench = Bench::new();
    bench.topology.settings().edge_bytes = "1KiB".parse().unwrap();
    bench.spout("in", 1, move || spout.clone());
    bench
        .bolt("sink", move || {
            let (began, released, pass) = (began.clone(), released.clone(), pass.clone());
            FnBolt::new(move |_, _, state| {
                if state.seen == 1 {
                    began.send(())?;
                    released.recv_timeout(PATIENCE).unwrap_or_default();
                } else if state.seen == 2 * BATCH as u64 {
                    pass.send(())?;
                }
                Ok(())
            })
        })
        .dedicated()
        .shuffle("in");
    let running = run(bench);
    assert_eq!(
        running.wait(Some(PATIENCE)),
        Some(Ok(())),
        "{:#?}",
        running.snapshot()
    );
}

#[test]
fn tuples_behind_one_on_which_a_bolt_blocks_do_not_time_out() {
    let log = Log::default();
    let clock = SystemClock::new();
    let mut bench = Bench::new();
    bench.options.call_after = Options::default().call_after;
    bench.topology.settings().message_timeout = "1s".parse().unwrap();
    let spout_log = log.clone();
    bench.spout("in", 1, move || Numbers::new(&spout_log, 500));
    let (release, released) = bounded::<()>(0);
    bench
        .bolt("blocks", move || {
            let released = released.clone();
            FnBolt::new(move |input, _, _| {
                if input.i64("n")? == 0 {
                    released.recv().unwrap_or_default();
                }
                Ok(())
            })
        })
        .shuffle("in");
    let running = run(bench);
    // The first tuple itself has been executed for longer than the time-out: it alone fails.
    while log.failed().is_empty() || squall_core::Clock::now(&clock).as_nanos() < 4_000_000_000 {
        assert_eq!(running.wait(Some(Duration::from_millis(10))), None);
    }
    drop(release);
    assert_eq!(running.wait(Some(PATIENCE)), Some(Ok(())));
    let failed: Vec<u64> = log.failed().iter().map(|(id, _)| *id).collect();
    assert_eq!(failed, [0]);
    assert_eq!(log.acked(), ids(1..500));
}

/// Takes this long without asking the clock or the scheduler for more than that.
pub(crate) fn take(time: Duration) {
    let (_kept, never) = bounded::<()>(0);
    never.recv_timeout(time).unwrap_or_default();
}

#[test]
fn slow_tuples_of_one_slice_neither_time_out_nor_keep_the_acks_of_those_before() {
    let log = Log::default();
    let mut bench = Bench::new();
    bench.topology.settings().message_timeout = "1s".parse().unwrap();
    let spout_log = log.clone();
    bench.spout("in", 1, move || Numbers::new(&spout_log, 8));
    bench
        .bolt("slow", || {
            FnBolt::new(|_, _, _| {
                take(Duration::from_millis(400));
                Ok(())
            })
        })
        .shuffle("in");
    let running = run(bench);
    assert_eq!(running.wait(Some(PATIENCE)), Some(Ok(())));
    assert_eq!((log.failed(), log.acked()), (Vec::new(), ids(0..8)));
}

#[test]
fn a_cycle_that_moves_slowly_is_not_taken_for_jammed() {
    let log = Log::default();
    let mut bench = Bench::new();
    bench.options.fuse = false;
    bench.topology.settings().edge_bytes = "4KiB".parse().unwrap();
    let spout_log = log.clone();
    bench.spout("in", 1, move || Numbers::new(&spout_log, 60));
    bench
        .bolt("a", || {
            FnBolt::new(|input, out, _| {
                if input.source() == "in" {
                    out.emit(input.values())?;
                } else {
                    take(Duration::from_millis(15));
                }
                Ok(())
            })
        })
        .shuffle("in")
        .shuffle("b");
    bench
        .bolt("b", || {
            FnBolt::new(|input, out, _| {
                for _ in 0..4 {
                    out.emit(input.values())?;
                }
                Ok(())
            })
        })
        .shuffle("a");
    let running = run(bench);
    assert_eq!(running.wait(Some(PATIENCE)), Some(Ok(())));
    let drops: u64 = running
        .snapshot()
        .tasks
        .iter()
        .map(|task| task.cycle_drops)
        .sum();
    assert_eq!((drops, log.failed()), (0, Vec::new()));
}

/// Has always more, of which nobody hears.
struct Busy(Arc<AtomicU64>);

impl Spout for Busy {
    fn outputs(&self) -> Outputs {
        Outputs::fields(["n"])
    }

    fn next_tuple(&mut self, _: &mut SpoutEmitter<'_>) -> Result<Activity> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Activity::Emitted)
    }
}

#[test]
fn a_bolt_that_blocks_gives_no_neighbour_more_turns_than_another() {
    let log = Log::default();
    let (release, released) = bounded::<()>(0);
    let calls: [Arc<AtomicU64>; 2] = Default::default();
    let mut bench = Bench::new();
    bench.options.call_after = Options::default().call_after;
    bench.options.n_loops = Some(1);
    let of_spout = log.clone();
    bench.spout("stuck", 1, move || Numbers::new(&of_spout, 10_000));
    for (id, calls) in ["a", "b"].into_iter().zip(calls.clone()) {
        bench.spout(id, 1, move || Busy(calls.clone()));
    }
    // More comes than it can take: there is something for it to do all the time.
    bench
        .bolt("blocks", move || {
            let released = released.clone();
            FnBolt::new(move |_, _, _| {
                released.recv().unwrap_or_default();
                Ok(())
            })
        })
        .shuffle("stuck");
    let running = run(bench);
    let n_calls = || calls.each_ref().map(|n| n.load(Ordering::Relaxed));
    while running.snapshot().pending() < 10_000 {
        assert_eq!(running.wait(Some(Duration::from_millis(5))), None);
    }
    let before = n_calls();
    while n_calls()
        .iter()
        .zip(before)
        .any(|(n, before)| n - before < 100_000)
    {
        assert_eq!(running.wait(Some(Duration::from_millis(5))), None);
    }
    let after = n_calls();
    let [a, b] = [after[0] - before[0], after[1] - before[1]];
    drop(release);
    running.drain();
    assert_eq!(running.wait(Some(PATIENCE)), Some(Ok(())));
    assert!(a < 4 * b && b < 4 * a, "{a} {b}");
}

/// Emits the second of two numbers well after the first has been executed.
struct Spaced {
    numbers: Numbers,
    begun: bool,
}

impl Spout for Spaced {
    fn outputs(&self) -> Outputs {
        self.numbers.outputs()
    }

    fn next_tuple(&mut self, out: &mut SpoutEmitter<'_>) -> Result<Activity> {
        if std::mem::replace(&mut self.begun, true) && self.numbers.in_flight == 1 {
            return match self.numbers.queue.len() {
                0 => Ok(Activity::Idle),
                _ if self.numbers.log.executed().is_empty() => {
                    Ok(Activity::IdleFor(Duration::from_millis(10)))
                }
                _ => self.numbers.next_tuple(out),
            };
        }
        self.numbers.next_tuple(out)
    }

    fn ack(&mut self, id: MessageId) {
        self.numbers.ack(id);
    }

    fn fail(&mut self, id: MessageId, why: &Failure) {
        self.numbers.fail(id, why);
    }
}

#[test]
fn tuples_for_another_worker_do_not_time_out_behind_a_bolt_that_blocks() {
    let log = Log::default();
    let clock = SystemClock::new();
    let (release, released) = bounded::<()>(0);
    let mut bench = Bench::new();
    bench.options.call_after = Options::default().call_after;
    bench.topology.settings().message_timeout = "1s".parse().unwrap();
    let (of_spout, of_bolt) = (log.clone(), log.clone());
    bench.spout("in", 1, move || Spaced {
        numbers: Numbers::new(&of_spout, 2),
        begun: false,
    });
    bench
        .bolt("blocks", move || {
            let released = released.clone();
            FnBolt::new(move |input, out, _| {
                out.emit(input.values())?;
                if input.i64("n")? == 1 {
                    released.recv().unwrap_or_default();
                }
                Ok(())
            })
            .logging(&of_bolt)
        })
        .shuffle("in");
    bench
        .bolt("sink", || FnBolt::new(|_, _, _| Ok(())))
        .global("blocks");
    // The link to the worker of the sink is down.
    bench.options.part = Some(Part {
        me: WorkerIdx(0),
        workers: [0, 0, 1].map(WorkerIdx).into(),
    });
    let running = run(bench);
    running.activate();
    while log.failed().is_empty() || squall_core::Clock::now(&clock).as_nanos() < 4_000_000_000 {
        assert_eq!(running.wait(Some(Duration::from_millis(10))), None);
    }
    let failed: Vec<u64> = log.failed().iter().map(|(id, _)| *id).collect();
    drop(release);
    drop(running);
    assert_eq!(failed, [1]);
}

/// Emits a number each millisecond.
struct Ticker(i64);

impl Spout for Ticker {
    fn outputs(&self) -> Outputs {
        Outputs::fields(["n"])
    }

    fn next_tuple(&mut self, out: &mut SpoutEmitter<'_>) -> Result<Activity> {
        self.0 += 1;
        match self.0 % 2 {
            0 => Ok(Activity::IdleFor(Duration::from_millis(1))),
            _ => {
                out.emit([self.0])?;
                Ok(Activity::Emitted)
            }
        }
    }
}

/// Runs ten times as fast.
#[derive(Debug)]
struct Hasty(SystemClock);

impl squall_core::Clock for Hasty {
    fn now(&self) -> squall_core::Moment {
        squall_core::Moment::from_nanos(self.0.now().as_nanos() * 10)
    }

    fn unix_ms(&self) -> u64 {
        self.0.unix_ms()
    }
}

#[test]
fn a_task_that_blocked_once_moves_back_to_its_loop() {
    let (release, released) = bounded::<()>(0);
    let threads: [Arc<Mutex<Option<ThreadId>>>; 2] = Default::default();
    let mut bench = Bench::new();
    bench.options.n_loops = Some(1);
    bench.options.call_after = u32::MAX;
    for (id, from, seen_on) in [("a", "in-a", &threads[0]), ("b", "in-b", &threads[1])] {
        let (released, seen_on) = (released.clone(), seen_on.clone());
        bench.spout(from, 1, || Ticker(0));
        let bolt = bench.bolt(id, move || {
            let (released, seen_on) = (released.clone(), seen_on.clone());
            FnBolt::new(move |_, _, state| {
                if id == "a" && state.seen == 10 {
                    released.recv().unwrap_or_default();
                }
                *seen_on.lock().unwrap() = Some(std::thread::current().id());
                Ok(())
            })
        });
        bolt.shuffle(from);
    }
    let (spec, signatures, registry, options) = bench.parts();
    let services = Services {
        clock: Arc::new(Hasty(SystemClock::new())),
        ..services()
    };
    let running = start(&spec, &signatures, &registry, services, &options).unwrap();
    let wait_for = |done: &dyn Fn() -> bool| {
        while !done() {
            assert_eq!(running.wait(Some(Duration::from_millis(1))), None);
        }
    };
    let busy_us = || {
        running
            .snapshot()
            .of("a")
            .map(|task| task.busy_us)
            .sum::<u64>()
    };
    wait_for(&|| busy_us() > 500_000);
    let seen_on = || threads.each_ref().map(|thread| *thread.lock().unwrap());
    release.send(()).unwrap();
    let apart = || matches!(seen_on(), [Some(a), Some(b)] if a != b);
    wait_for(&apart);
    wait_for(&|| !apart());
    running.drain();
    assert_eq!(running.wait(Some(PATIENCE)), Some(Ok(())));
}
