//! Every tracked emit gets exactly one verdict, and the right one. In virtual time.

use std::time::Duration;

use crate::kit::{Bench, Event, FnBolt, Log, Numbers, ids};
use squall_core::{FailureReason, MessageId, Outputs, Remediable, Verdict};

fn pipeline(n: u64, make: impl Fn(&Log) -> FnBolt + Send + Sync + 'static) -> (Log, Bench) {
    let log = Log::default();
    let mut bench = Bench::new();
    let spout_log = log.clone();
    bench.spout("in", 1, move || Numbers::new(&spout_log, n));
    let bolt_log = log.clone();
    bench.bolt("b", move || make(&bolt_log)).shuffle("in");
    (log, bench)
}

#[test]
fn acks_when_every_tuple_of_the_tree_is_acked() {
    let (log, mut bench) = pipeline(1000, |_| {
        FnBolt::new(|input, out, _| {
            for _ in 0..input.i64("n")? % 5 {
                out.emit(input.values())?;
            }
            Ok(())
        })
    });
    let sink_log = log.clone();
    bench
        .bolt("sink", move || FnBolt::sink(&sink_log))
        .parallelism(3)
        .shuffle("b");
    let snapshot = bench.run();
    assert_eq!(log.acked(), ids(0..1000));
    assert!(log.failed().is_empty());
    assert_eq!(log.executed_by("sink").len(), 2000);
    assert_eq!(
        snapshot.of("sink").map(|task| task.executed).sum::<u64>(),
        2000
    );
    assert_eq!(snapshot.pending(), 0);
}

#[test]
fn says_nothing_more_of_a_tree_that_it_has_acked() {
    let (log, mut bench) = pipeline(1000, |_| FnBolt::new(|_, _, _| Ok(())));
    // Nobody hears what comes too late but the ledger, whose books are checked with the end of the run.
    // Tuples that are called with contribute nothing.
    bench.options.fuse = false;
    bench.run();
    assert_eq!(log.acked(), ids(0..1000));
}

#[test]
fn an_error_fails_the_tree_with_component_and_text() {
    let (log, bench) = pipeline(3, |_| {
        FnBolt::new(|input, _, _| match input.i64("n")? {
            1 => Err("no ones".into()),
            2 => Err("never twos").permanent(),
            _ => Ok(()),
        })
    });
    let snapshot = bench.run();
    assert_eq!(log.acked(), [0]);
    let failed = log.failed();
    assert_eq!(failed.len(), 2);
    let (id, failure) = &failed[0];
    assert_eq!(
        (*id, failure.reason, failure.permanent),
        (1, FailureReason::Rejected, false)
    );
    assert_eq!(failure.to_string(), "b: no ones");
    assert!(failed[1].1.permanent);
    assert_eq!(snapshot.of("b").next().unwrap().failed.rejected, 2);
    assert_eq!(snapshot.of("in").next().unwrap().failed.rejected, 2);
}

#[test]
fn a_panic_fails_the_tuple_and_restarts_the_task() {
    let (log, mut bench) = pipeline(10, |log| {
        log.say("made");
        FnBolt::new(|input, _, state| {
            assert!(input.i64("n")? != 4, "no fours");
            state.seen += 1;
            Ok(())
        })
    });
    bench.topology.settings().seed = Some(1);
    let snapshot = bench.run();
    assert_eq!(log.acked(), [0, 1, 2, 3, 5, 6, 7, 8, 9]);
    assert_eq!(log.failed()[0].1.to_string(), "b: panicked: no fours");
    let task = snapshot.of("b").next().unwrap();
    assert_eq!((task.restarts, task.crash_looping), (1, false));
    // One instance was made for the signature, one before and one after the panic.
    assert_eq!(log.said().iter().filter(|text| *text == "made").count(), 3);
}

#[test]
fn a_task_that_keeps_panicking_shows_as_crash_looping_and_does_not_spin() {
    let log = Log::default();
    let mut bench = Bench::new();
    let spout_log = log.clone();
    bench.spout("in", 1, move || Numbers::new(&spout_log, 1).retrying());
    bench
        .bolt("b", || FnBolt::new(|_, _, _| panic!("always")))
        .shuffle("in");
    let mut simulation = bench.simulate();
    simulation.advance(Duration::from_secs(300));
    let snapshot = simulation.snapshot();
    let task = snapshot.of("b").next().unwrap();
    assert!(task.crash_looping);
    // 100 ms doubling to 30 s: 9 restarts in the first 51 s, then one each 30 s.
    assert_eq!(task.restarts, 18);
}

#[test]
fn a_deferred_tuple_ends_with_its_token() {
    let (log, bench) = pipeline(4, |_| {
        FnBolt::new(|_, out, state| {
            state.tokens.push(out.defer());
            Ok(())
        })
        .on_flush(|_, state| {
            for (nth, token) in state.tokens.drain(..).enumerate() {
                match nth % 3 {
                    0 => token.ack(),
                    1 => token.fail("refused"),
                    _ => drop(token),
                }
            }
            Ok(())
        })
    });
    let snapshot = bench.run();
    assert_eq!(log.acked(), [0, 3]);
    let texts: Vec<String> = log
        .failed()
        .iter()
        .map(|(id, failure)| format!("{id} {failure}"))
        .collect();
    assert_eq!(texts, ["1 b: refused", "2 b: the token was dropped"]);
    // Executed and deferred; acked or failed by their tokens.
    let task = snapshot.of("b").next().unwrap();
    assert_eq!((task.acked, task.failed.rejected), (2, 2));
}

#[test]
fn a_token_that_never_ends_times_out_once() {
    let (log, bench) = pipeline(2, |_| {
        FnBolt::new(|_, out, state| {
            state.tokens.push(out.defer());
            Ok(())
        })
    });
    let mut simulation = bench.simulate();
    simulation.advance(Duration::from_secs(30));
    assert!(log.failed().is_empty());
    // Whoever looks for what is stuck sees where it is kept.
    assert_eq!(simulation.snapshot().of("b").next().unwrap().deferred, 2);
    simulation.advance(Duration::from_secs(2));
    let reasons: Vec<FailureReason> = log
        .failed()
        .iter()
        .map(|(_, failure)| failure.reason)
        .collect();
    assert_eq!(reasons, [FailureReason::TimedOut; 2]);
    assert_eq!(
        simulation
            .snapshot()
            .of("in")
            .next()
            .unwrap()
            .failed
            .timed_out,
        2
    );
    simulation.advance(Duration::from_secs(60));
    assert_eq!(log.failed().len(), 2);
}

#[test]
fn emits_anchored_to_tokens_keep_every_root_of_theirs_alive() {
    // Joins two tuples each; the pair fails where the sum is odd.
    let (log, mut bench) = pipeline(8, |_| {
        FnBolt::new(|_, out, state| {
            state.tokens.push(out.defer());
            if let [one, other] = &state.tokens[..] {
                out.anchored(&[one, other]).emit([state.seen as i64])?;
                state.tokens.drain(..).for_each(squall_core::AckToken::ack);
            }
            Ok(())
        })
    });
    bench
        .bolt("check", || {
            FnBolt::new(|input, _, _| {
                if input.i64("n")? == 4 {
                    Err("no".into())
                } else {
                    Ok(())
                }
            })
        })
        .shuffle("b");
    bench.run();
    assert_eq!(log.acked(), [0, 1, 4, 5, 6, 7]);
    let mut failed: Vec<u64> = log.failed().iter().map(|(id, _)| *id).collect();
    failed.sort_unstable();
    assert_eq!(failed, [2, 3]);
}

#[test]
fn an_emit_after_defer_is_anchored_to_the_input_all_the_same() {
    let (log, mut bench) = pipeline(2, |_| {
        FnBolt::new(|input, out, _| {
            // The token is gone before the emit: the tree must live on.
            out.defer().ack();
            out.emit(input.values())?;
            Ok(())
        })
    });
    bench
        .bolt("late", || {
            FnBolt::new(|input, out, state| {
                if input.i64("n")? == 0 {
                    state.tokens.push(out.defer());
                }
                Ok(())
            })
        })
        .shuffle("b");
    let mut simulation = bench.simulate();
    simulation.advance(Duration::from_secs(1));
    assert_eq!(log.acked(), [1]);
}

#[test]
fn unanchored_and_untracked_tuples_fail_nobody() {
    let (log, mut bench) = pipeline(5, |_| {
        FnBolt::new(|input, out, _| Ok(out.unanchored().emit(input.values())?))
    });
    bench
        .bolt("bad", || FnBolt::new(|_, _, _| Err("always".into())))
        .shuffle("b");
    bench.run();
    assert_eq!(log.acked(), ids(0..5));

    let log = Log::default();
    let mut bench = Bench::new();
    let spout_log = log.clone();
    bench.spout("in", 1, move || Numbers::new(&spout_log, 5).untracked());
    let sink_log = log.clone();
    bench
        .bolt("sink", move || FnBolt::sink(&sink_log))
        .shuffle("in");
    bench.run();
    assert_eq!(log.executed_by("sink").len(), 5);
    assert!(log.acked().is_empty() && log.failed().is_empty());
}

#[test]
fn a_tracked_emit_that_nobody_reads_is_acked() {
    let log = Log::default();
    let mut bench = Bench::new();
    let spout_log = log.clone();
    bench.spout("in", 1, move || Numbers::new(&spout_log, 3));
    bench.run();
    assert_eq!(log.acked(), ids(0..3));
}

#[test]
fn a_bolt_gets_the_verdicts_of_its_own_roots() {
    let log = Log::default();
    let mut bench = Bench::new();
    let spout_log = log.clone();
    bench.spout("in", 1, move || Numbers::new(&spout_log, 4));
    let bolt_log = log.clone();
    bench
        .bolt("b", move || {
            let log = bolt_log.clone();
            FnBolt::new(|input, out, _| {
                let n = input.i64("n")?;
                Ok(out.tracked(MessageId(n as u64)).emit([n])?)
            })
            .on_verdict(move |_, state| {
                let (id, verdict) = state.verdicts.last().unwrap();
                log.say(format!("{} {}", id.0, matches!(verdict, Verdict::Acked)));
                Ok(())
            })
        })
        .shuffle("in");
    bench
        .bolt("odd", || {
            FnBolt::new(|input, _, _| {
                if input.i64("n")? % 2 == 1 {
                    Err("odd".into())
                } else {
                    Ok(())
                }
            })
        })
        .shuffle("b");
    bench.run();
    // The spout's own trees ended with `b`: what fails further down is the bolt's business.
    assert_eq!(log.acked(), ids(0..4));
    let mut said: Vec<String> = log
        .said()
        .into_iter()
        .filter(|text| text != "spout closed")
        .collect();
    said.sort();
    assert_eq!(said, ["0 true", "1 false", "2 true", "3 false"]);
}

#[test]
fn a_failure_wins_over_acks_in_any_order() {
    for seed in 0..50 {
        let log = Log::default();
        let mut bench = Bench::new();
        bench.topology.settings().seed = Some(seed);
        let spout_log = log.clone();
        bench.spout("in", 1, move || Numbers::new(&spout_log, 30));
        for (id, bad) in [("good", false), ("bad", true), ("fine", false)] {
            bench
                .bolt(id, move || {
                    FnBolt::new(move |_, _, _| if bad { Err("bad".into()) } else { Ok(()) })
                })
                .parallelism(2)
                .shuffle("in");
        }
        bench.run();
        assert!(log.acked().is_empty(), "seed {seed}");
        assert_eq!(log.failed().len(), 30, "seed {seed}");
    }
}

#[test]
fn a_restart_drops_the_tokens_of_the_old_instance() {
    let (log, bench) = pipeline(3, |_| {
        FnBolt::new(|input, out, state| {
            assert!(input.i64("n")? != 2, "no twos");
            state.tokens.push(out.defer());
            Ok(())
        })
    });
    bench.run();
    let counted = log
        .failed()
        .iter()
        .filter(|(_, failure)| failure.reason.counts_as_attempt())
        .count();
    assert_eq!(
        counted, 1,
        "only the tuple that panicked has used up an attempt"
    );
    let mut failed: Vec<String> = log
        .failed()
        .iter()
        .map(|(id, f)| format!("{id} {f}"))
        .collect();
    failed.sort();
    assert_eq!(
        failed,
        [
            "0 b: the task that kept the token was started anew",
            "1 b: the task that kept the token was started anew",
            "2 b: panicked: no twos"
        ]
    );
}

#[test]
fn held_tuples_outlive_the_time_out_and_end_with_the_holder() {
    let (log, bench) = pipeline(3, |_| {
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
    });
    let (mut spec, signatures, registry, options) = bench.parts();
    spec.bolts["b"].tick = Some("300s".parse().unwrap());
    let clock = std::sync::Arc::default();
    let mut simulation = squall_runtime::Simulation::new(
        &spec,
        &signatures,
        &registry,
        crate::kit::services(),
        &options,
        clock,
    )
    .unwrap();
    simulation.advance(Duration::from_secs(299));
    assert_eq!(
        log.events()
            .iter()
            .filter(|event| matches!(event, Event::Held(_)))
            .count(),
        3
    );
    assert!(log.acked().is_empty() && log.failed().is_empty());
    let task = simulation.snapshot().of("in").next().unwrap().clone();
    assert_eq!((task.pending, task.held), (0, 3));
    simulation.advance(Duration::from_secs(2));
    assert_eq!(log.acked(), ids(0..3));
    assert!(simulation.has_ended());
}

#[test]
fn draining_fails_held_tuples_as_drained_and_ends() {
    let (log, bench) = pipeline(3, |_| {
        FnBolt::new(|_, out, state| {
            let mut token = out.defer();
            token.hold();
            state.tokens.push(token);
            Ok(())
        })
    });
    let mut simulation = bench.simulate();
    simulation.advance(Duration::from_secs(60));
    simulation.drain();
    simulation.run_until_idle();
    assert!(simulation.has_ended());
    let reasons: Vec<FailureReason> = log
        .failed()
        .iter()
        .map(|(_, failure)| failure.reason)
        .collect();
    assert_eq!(reasons, [FailureReason::Drained; 3]);
}

#[test]
fn held_tuples_that_fill_their_bound_stop_the_topology_with_the_setting_to_change() {
    let (log, mut bench) = pipeline(1000, |_| {
        FnBolt::new(|_, out, state| {
            let mut token = out.defer();
            token.hold();
            state.tokens.push(token);
            Ok(())
        })
    });
    bench.topology.settings().max_held_bytes = "1KiB".parse().unwrap();
    bench.topology.settings().max_spout_pending = 10;
    let mut simulation = bench.simulate();
    assert!(simulation.run_to_end(Duration::from_secs(60)));
    let reason = simulation.failure().unwrap().reason;
    assert!(reason.contains("max_held_bytes (1KiB)"), "{reason}");
    assert!(
        reason.contains("set max_held_bytes to at least"),
        "{reason}"
    );
    assert!(
        log.failed()
            .iter()
            .all(|(_, failure)| failure.reason == FailureReason::Drained)
    );
}

#[test]
fn mistakes_of_an_emit_are_errors_that_fail_the_tuple() {
    let (log, mut bench) = pipeline(4, |_| {
        FnBolt::new(|input, out, _| {
            match input.i64("n")? {
                0 => out.emit([1, 2])?,
                1 => out.stream("late").emit([1])?,
                2 => out.direct(squall_core::TaskId(0)).emit([1])?,
                _ => out.emit(["x".repeat(2000)])?,
            }
            Ok(())
        })
        .outputs(Outputs::fields(["n"]))
    });
    bench.topology.settings().max_tuple_bytes = "1KiB".parse().unwrap();
    bench.run();
    let mut texts: Vec<String> = log
        .failed()
        .iter()
        .map(|(_, failure)| failure.text.to_string())
        .collect();
    texts.sort();
    assert_eq!(
        texts,
        [
            "2 values for stream `default`, whose fields are: n",
            "a tuple of 2024 bytes is above max_tuple_bytes, 1024",
            "task 0 doesn't subscribe to stream `default` with a direct grouping",
            "the component declares no stream `late`; it declares: default",
        ]
    );
}
