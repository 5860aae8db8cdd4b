//! Flow: bounds on what is pending, activation, ticks, wakers, the end of input, drains.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use squall_core::{
    Activity, Bolt, Emitter, ManualClock, Outputs, Result, Spout, SpoutEmitter, TaskContext, Tuple,
};
use squall_runtime::{Simulation, TopologyState};

use crate::kit::{Bench, FnBolt, Log, Numbers, ids, services};

/// A bolt that ends nothing until it is told to flush.
fn hoarder() -> FnBolt {
    FnBolt::new(|_, out, state| {
        state.tokens.push(out.defer());
        Ok(())
    })
}

#[test]
fn no_more_is_pending_than_the_setting_allows() {
    let log = Log::default();
    let mut bench = Bench::new();
    bench.topology.settings().max_spout_pending = 100;
    let spout_log = log.clone();
    bench.spout("in", 1, move || Numbers::new(&spout_log, 1000));
    bench.bolt("hoard", hoarder).shuffle("in");
    let mut simulation = bench.simulate();
    simulation.advance(Duration::from_secs(1));
    let snapshot = simulation.snapshot();
    assert_eq!(snapshot.of("in").next().unwrap().pending, 100);
    assert_eq!(snapshot.of("hoard").next().unwrap().executed, 100);
}

#[test]
fn no_more_bytes_are_pending_than_the_setting_allows() {
    let log = Log::default();
    let mut bench = Bench::new();
    // A number takes 24 bytes.
    bench.topology.settings().max_spout_pending_bytes = "2400B".parse().unwrap();
    let spout_log = log.clone();
    bench.spout("in", 1, move || Numbers::new(&spout_log, 1000));
    bench.bolt("hoard", hoarder).shuffle("in");
    let mut simulation = bench.simulate();
    simulation.advance(Duration::from_secs(1));
    let task = simulation.snapshot().of("in").next().unwrap().clone();
    assert_eq!((task.pending, task.pending_bytes), (100, 2400));
}

#[test]
fn a_slow_bolt_slows_the_spout_within_the_edges_bound_and_nothing_times_out() {
    let log = Log::default();
    let mut bench = Bench::new();
    bench.options.fuse = false;
    bench.topology.settings().edge_bytes = "16KiB".parse().unwrap();
    bench.topology.settings().message_timeout = "10s".parse().unwrap();
    let spout_log = log.clone();
    bench.spout("in", 1, move || Numbers::new(&spout_log, 1500));
    // One tuple a second: the last one waits for 25 minutes, at a time-out of ten seconds.
    let clock = Arc::new(ManualClock::new());
    let bolt_clock = clock.clone();
    bench
        .bolt("slow", move || {
            let clock = bolt_clock.clone();
            FnBolt::new(move |_, _, _| {
                clock.advance(Duration::from_secs(1));
                Ok(())
            })
        })
        .shuffle("in");
    let (spec, signatures, registry, options) = bench.parts();
    let mut simulation =
        Simulation::new(&spec, &signatures, &registry, services(), &options, clock).unwrap();
    let mut most = 0;
    while !simulation.has_ended() {
        if !simulation.step() {
            simulation.advance(Duration::from_millis(100));
        }
        most = most.max(
            simulation
                .snapshot()
                .of("slow")
                .map(|task| task.queued_bytes)
                .sum(),
        );
    }
    assert!(simulation.snapshot().uptime >= Duration::from_secs(1500));
    // One batch may be in the bolt's hands besides.
    assert!(most > 8 * 1024 && most <= 16 * 1024, "{most}");
    assert!(log.failed().is_empty(), "{:?}", &log.failed()[..1]);
    assert_eq!(log.acked(), ids(0..1500));
}

#[test]
fn a_deactivated_topology_emits_nothing_and_goes_on_where_it_was() {
    let log = Log::default();
    let mut bench = Bench::new();
    bench.topology.settings().max_spout_pending = 10;
    let spout_log = log.clone();
    bench.spout("in", 1, move || Numbers::new(&spout_log, 100));
    let sink_log = log.clone();
    bench
        .bolt("sink", move || FnBolt::sink(&sink_log))
        .shuffle("in");
    let mut simulation = bench.simulate();
    simulation.step();
    simulation.deactivate();
    simulation.advance(Duration::from_secs(60));
    let before = log.acked().len();
    assert!(before < 100, "{before}");
    assert_eq!(simulation.snapshot().state, TopologyState::Inactive);
    assert_eq!(simulation.snapshot().pending(), 0);
    simulation.activate();
    assert!(simulation.run_to_end(Duration::from_secs(1)));
    assert_eq!(log.acked(), ids(0..100));
    assert_eq!(log.said(), ["deactivated", "activated", "spout closed"]);
}

#[test]
fn ticks_come_at_their_interval_and_missed_ones_are_not_made_up_for() {
    let log = Log::default();
    let mut bench = Bench::new();
    bench.spout("in", 1, || Endless);
    let bolt_log = log.clone();
    bench
        .bolt("b", move || {
            let log = bolt_log.clone();
            FnBolt::new(|_, _, _| Ok(())).on_tick(move |_, state| {
                let now = state.ctx.as_ref().unwrap().clock().now();
                log.say(format!("{}", now.as_nanos() / 1_000_000));
                Ok(())
            })
        })
        .tick(Duration::from_millis(400))
        .shuffle("in");
    let mut simulation = bench.simulate();
    simulation.advance(Duration::from_secs(2));
    assert_eq!(log.said(), ["400", "800", "1200", "1600", "2000"]);
}

/// Has nothing, and never says that it has finished.
pub(crate) struct Endless;

impl Spout for Endless {
    fn outputs(&self) -> Outputs {
        Outputs::fields(["n"])
    }

    fn next_tuple(&mut self, _: &mut SpoutEmitter<'_>) -> Result<Activity> {
        Ok(Activity::Idle)
    }
}

/// Emits one tuple each time it is asked after its waker was woken, and sleeps for a second otherwise.
struct Woken {
    asked: Arc<AtomicU64>,
    waker: Arc<std::sync::Mutex<Option<std::task::Waker>>>,
    pause: Option<Duration>,
}

impl Spout for Woken {
    fn outputs(&self) -> Outputs {
        Outputs::fields(["n"])
    }

    fn open(&mut self, ctx: &mut TaskContext) -> Result<()> {
        *self.waker.lock().unwrap() = Some(ctx.waker());
        Ok(())
    }

    fn next_tuple(&mut self, _: &mut SpoutEmitter<'_>) -> Result<Activity> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(self.pause.map_or(Activity::Idle, Activity::IdleFor))
    }
}

fn woken(
    pause: Option<Duration>,
) -> (Arc<AtomicU64>, squall_runtime::Simulation, std::task::Waker) {
    let asked = Arc::new(AtomicU64::new(0));
    let waker = Arc::default();
    let mut bench = Bench::new();
    let (spout_asked, spout_waker) = (asked.clone(), Arc::clone(&waker));
    bench.spout("in", 1, move || Woken {
        asked: spout_asked.clone(),
        waker: Arc::clone(&spout_waker),
        pause,
    });
    let mut simulation = bench.simulate();
    simulation.run_until_idle();
    let waker = waker.lock().unwrap().clone().unwrap();
    (asked, simulation, waker)
}

#[test]
fn an_idle_spout_is_not_asked_again_until_it_is_woken() {
    let (asked, mut simulation, waker) = woken(None);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    simulation.advance(Duration::from_secs(3600));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    waker.wake_by_ref();
    simulation.run_until_idle();
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[test]
fn a_spout_that_rests_is_asked_when_the_time_is_over_or_it_is_woken() {
    let (asked, mut simulation, waker) = woken(Some(Duration::from_secs(10)));
    simulation.advance(Duration::from_secs(9));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    simulation.advance(Duration::from_secs(1));
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    waker.wake_by_ref();
    simulation.run_until_idle();
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[test]
fn a_bolts_waker_calls_wake_on_its_own_task() {
    let log = Log::default();
    let mut bench = Bench::new();
    let spout_log = log.clone();
    bench.spout("in", 1, move || Numbers::new(&spout_log, 3));
    let bolt_log = log.clone();
    bench
        .bolt("b", move || {
            let log = bolt_log.clone();
            FnBolt::new(|_, out, state| {
                // As an asynchronous sink does: the result comes later, and wakes the task.
                state.tokens.push(out.defer());
                state.ctx.as_ref().unwrap().waker().wake();
                Ok(())
            })
            .on_wake(move |_, state| {
                log.say("woken");
                state.tokens.drain(..).for_each(squall_core::AckToken::ack);
                Ok(())
            })
        })
        .shuffle("in");
    bench.run();
    assert_eq!(log.acked(), ids(0..3));
    assert!(log.said().iter().any(|text| text == "woken"));
}

#[test]
fn a_run_ends_when_all_spouts_have_finished_and_all_that_failed_was_replayed() {
    let log = Log::default();
    let mut bench = Bench::new();
    let spout_log = log.clone();
    bench.spout("in", 2, move || Numbers::new(&spout_log, 500).retrying());
    bench
        .bolt("flaky", || {
            FnBolt::new(|input, out, state| {
                if state.seen % 3 == 0 {
                    return Err("every third".into());
                }
                Ok(out.emit(input.values())?)
            })
        })
        .parallelism(2)
        .fields("in", ["n"]);
    let sink_log = log.clone();
    bench
        .bolt("sink", move || FnBolt::sink(&sink_log))
        .global("flaky");
    let snapshot = bench.run();
    assert_eq!(snapshot.state, TopologyState::Finished);
    assert_eq!(log.acked().len(), 1000);
    assert!(log.failed().len() > 400, "{}", log.failed().len());
    assert_eq!(log.executed_by("sink").len(), 1000);
}

#[test]
fn the_end_of_input_flushes_each_bolt_after_all_that_comes_before_it() {
    let log = Log::default();
    let mut bench = Bench::new();
    let spout_log = log.clone();
    bench.spout("in", 3, move || Numbers::new(&spout_log, 100).untracked());
    bench
        .bolt("sum", || {
            FnBolt::new(|input, _, state| {
                state.seen = state.seen - 1 + input.i64("n")? as u64;
                Ok(())
            })
            .on_flush(|out, state| Ok(out.emit([std::mem::take(&mut state.seen) as i64])?))
        })
        .parallelism(2)
        .shuffle("in");
    let total_log = log.clone();
    bench
        .bolt("total", move || {
            let log = total_log.clone();
            FnBolt::new(|input, _, state| {
                state.seen = state.seen - 1 + input.i64("n")? as u64;
                Ok(())
            })
            .on_flush(move |_, state| {
                log.say(format!("{}", state.seen));
                Ok(())
            })
        })
        .global("sum");
    bench.run();
    // Once, and with all. Three spout tasks of 0 + … + 99; `seen` counts itself up by one each time, taken
    // off again.
    let mut said = log.said();
    said.retain(|text| text != "spout closed");
    assert_eq!(said, ["14850"]);
}

#[test]
fn a_drain_lets_what_is_pending_go_on_to_its_end() {
    let log = Log::default();
    let mut bench = Bench::new();
    bench.topology.settings().max_spout_pending = 50;
    let spout_log = log.clone();
    bench.spout("in", 1, move || Numbers::new(&spout_log, 1_000_000));
    bench
        .bolt("hoard", || {
            hoarder().on_flush(|_, state| {
                state.tokens.drain(..).for_each(squall_core::AckToken::ack);
                Ok(())
            })
        })
        .shuffle("in");
    let mut simulation = bench.simulate();
    simulation.advance(Duration::from_secs(1));
    assert!(log.acked().is_empty());
    simulation.drain();
    assert!(simulation.run_to_end(Duration::from_secs(1)));
    assert_eq!(log.acked(), ids(0..50));
    assert!(log.failed().is_empty());
}

#[test]
fn a_drain_that_takes_too_long_is_forced_and_says_so_to_the_spout() {
    let log = Log::default();
    let mut bench = Bench::new();
    bench.topology.settings().drain_timeout = "5s".parse().unwrap();
    let spout_log = log.clone();
    bench.spout("in", 1, move || Numbers::new(&spout_log, 10));
    bench.bolt("hoard", hoarder).shuffle("in");
    let mut simulation = bench.simulate();
    simulation.advance(Duration::from_secs(1));
    simulation.drain();
    assert!(!simulation.run_to_end(Duration::from_secs(4)));
    assert!(simulation.run_to_end(Duration::from_secs(2)));
    assert_eq!(log.failed().len(), 10);
    assert!(
        log.failed()
            .iter()
            .all(|(_, failure)| failure.reason == squall_core::FailureReason::Drained)
    );
}

#[test]
fn a_component_that_can_never_start_stops_the_topology_and_says_which() {
    struct Hopeless;
    impl Bolt for Hopeless {
        fn prepare(&mut self, _: &mut TaskContext) -> Result<()> {
            Err(squall_core::ComponentError::from("no such table").permanent())
        }
        fn execute(&mut self, _: &Tuple, _: &mut Emitter<'_>) -> Result<()> {
            Ok(())
        }
    }
    let log = Log::default();
    let mut bench = Bench::new();
    let spout_log = log.clone();
    bench.spout("in", 1, move || Numbers::new(&spout_log, 10));
    bench.bolt("b", || Hopeless).shuffle("in");
    let mut simulation = bench.simulate();
    assert!(simulation.run_to_end(Duration::from_secs(31)));
    assert_eq!(
        simulation.failure().unwrap().reason,
        "`b` can't start: no such table"
    );
}

#[test]
fn a_spout_that_can_never_go_on_stops_the_topology_once_all_is_acked() {
    struct Refused(Numbers);
    impl Spout for Refused {
        fn outputs(&self) -> Outputs {
            self.0.outputs()
        }
        fn next_tuple(&mut self, out: &mut SpoutEmitter<'_>) -> Result<Activity> {
            match self.0.next_tuple(out)? {
                Activity::Finished => {
                    Err(squall_core::ComponentError::from("access denied").permanent())
                }
                activity => Ok(activity),
            }
        }
        fn ack(&mut self, id: squall_core::MessageId) {
            self.0.ack(id);
        }
    }
    let log = Log::default();
    let mut bench = Bench::new();
    let spout_log = log.clone();
    bench.spout("in", 1, move || Refused(Numbers::new(&spout_log, 10)));
    bench
        .bolt("b", || FnBolt::new(|_, _, _| Ok(())))
        .shuffle("in");
    let mut simulation = bench.simulate();
    assert!(simulation.run_to_end(Duration::from_secs(1)));
    assert_eq!(log.acked().len(), 10);
    assert_eq!(
        simulation.failure().unwrap().reason,
        "`in` can't go on: access denied"
    );
}

#[test]
fn a_component_that_starts_at_the_third_attempt_is_waited_for() {
    struct Slow(Arc<AtomicU64>);
    impl Bolt for Slow {
        fn prepare(&mut self, _: &mut TaskContext) -> Result<()> {
            if self.0.fetch_add(1, Ordering::SeqCst) < 2 {
                return Err("not yet".into());
            }
            Ok(())
        }
        fn execute(&mut self, _: &Tuple, _: &mut Emitter<'_>) -> Result<()> {
            Ok(())
        }
    }
    let log = Log::default();
    let mut bench = Bench::new();
    let attempts = Arc::new(AtomicU64::new(0));
    let spout_log = log.clone();
    bench.spout("in", 1, move || Numbers::new(&spout_log, 10));
    let bolt_attempts = attempts.clone();
    bench
        .bolt("b", move || Slow(bolt_attempts.clone()))
        .shuffle("in");
    bench.run();
    assert_eq!(attempts.load(Ordering::SeqCst), 3);
    assert_eq!(log.acked(), ids(0..10));
}
