//! The groupings, through the whole engine.

use std::collections::{BTreeMap, BTreeSet};

use squall_core::{CustomGrouping, Grouping, Outputs, TaskId, Value};

use crate::kit::{Bench, FnBolt, Log, Numbers, ids};

/// Runs `n` numbers through one grouping to `n_tasks`; returns how many each task got.
fn spread(n: u64, n_tasks: u32, grouping: Grouping) -> (Log, BTreeMap<String, usize>) {
    let log = Log::default();
    let mut bench = Bench::new();
    bench.registry.grouping("last", || Last);
    let spout_log = log.clone();
    bench.spout("in", 1, move || Numbers::new(&spout_log, n));
    let sink_log = log.clone();
    bench
        .bolt("b", move || FnBolt::sink(&sink_log))
        .parallelism(n_tasks)
        .input("in", grouping);
    bench.run();
    let executed = log.executed();
    (log, executed)
}

struct Last;

impl CustomGrouping for Last {
    fn choose(&mut self, _: &[Value], n_tasks: usize) -> usize {
        n_tasks - 1
    }
}

#[test]
fn shuffle_is_even() {
    let (_, executed) = spread(30_000, 6, Grouping::Shuffle);
    assert_eq!(executed.into_values().collect::<Vec<_>>(), [5000; 6]);
}

#[test]
fn global_is_the_lowest_task_and_custom_what_it_says() {
    let (_, executed) = spread(100, 3, Grouping::Global);
    assert_eq!(executed, BTreeMap::from([("b/0".to_owned(), 100)]));
    let (_, executed) = spread(100, 3, Grouping::Custom("last".into()));
    assert_eq!(executed, BTreeMap::from([("b/2".to_owned(), 100)]));
}

#[test]
fn all_reaches_every_task_and_each_copy_counts_for_the_tree() {
    let (log, executed) = spread(100, 3, Grouping::All);
    assert_eq!(executed.into_values().collect::<Vec<_>>(), [100; 3]);
    assert_eq!(log.acked(), ids(0..100));
}

#[test]
fn fields_keep_equal_keys_together() {
    let log = Log::default();
    let mut bench = Bench::new();
    let spout_log = log.clone();
    bench.spout("in", 3, move || Numbers::new(&spout_log, 1000));
    bench
        .bolt("key", || {
            FnBolt::new(|input, out, _| Ok(out.emit([input.i64("n")? % 37])?))
        })
        .parallelism(2)
        .shuffle("in");
    let sink_log = log.clone();
    bench
        .bolt("b", move || FnBolt::sink(&sink_log))
        .parallelism(5)
        .fields("key", ["n"]);
    bench.run();
    let mut tasks_of: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for event in log.events() {
        if let crate::kit::Event::Executed(task, values) = event {
            tasks_of
                .entry(values[0].to_string())
                .or_default()
                .insert(task);
        }
    }
    assert_eq!(tasks_of.len(), 37);
    assert!(
        tasks_of.values().all(|tasks| tasks.len() == 1),
        "{tasks_of:?}"
    );
    assert_eq!(log.executed_by("b").len(), 3000);
}

#[test]
fn direct_emits_reach_the_named_task_alone() {
    let log = Log::default();
    let mut bench = Bench::new();
    let spout_log = log.clone();
    bench.spout("in", 1, move || Numbers::new(&spout_log, 90));
    bench
        .bolt("pick", || {
            FnBolt::new(|input, out, state| {
                let n = input.i64("n")?;
                let tasks: Vec<TaskId> = state.ctx.as_ref().unwrap().tasks_of("b").to_vec();
                Ok(out.direct(tasks[n as usize % tasks.len()]).emit([n])?)
            })
        })
        .shuffle("in");
    let sink_log = log.clone();
    bench
        .bolt("b", move || FnBolt::sink(&sink_log))
        .parallelism(3)
        .direct("pick");
    bench.run();
    assert_eq!(log.executed().into_values().collect::<Vec<_>>(), [30; 3]);
    assert_eq!(log.acked(), ids(0..90));
}

#[test]
fn local_or_shuffle_stays_with_its_own_index_when_fused_and_is_even_otherwise() {
    for (fuse, n_tasks, expected) in [
        (true, 3, vec![100, 100, 100]),
        (true, 2, vec![150, 150]),
        (false, 3, vec![100; 3]),
    ] {
        let log = Log::default();
        let mut bench = Bench::new();
        bench.options.fuse = fuse;
        let spout_log = log.clone();
        bench.spout("in", 3, move || Numbers::new(&spout_log, 100));
        let sink_log = log.clone();
        bench
            .bolt("b", move || FnBolt::sink(&sink_log))
            .parallelism(n_tasks)
            .local_or_shuffle("in");
        bench.run();
        assert_eq!(
            log.executed().into_values().collect::<Vec<_>>(),
            expected,
            "{fuse} {n_tasks}"
        );
    }
}

#[test]
fn several_streams_and_inputs_keep_their_order_between_a_pair_of_tasks() {
    let log = Log::default();
    let mut bench = Bench::new();
    let spout_log = log.clone();
    bench.spout("in", 1, move || Numbers::new(&spout_log, 2000));
    bench
        .bolt("split", || {
            FnBolt::new(|input, out, _| {
                let n = input.i64("n")?;
                let stream = if n % 3 == 0 { "fizz" } else { "default" };
                Ok(out.stream(stream).emit([n])?)
            })
            .outputs(Outputs::fields(["n"]).stream("fizz", ["fizz"]))
        })
        .shuffle("in");
    let sink_log = log.clone();
    bench
        .bolt("b", move || FnBolt::sink(&sink_log))
        .global("split")
        .global("split/fizz");
    bench.run();
    let seen: Vec<Value> = log
        .executed_by("b")
        .into_iter()
        .map(|mut row| row.remove(0))
        .collect();
    let expected: Vec<Value> = (0..2000i64).map(Value::from).collect();
    assert_eq!(seen, expected);
}
