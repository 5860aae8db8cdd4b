//! Spreading a topology anew.

use squall_proto::RefusalCode;

use crate::world::World;

fn launched(n_supervisors: u8, n_workers: u32) -> World {
    let mut world = World::of(n_supervisors, 4);
    world.submit("words", n_workers, 4).unwrap();
    world.seconds(6);
    world
}

fn phases(world: &World) -> Vec<String> {
    world.phases("words").into_iter().collect()
}

#[test]
fn a_topology_drains_moves_and_goes_on() {
    let mut world = launched(2, 2);
    world.join("c", 4);
    world.seconds(2);
    let before = world.running("words");
    let plan = world.rebalance("words", 3, &[], false).unwrap();
    assert_eq!(plan.assignment.workers.len(), 3);
    world.seconds(1);
    assert_eq!(phases(&world), ["draining"]);
    assert_eq!(
        world.running("words"),
        before,
        "moved before it had drained"
    );
    world.seconds(3);
    assert_eq!(world.record("words").workers.len(), 3);
    assert_eq!(phases(&world), ["starting"]);
    world.seconds(6);
    assert_eq!(phases(&world), ["active"]);
    assert_eq!(world.machines("words").len(), 3);
    let placed: Vec<_> = plan
        .assignment
        .workers
        .iter()
        .map(|w| format!("{}:{}", w.supervisor, w.port()))
        .collect();
    assert_eq!(
        world.places("words"),
        placed,
        "it went elsewhere than was said"
    );
}

#[test]
fn a_frozen_worker_holds_a_rebalance_up_no_longer_than_asked() {
    let mut world = launched(3, 3);
    world.supervisor("a").connected = false;
    world.rebalance("words", 2, &[], false).unwrap();
    world.seconds(9);
    assert_eq!(world.record("words").workers.len(), 3);
    world.seconds(2);
    assert_eq!(world.record("words").workers.len(), 2);
}

#[test]
fn other_numbers_of_tasks_give_every_worker_a_new_epoch() {
    let mut world = launched(2, 2);
    let (running, epochs) = (world.running("words"), world.epochs("words"));
    world.rebalance("words", 0, &[("count", 6)], false).unwrap();
    world.seconds(10);
    assert_eq!(phases(&world), ["active"]);
    let record = world.record("words");
    assert_eq!(record.layout.n_tasks(), 4 + 4 + 6);
    let n_tasks: usize = record.workers.iter().map(|worker| worker.tasks.len()).sum();
    assert_eq!(n_tasks, 14);
    assert!(
        record
            .workers
            .iter()
            .all(|worker| worker.epoch > epochs[0].max(epochs[1]))
    );
    assert!(world.running("words").is_disjoint(&running));
    // Numbers that were set stay until they are set again.
    world.rebalance("words", 0, &[("in", 1)], false).unwrap();
    world.seconds(10);
    assert_eq!(world.record("words").layout.n_tasks(), 1 + 4 + 6);
}

#[test]
fn a_rebalance_begins_every_worker_anew_where_it_can_stay() {
    let mut world = launched(3, 3);
    let (running, places, epochs) = (
        world.running("words"),
        world.places("words"),
        world.epochs("words"),
    );
    world.rebalance("words", 0, &[], false).unwrap();
    world.seconds(10);
    assert_eq!(phases(&world), ["active"]);
    assert_eq!(world.places("words"), places);
    let version = world.record("words").version;
    assert!(version > epochs[0]);
    assert_eq!(world.epochs("words"), [version; 3]);
    assert!(
        world.running("words").is_disjoint(&running),
        "drained tasks have ended"
    );
}

#[test]
fn a_worker_that_could_as_well_be_elsewhere_stays() {
    let mut world = World::of(2, 4);
    world.submit("first", 1, 1).unwrap();
    world.submit("words", 1, 1).unwrap();
    world.seconds(6);
    assert_eq!(world.places("words"), ["b:6701"]);
    world.kill("first", 0).unwrap();
    world.seconds(3);
    world.rebalance("words", 0, &[], false).unwrap();
    world.seconds(10);
    assert_eq!(world.places("words"), ["b:6701"]);
}

#[test]
fn spouts_wait_until_the_last_of_the_new_copies_is_ready() {
    let mut world = launched(3, 3);
    world.rebalance("words", 0, &[], false).unwrap();
    world.seconds(1);
    // What an old copy says of itself, ready and drained, is of no account for the new one.
    world.supervisor("a").obeys = false;
    world.seconds(15);
    assert_eq!(phases(&world), ["starting"]);
    world.supervisor("a").obeys = true;
    world.seconds(6);
    assert_eq!(phases(&world), ["active"]);
}

#[test]
fn new_machines_are_used_after_a_rebalance_and_not_before() {
    let mut world = launched(1, 3);
    world.join("b", 4);
    world.join("c", 4);
    world.seconds(20);
    assert_eq!(world.machines("words").len(), 1);
    let before = world.places("words");
    world.rebalance("words", 0, &[], false).unwrap();
    world.seconds(12);
    assert_eq!(world.machines("words").len(), 3);
    let after = world.places("words");
    let n_stayed = before.iter().zip(&after).filter(|(a, b)| a == b).count();
    assert_eq!(n_stayed, 1, "one could have stayed");
}

#[test]
fn a_paused_topology_is_paused_afterwards() {
    let mut world = launched(2, 2);
    world.set_active("words", false).unwrap();
    world.seconds(1);
    world.rebalance("words", 1, &[], false).unwrap();
    world.seconds(10);
    assert_eq!(phases(&world), ["inactive"]);
}

#[test]
fn a_dry_run_changes_nothing() {
    let mut world = launched(2, 2);
    let before = world.store.clone();
    let plan = world.rebalance("words", 4, &[("count", 8)], true).unwrap();
    assert_eq!(plan.assignment.workers.len(), 4);
    assert_eq!(world.store, before);
    world.seconds(3);
    assert_eq!(phases(&world), ["active"]);
}

#[test]
fn what_can_not_be_is_refused() {
    let mut world = launched(2, 2);
    let before = world.store.clone();
    let refusal = world
        .rebalance("words", 0, &[("nobody", 2)], false)
        .unwrap_err();
    assert_eq!(
        refusal.message.as_str(),
        "the topology has no component `nobody`"
    );
    let refusal = world
        .rebalance("words", 0, &[("count", 5000)], false)
        .unwrap_err();
    assert_eq!(refusal.code, RefusalCode::BadSpec);
    assert_eq!(
        refusal.message.as_str(),
        "5000 tasks can't share 4096 groups of keys (at `bolts.count.parallelism`)"
    );
    assert_eq!(world.store, before);
}

#[test]
fn a_second_rebalance_waits_for_its_own_drain() {
    let mut world = launched(2, 2);
    for _ in 0..2 {
        world.rebalance("words", 0, &[], false).unwrap();
        assert_eq!(
            world.record("words").state(),
            squall_proto::TopologyState::Rebalancing
        );
        world.seconds(1);
        assert_eq!(phases(&world), ["draining"]);
        world.seconds(9);
    }
}
