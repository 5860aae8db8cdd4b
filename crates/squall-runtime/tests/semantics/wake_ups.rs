//! What happens within a slice rings no bell: the task has to see it by itself. Each of these once stood
//! still, or ended badly.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use squall_core::{Activity, Emitter, MessageId, Outputs, Result, Spout, SpoutEmitter, Tuple};

use crate::kit::{Bench, FnBolt, Log, Numbers, State, ids};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_spout_whose_tracked_emits_nobody_reads_goes_on() {
    let log = Log::default();
    let mut bench = Bench::new();
    let spout_log = log.clone();
    bench.spout("in", 1, move || Numbers::new(&spout_log, 20));
    assert!(bench.simulate().run_to_end(HOUR));
    assert_eq!(log.acked(), ids(0..20));
}

/// Emits without tracking, and panics once on the way.
struct PanicsOnce {
    n_left: u64,
    panicked: Arc<AtomicBool>,
    /// Panics when it is dropped after its end.
    bad_end: bool,
    closed: bool,
}

impl Spout for PanicsOnce {
    fn outputs(&self) -> Outputs {
        Outputs::fields(["n"])
    }

    fn next_tuple(&mut self, out: &mut SpoutEmitter<'_>) -> Result<Activity> {
        if self.n_left == 0 {
            return Ok(Activity::Finished);
        }
        self.n_left -= 1;
        assert!(
            self.n_left != 50 || self.panicked.swap(true, Ordering::SeqCst),
            "once"
        );
        out.emit([1])?;
        Ok(Activity::Emitted)
    }

    fn close(&mut self) {
        self.closed = true;
    }
}

impl Drop for PanicsOnce {
    fn drop(&mut self) {
        assert!(!(self.bad_end && self.closed), "a bad end");
    }
}

#[test]
fn a_spout_that_panics_with_nothing_in_flight_is_started_again() {
    let panicked = Arc::new(AtomicBool::new(false));
    let mut bench = Bench::new();
    let spout_panicked = panicked.clone();
    bench.spout("in", 1, move || PanicsOnce {
        n_left: 100,
        panicked: spout_panicked.clone(),
        bad_end: false,
        closed: false,
    });
    bench
        .bolt("sink", || FnBolt::new(|_, _, _| Ok(())))
        .shuffle("in");
    let mut simulation = bench.simulate();
    assert!(simulation.run_to_end(HOUR));
    assert!(panicked.load(Ordering::SeqCst));
    assert_eq!(simulation.snapshot().of("in").next().unwrap().restarts, 1);
}

#[test]
fn a_spout_that_panics_when_it_is_dropped_at_its_end_spoils_nothing() {
    let mut bench = Bench::new();
    bench.spout("in", 1, || PanicsOnce {
        n_left: 10,
        panicked: Arc::default(),
        bad_end: true,
        closed: false,
    });
    bench
        .bolt("sink", || FnBolt::new(|_, _, _| Ok(())))
        .shuffle("in");
    let mut simulation = bench.simulate();
    assert!(simulation.run_to_end(HOUR));
    assert_eq!(simulation.failure(), None);
}

#[test]
fn a_bolt_hears_of_roots_that_end_while_it_flushes() {
    let mut bench = Bench::new();
    let log = Log::default();
    bench.spout("in", 1, move || Numbers::new(&log, 0));
    bench
        .bolt("b", || {
            FnBolt::new(|_, _, _| Ok(())).on_flush(|out, state| {
                if state.seen == 0 {
                    state.seen = 1;
                    out.tracked(MessageId(1)).emit([1])?;
                }
                Ok(())
            })
        })
        .shuffle("in");
    assert!(bench.simulate().run_to_end(HOUR));
}

#[test]
fn a_bolt_that_panics_in_wake_goes_on_after_the_back_off() {
    let log = Log::default();
    let mut bench = Bench::new();
    let spout_log = log.clone();
    bench.spout("in", 1, move || Numbers::new(&spout_log, 9));
    let once = Arc::new(AtomicBool::new(false));
    bench
        .bolt("b", move || {
            let once = once.clone();
            FnBolt::new(|_, _, state| {
                state.ctx.as_ref().unwrap().waker().wake();
                Ok(())
            })
            .on_wake(move |_, _| {
                assert!(once.swap(true, Ordering::SeqCst), "once");
                Ok(())
            })
        })
        .shuffle("in");
    let mut simulation = bench.simulate();
    assert!(simulation.run_to_end(HOUR));
    assert!(
        simulation.snapshot().uptime < Duration::from_secs(1),
        "{:?}",
        simulation.snapshot().uptime
    );
    assert_eq!(log.acked(), ids(0..9));
}

#[test]
fn room_among_held_tuples_that_another_spouts_holder_makes_is_used() {
    let (free, held) = (Log::default(), Log::default());
    let mut bench = Bench::new();
    bench.topology.settings().max_held_bytes = "240B".parse().unwrap();
    let (free_log, held_log) = (free.clone(), held.clone());
    bench.spout("held", 1, move || Numbers::new(&held_log, 1000));
    bench.spout("free", 1, move || Numbers::new(&free_log, 1000));
    bench
        .bolt("sink", || FnBolt::new(|_, _, _| Ok(())))
        .shuffle("free");
    bench
        .bolt("window", || {
            FnBolt::new(|_, out, state| {
                let mut token = out.defer();
                token.hold();
                state.tokens.push(token);
                Ok(())
            })
            .on_tick(|_, state| {
                state.tokens.drain(..).for_each(squall_core::AckToken::ack);
                Ok(())
            })
        })
        .tick(Duration::from_millis(500))
        .shuffle("held");
    let mut simulation = bench.simulate();
    assert!(
        simulation.run_to_end(Duration::from_secs(600)),
        "{:#?}",
        simulation.snapshot()
    );
    assert_eq!((free.acked(), held.acked()), (ids(0..1000), ids(0..1000)));
}

#[test]
fn an_error_that_panics_when_it_is_printed_fails_its_tuple_and_no_more() {
    #[derive(Debug)]
    struct Unprintable;
    impl std::fmt::Display for Unprintable {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("no text")
        }
    }
    impl std::error::Error for Unprintable {}
    let log = Log::default();
    let mut bench = Bench::new();
    let spout_log = log.clone();
    bench.spout("in", 1, move || Numbers::new(&spout_log, 3));
    bench
        .bolt("b", || {
            FnBolt::new(|input, _, _| {
                if input.i64("n")? == 1 {
                    Err(Unprintable.into())
                } else {
                    Ok(())
                }
            })
        })
        .shuffle("in");
    let mut simulation = bench.simulate();
    assert!(simulation.run_to_end(HOUR));
    assert_eq!((simulation.failure(), log.acked()), (None, vec![0, 2]));
    assert_eq!(log.failed()[0].1.to_string(), "b: panicked: no text");
}

/// Two bolts that feed each other: `back` begins a tree of its own with what `x` flushes at its end, and
/// `x` has ended before it gets to that.
#[test]
fn a_tree_of_which_something_waits_in_front_of_a_bolt_that_ends_fails_at_once() {
    let log = Log::default();
    let mut bench = Bench::new();
    bench.options.fuse = false;
    bench.topology.settings().edge_bytes = "1KiB".parse().unwrap();
    let (of_spout, of_back) = (log.clone(), log.clone());
    bench.spout("in", 1, move || Numbers::new(&of_spout, 1));
    let x = || {
        FnBolt::new(|_, _, _| Ok(())).on_flush(|out, _| {
            // More than the edge takes at once.
            for n in 0..1000 {
                out.emit([n])?;
            }
            Ok(())
        })
    };
    bench.bolt("x", x).shuffle("in").shuffle("back");
    let back = move || {
        let log = of_back.clone();
        FnBolt::new(|_, out, state| match state.seen {
            1 => Ok(out.tracked(MessageId(1)).emit([1])?),
            _ => Ok(()),
        })
        .on_verdict(move |_, state| {
            log.say(format!("{:?}", state.verdicts));
            Ok(())
        })
    };
    bench.bolt("back", back).shuffle("x");
    let mut simulation = bench.simulate();
    assert!(simulation.run_to_end(Duration::from_secs(1)));
    let told = log.said();
    assert!(
        told.iter()
            .any(|text| text.contains("the reading task has ended")),
        "{told:?}"
    );
}

#[test]
fn an_instance_that_was_made_after_a_flush_that_panicked_is_flushed_at_the_end() {
    let log = Log::default();
    let mut bench = Bench::new();
    let (of_one, of_other) = (log.clone(), log.clone());
    bench.spout("in", 1, move || Numbers::new(&of_one, 1));
    bench.spout("late", 1, move || Numbers::new(&of_other, 1));
    let defer = |_: &Tuple, out: &mut Emitter<'_>, state: &mut State| {
        state.tokens.push(out.defer());
        Ok(())
    };
    let (of_bolt, once) = (log.clone(), Arc::new(AtomicBool::new(false)));
    let panics = move || {
        let (log, once) = (of_bolt.clone(), once.clone());
        FnBolt::new(defer).on_flush(move |_, _| {
            assert!(once.swap(true, Ordering::SeqCst), "once");
            log.say("flushed");
            Ok(())
        })
    };
    bench.bolt("panics", panics).shuffle("in");
    // Keeps the other spout, and so everybody, from ending.
    let keeps = move || {
        FnBolt::new(defer).on_tick(|_, state| {
            state.tokens.drain(..).for_each(squall_core::AckToken::ack);
            Ok(())
        })
    };
    bench
        .bolt("keeps", keeps)
        .tick(Duration::from_secs(2))
        .shuffle("late");
    bench.run();
    let n_flushed = log.said().iter().filter(|text| *text == "flushed").count();
    assert_eq!(n_flushed, 1);
}
