//! Random topologies in parts, against the same model: whatever links and other workers do, each tracked emit gets one
//! verdict, and the right one.

use std::sync::Mutex;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::parts::Parts;
use crate::random_graphs::{Graph, Habit, Model, bench, graph, rng};

/// Parts flush when they drain, and draining drops what is held: nothing that the model could know.
fn without_holding(graph: &Graph) -> Graph {
    let mut graph = graph.clone();
    for habit in graph.bolts.iter_mut().flat_map(|bolt| &mut bolt.habits) {
        if *habit == Habit::Hold {
            *habit = Habit::Defer;
        }
    }
    graph
}

/// Runs the graph in as many parts, each task in the one that `at` says.
fn run_in_parts(graph: &Graph, n: u64, n_workers: u32, at: &[u32]) -> Model {
    let model = Model::default();
    let bench = bench(&without_holding(graph), n, &model);
    let mut cluster = Parts::new(bench, n_workers, |task| at[task.idx() % at.len()]);
    cluster.activate();
    // Time enough for restarts and jams: draining spouts emit nothing more.
    cluster.advance(Duration::from_secs(1800));
    cluster.drain();
    assert!(cluster.run_to_end(Duration::from_secs(3600)), "{cluster:?}");
    model
}

/// A fault, after so many steps, at a worker and on its way to another.
type Fault = (usize, bool, u32, u32);

/// Runs the graph as [`run_in_parts`] does, with its spouts in worker 0, while links break and the other
/// workers end and begin anew.
fn run_with_faults(graph: &Graph, n: u64, n_workers: u32, at: &[u32], faults: &[Fault]) -> Model {
    let model = Model::default();
    let bench = bench(&without_holding(graph), n, &model);
    let mut cluster = Parts::new(bench, n_workers, |task| match task.0 {
        spout if spout < graph.n_spout_tasks => 0,
        _ => at[task.idx() % at.len()],
    });
    cluster.activate();
    for (n_steps, kills, one, other) in faults {
        cluster.step_times(*n_steps);
        let (one, other) = (one % n_workers, other % n_workers);
        if *kills && one > 0 {
            cluster.kill(one as usize);
        } else if one != other {
            cluster.break_link(one as usize, other as usize);
        }
    }
    cluster.advance(Duration::from_secs(1800));
    cluster.drain();
    assert!(cluster.run_to_end(Duration::from_secs(3600)), "{cluster:?}");
    model
}

#[test]
fn every_tree_of_a_topology_in_parts_gets_the_verdict_that_the_model_expects() {
    let config = ProptestConfig {
        cases: 128,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Default::default()
    };
    let placed = (graph(), 2u32..4, proptest::collection::vec(0u32..4, 1..12));
    let checked = TestRunner::new_with_rng(config, rng()).run(&placed, |(graph, n_workers, at)| {
        let n = 40;
        let at: Vec<u32> = at.into_iter().map(|at| at % n_workers).collect();
        let model = run_in_parts(&graph, n, n_workers, &at);
        let known = model.lock();
        prop_assert_eq!(known.len(), n as usize);
        for (id, known) in known.iter() {
            prop_assert_eq!(known.verdicts.len(), 1, "message {}: {:?}", id, known);
            prop_assert!(known.wrong.is_none(), "message {}: {:?}", id, known);
        }
        Ok(())
    });
    checked.unwrap();
}

#[test]
fn every_tree_gets_one_verdict_whatever_becomes_of_links_and_other_workers() {
    let config = ProptestConfig {
        cases: 128,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Default::default()
    };
    let fault = (1usize..12, any::<bool>(), 0u32..4, 0u32..4);
    let cases = (
        graph(),
        2u32..4,
        proptest::collection::vec(0u32..4, 1..12),
        proptest::collection::vec(fault, 1..10),
    );
    let n_failed = Mutex::new(0);
    let checked =
        TestRunner::new_with_rng(config, rng()).run(&cases, |(graph, n_workers, at, faults)| {
            let n = 40;
            let at: Vec<u32> = at.into_iter().map(|at| at % n_workers).collect();
            let model = run_with_faults(&graph, n, n_workers, &at, &faults);
            let known = model.lock();
            prop_assert_eq!(known.len(), n as usize);
            for (id, known) in known.iter() {
                prop_assert_eq!(known.verdicts.len(), 1, "message {}: {:?}", id, known);
                prop_assert!(known.wrong.is_none(), "message {}: {:?}", id, known);
                let lost = !known.failed && known.verdicts == [false];
                *n_failed.lock().unwrap() += usize::from(lost);
            }
            Ok(())
        });
    checked.unwrap();
    // The faults that this is about did happen.
    let n_failed = *n_failed.lock().unwrap();
    assert!(n_failed > 100, "{n_failed}");
}
