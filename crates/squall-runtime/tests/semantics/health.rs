//! What a snapshot says of messages that failed and of tasks that don't work. In virtual time.

use std::time::Duration;

use squall_core::{Bolt, Emitter, Result, TaskContext, Tuple};

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
