//! What is said about each worker.

use squall_core::SupervisorId;
use squall_plan::schedule::{Demand, Liveness, Slot, Supervisor, Wanted, place};

fn supervisor(id: &str, n_slots: u16, liveness: Liveness) -> Supervisor {
    Supervisor {
        id: id.into(),
        machine: format!("host-{id}").into(),
        slots: (0..n_slots).map(|n| 6700 + n).collect(),
        liveness,
    }
}

fn at(supervisor: &str, port: u16) -> Wanted {
    let slot = Slot {
        supervisor: SupervisorId::from(supervisor),
        port,
    };
    Wanted {
        current: Some(slot),
        shun: Vec::new(),
    }
}

fn reasons(cluster: &[Supervisor], workers: Vec<Wanted>, respread: bool) -> Vec<String> {
    let demand = Demand {
        topology: "t-1".into(),
        workers,
        respread,
    };
    let verdicts = place(cluster, &[demand]);
    verdicts[0]
        .iter()
        .map(|verdict| verdict.reason.to_string())
        .collect()
}

#[test]
fn says_where_a_new_worker_went_and_what_is_missing_for_the_rest() {
    let cluster = [
        supervisor("a", 1, Liveness::Live),
        supervisor("b", 1, Liveness::Live),
        supervisor("c", 4, Liveness::Lost),
        supervisor("d", 4, Liveness::Draining),
    ];
    let expected = [
        "new: machine host-a had no worker of the topology yet (2 machines with a free slot)",
        "new: machine host-b had no worker of the topology yet (1 machine with a free slot)",
        "has no slot: needs 3 slots, 2 free on 2 live supervisors (1 draining, 1 lost): add 1 slot, or kill or rebalance a topology",
    ];
    assert_eq!(
        reasons(&cluster, vec![Wanted::default(); 3], false),
        expected
    );
}

#[test]
fn says_why_a_worker_moved() {
    let cluster = [
        supervisor("a", 2, Liveness::Live),
        supervisor("b", 6, Liveness::Live),
        supervisor("c", 4, Liveness::Lost),
        supervisor("d", 4, Liveness::Draining),
    ];
    let mut crashing = at("a", 6701);
    crashing.shun = vec!["a".into()];
    let workers = vec![
        at("a", 6700),
        at("c", 6700),
        at("d", 6700),
        at("b", 6799),
        at("a", 6700),
        crashing,
    ];
    let expected = [
        "stays where it is",
        "supervisor c is lost: machine host-b had no worker of the topology yet (1 machine with a free slot)",
        "supervisor d is draining: machine host-b had 1 worker of the topology, the fewest (1 machine with a free slot)",
        "supervisor b has no slot 6799 any more: machine host-b had 2 workers of the topology, the fewest (1 machine with a free slot)",
        "slot 6700 of supervisor a is another worker's: machine host-b had 3 workers of the topology, the fewest (1 machine with a free slot)",
        "it crash-looped under supervisor a: machine host-b had 4 workers of the topology, the fewest (1 machine with a free slot)",
    ];
    assert_eq!(reasons(&cluster, workers, false), expected);
}

#[test]
fn says_what_keeps_a_worker_from_moving() {
    let cluster = [
        supervisor("a", 1, Liveness::Live),
        supervisor("c", 1, Liveness::Lost),
    ];
    let expected = [
        "stays where it is",
        "supervisor c is lost, and keeps its slot meanwhile: needs 1 slot, 0 free on 1 live supervisor (1 lost): add 1 slot, or kill or rebalance a topology",
    ];
    let workers = vec![at("a", 6700), at("c", 6700)];
    assert_eq!(reasons(&cluster, workers, false), expected);
}

#[test]
fn a_rebalance_says_who_moved() {
    let cluster = [
        supervisor("a", 2, Liveness::Live),
        supervisor("b", 2, Liveness::Live),
    ];
    let expected = [
        "stays where it is",
        "rebalanced: machine host-b had no worker of the topology yet (2 machines with a free slot)",
    ];
    let workers = vec![at("a", 6700), at("a", 6701)];
    assert_eq!(reasons(&cluster, workers, true), expected);
}
