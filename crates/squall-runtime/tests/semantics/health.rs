//! What a snapshot says of messages that failed and of tasks that don't work. In virtual time.

use std::time::Duration;

use squall_core::{Bolt, Emitter, Result, TaskContext, Tuple};

use crate::flow::Endless;
use crate::kit::{Bench, FnBolt, Log, Numbers};

/// Refuses to be prepared, each time.
struct Unready;

impl Bolt for Unready {
    fn prepare(&mut self, _: &mut TaskContext) -> Result<()> {
        Err("nothing is ready")?;
        Ok(())
    }

    fn execute(&mut self, _: &Tuple, _: &mut Emitter<'_>) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_message_that_was_failed_counts_as_unacked_until_its_retry_is_acked() {
    let unacked_of = |retries: bool| {
        let log = Log::default();
        let mut bench = Bench::new();
        let spout_log = log.clone();
        bench.spout("in", 1, move || Numbers {
            retry: retries,
            ..Numbers::new(&spout_log, 10)
        });
        bench
            .bolt("b", || {
                FnBolt::new(|input, _, state| match input.i64("n")? {
                    3 | 4 if state.seen <= 10 => Err("not now")?,
                    _ => Ok(()),
                })
            })
            .shuffle("in");
        let task = bench.run().of("in").next().cloned().unwrap();
        (task.acked, task.failed.total(), task.unacked)
    };
    assert_eq!(unacked_of(false), (8, 2, 2));
    assert_eq!(unacked_of(true), (10, 2, 0));
}

#[test]
fn a_task_that_can_not_be_started_is_down_and_its_failed_starts_are_no_restarts() {
    let log = Log::default();
    let mut bench = Bench::new();
    bench.topology.settings().drain_timeout = squall_core::HumanDuration::default();
    bench.spout("in", 1, move || Numbers::new(&log, 2));
    bench.bolt("b", || Unready).shuffle("in");
    let mut simulation = bench.simulate();
    simulation.advance(Duration::from_secs(1));
    let task = simulation.snapshot().of("b").next().cloned().unwrap();
    // At 0, 100, 300 and 700 ms.
    assert_eq!((task.failed_starts, task.restarts), (4, 0));
    assert!(task.down);

    simulation.drain();
    assert!(simulation.run_to_end(Duration::from_secs(1)));
    let snapshot = simulation.snapshot();
    assert!(snapshot.of("b").all(|task| task.down));
    assert!(
        snapshot
            .spouts()
            .all(|task| task.unacked == 2 && !task.down)
    );
}

#[test]
fn a_task_that_was_started_anew_is_not_down() {
    let log = Log::default();
    let mut bench = Bench::new();
    bench.spout("in", 1, move || Numbers::new(&log, 10));
    bench
        .bolt("b", || {
            FnBolt::new(|input, _, _| {
                assert!(input.i64("n")? != 4, "no fours");
                Ok(())
            })
        })
        .shuffle("in");
    let snapshot = bench.run();
    let task = snapshot.of("b").next().unwrap();
    assert_eq!(
        (task.restarts, task.failed_starts, task.down),
        (1, 0, false)
    );
}

#[test]
fn a_task_that_recovers_shows_no_crash_loop_for_long_even_if_nothing_comes() {
    let log = Log::default();
    let mut bench = Bench::new();
    bench.topology.settings().restart_backoff_cap = "10s".parse().unwrap();
    bench.spout("in", 1, move || Numbers::new(&log, 12).retrying());
    bench.spout("endless", 1, || Endless);
    let n_seen = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let bolt = move || {
        let n_seen = n_seen.clone();
        FnBolt::new(move |_, _, _| {
            let n_before = n_seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            assert!(n_before >= 12, "not yet");
            Ok(())
        })
    };
    bench.bolt("b", bolt).shuffle("in").shuffle("endless");
    let mut simulation = bench.simulate();
    // 100 ms doubling to 10 s: 12.7 s for the first seven, then five times 10 s.
    simulation.advance(Duration::from_secs(63));
    let task = |simulation: &squall_runtime::Simulation| {
        simulation.snapshot().of("b").next().cloned().unwrap()
    };
    let looping = task(&simulation);
    assert!(looping.crash_looping && !looping.down, "{looping:#?}");
    simulation.advance(Duration::from_secs(10));
    let task = task(&simulation);
    assert!(!task.crash_looping, "{task:#?}");
    assert_eq!(task.restarts, 12);
}
