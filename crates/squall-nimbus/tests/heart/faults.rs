//! What happens when supervisors and workers fail.

use squall_nimbus::heart::{Event, SlotReportState, summarise};

use crate::world::World;

fn launched(n_supervisors: u8) -> World {
    let mut world = World::of(n_supervisors, 4);
    world.submit("words", 3, 4).unwrap();
    world.seconds(6);
    world
}

#[test]
fn workers_of_a_lost_supervisor_move_and_nobody_else() {
    let mut world = launched(4);
    world.submit("other", 2, 2).unwrap();
    world.seconds(6);
    let (before, other) = (world.places("words"), world.running("other"));
    let epochs = world.epochs("words");
    world.supervisor("a").alive = false;
    world.seconds(10);
    assert_eq!(world.places("words"), before, "moved before the time");
    world.seconds(2);
    let after = world.places("words");
    for ((before, after), (old, new)) in before
        .iter()
        .zip(&after)
        .zip(epochs.iter().zip(world.epochs("words")))
    {
        if before.starts_with("a:") {
            assert!(!after.starts_with("a:"));
            assert_eq!(new, world.record("words").version);
        } else {
            assert_eq!((before, *old), (after, new), "a healthy worker moved");
        }
    }
    world.seconds(5);
    assert!(
        world
            .running("words")
            .iter()
            .all(|(id, _, _)| id.as_str() != "a")
    );
    assert!(
        other
            .iter()
            .filter(|(id, _, _)| id.as_str() != "a")
            .all(|w| world.running("other").contains(w))
    );
    // Spouts weren't paused for it.
    assert_eq!(world.phases("words"), ["active".to_owned()].into());
}

#[test]
fn a_short_silence_moves_nobody() {
    let mut world = launched(3);
    let running = world.running("words");
    for _ in 0..3 {
        world.supervisor("a").connected = false;
        world.seconds(9);
        world.supervisor("a").connected = true;
        world.seconds(2);
    }
    assert_eq!(world.running("words"), running);
}

#[test]
fn a_supervisor_that_comes_back_ends_its_old_copies() {
    let mut world = launched(4);
    let lost = world
        .places("words")
        .iter()
        .find(|place| place.starts_with("a:"))
        .cloned();
    assert!(lost.is_some());
    world.supervisor("a").connected = false;
    world.seconds(20);
    assert_eq!(
        world.running("words").len(),
        4,
        "the old copy runs on, cut off, beside the new one"
    );
    world.supervisor("a").connected = true;
    world.seconds(3);
    assert_eq!(world.running("words").len(), 3);
    assert!(world.supervisor("a").slots.is_empty());
}

#[test]
fn with_nowhere_to_go_a_lost_worker_keeps_its_place() {
    let mut world = World::of(2, 1);
    world.submit("words", 2, 2).unwrap();
    world.seconds(6);
    let running = world.running("words");
    world.supervisor("a").connected = false;
    world.seconds(30);
    let plan =
        squall_nimbus::heart::describe(&world.desired, &world.observed, world.record("words"));
    let reasons: Vec<_> = plan.reasons.iter().map(|r| r.reason.as_str()).collect();
    let expected = "supervisor a is lost, and keeps its slot meanwhile: needs 1 slot, 0 free on 1 live \
                    supervisor (1 lost): add 1 slot, or kill or rebalance a topology";
    assert!(reasons.contains(&expected), "{reasons:?}");
    // Should it have been cut off only, its workers have run on.
    world.supervisor("a").connected = true;
    world.seconds(5);
    assert_eq!(world.running("words"), running);
    assert!(world.observed.all_ready.contains(&1));
}

#[test]
fn when_all_are_silent_nobody_moves() {
    let mut world = launched(3);
    let (running, version) = (world.running("words"), world.record("words").version);
    for supervisor in world.supervisors.values_mut() {
        supervisor.connected = false;
    }
    world.seconds(60);
    for supervisor in world.supervisors.values_mut() {
        supervisor.connected = true;
    }
    world.seconds(5);
    assert_eq!(world.running("words"), running);
    assert_eq!(world.record("words").version, version);
}

#[test]
fn a_crash_loop_moves_to_another_machine_and_no_further_than_there_are() {
    let mut world = launched(3);
    world.supervisor("a").crashes = true;
    let on_a = |world: &World| {
        world
            .places("words")
            .iter()
            .position(|place| place.starts_with("a:"))
    };
    let worker_idx = on_a(&world).unwrap();
    let others = world.epochs("words");
    world.seconds(5);
    assert_eq!(on_a(&world), None);
    let moved: Vec<usize> = (0..3)
        .filter(|idx| world.epochs("words")[*idx] != others[*idx])
        .collect();
    assert_eq!(moved, [worker_idx]);
    let n_looping = |world: &World| {
        let record = world.record("words");
        summarise(&world.observed, record, world.now, &world.limits).n_workers_crash_looping
    };
    assert_eq!(n_looping(&world), 0, "it has gone where it works");
    // Everywhere: each machine is tried, then it stays, and shows as what it is.
    for supervisor in world.supervisors.values_mut() {
        supervisor.crashes = true;
    }
    world.seconds(60);
    let places = world.places("words");
    for _ in 0..60 {
        world.seconds(1);
        assert_eq!(n_looping(&world), 3);
    }
    assert_eq!(world.places("words"), places);
    assert!(world.record("words").is_placed());
    // When it works again it works where it is.
    for supervisor in world.supervisors.values_mut() {
        supervisor.crashes = false;
    }
    world.seconds(5);
    assert_eq!(world.places("words"), places);
    assert!(world.observed.all_ready.contains(&1));
    assert_eq!(n_looping(&world), 0);
}

#[test]
fn too_many_restarts_in_a_while_are_a_crash_loop_and_in_a_year_they_are_not() {
    for (gap, moves) in [(2, true), (120, false)] {
        let mut world = World::of(2, 1);
        world.submit("words", 1, 1).unwrap();
        world.seconds(6);
        for n_restarts in 5..20 {
            let a = world.supervisor("a");
            a.obeys = false;
            for worker in a.slots.values_mut() {
                worker.report.state = SlotReportState::Failed {
                    n_restarts,
                    crash_looping: false,
                };
            }
            world.seconds(1);
            world.supervisor("a").obeys = true;
            world.seconds(gap - 1);
        }
        let place = if moves { "b:6701" } else { "a:6701" };
        assert_eq!(world.places("words"), [place]);
    }
}

#[test]
fn a_shunned_machine_is_used_again_after_a_while() {
    let mut world = World::of(2, 1);
    world.submit("words", 1, 1).unwrap();
    world.seconds(6);
    world.supervisor("a").crashes = true;
    world.seconds(6);
    assert_eq!(world.places("words"), ["b:6701"]);
    world.supervisor("a").crashes = false;
    world.supervisor("b").alive = false;
    world.seconds(30);
    // Better a machine that is lost than one where it can't run.
    assert_eq!(world.places("words"), ["b:6701"]);
    world.seconds(600);
    assert_eq!(world.places("words"), ["a:6701"]);
}

#[test]
fn a_standstill_of_nimbus_itself_makes_nobody_lost() {
    for a_comes_first in [false, true] {
        let mut world = launched(4);
        let running = world.running("words");
        // Frozen for a minute. When it goes on, a tick comes first, or what one supervisor had just said.
        world.now = world.now + std::time::Duration::from_secs(60);
        if a_comes_first {
            world.report("a");
        }
        world.event(Event::Tick).unwrap();
        world.seconds(5);
        assert_eq!(world.running("words"), running);
    }
}

#[test]
fn a_worker_is_not_ready_before_it_has_heard_where_the_others_are() {
    let mut world = launched(4);
    world.supervisor("a").obeys = false;
    world.supervisor("b").alive = false;
    world.seconds(20);
    assert_eq!(world.running("words").len(), 3, "the one that moved runs");
    assert!(!world.observed.all_ready.contains(&1));
    world.supervisor("a").obeys = true;
    world.seconds(2);
    assert!(world.observed.all_ready.contains(&1));
}

#[test]
fn a_worker_that_is_restarted_in_its_slot_stays_there() {
    let mut world = launched(3);
    let version = world.record("words").version;
    let worker = world.supervisor("a").slots.values_mut().next().unwrap();
    worker.report.fence.incarnation += 1;
    worker.report.state = SlotReportState::Failed {
        n_restarts: 1,
        crash_looping: false,
    };
    world.seconds(5);
    assert_eq!(world.record("words").version, version);
    assert!(world.observed.all_ready.contains(&1));
}

#[test]
fn a_supervisor_on_its_way_out_is_left_in_time() {
    let mut world = launched(4);
    world.supervisor("a").draining = true;
    world.seconds(4);
    assert!(!world.machines("words").contains("a"));
    assert!(world.supervisor("a").slots.is_empty());
}

#[test]
fn slots_that_are_gone_are_left() {
    let mut world = World::of(2, 2);
    world.submit("words", 4, 4).unwrap();
    world.seconds(6);
    world.join("c", 4);
    let a = world.supervisor("a");
    a.hello.slot_ports = vec![6701];
    a.connected = false;
    world.seconds(1);
    world.supervisor("a").connected = true;
    world.seconds(6);
    let places = world.places("words");
    assert!(!places.contains(&"a:6702".to_owned()), "{places:?}");
    assert_eq!(
        places
            .iter()
            .filter(|place| place.starts_with("c:"))
            .count(),
        1
    );
}

#[test]
fn peers_hear_of_a_new_address_and_nobody_moves() {
    let mut world = launched(3);
    let (epochs, version) = (world.epochs("words"), world.record("words").version);
    let a = world.supervisor("a");
    a.hello.address = "elsewhere:6700".parse().unwrap();
    a.connected = false;
    world.seconds(1);
    world.supervisor("a").connected = true;
    world.seconds(3);
    assert_eq!(world.epochs("words"), epochs);
    assert!(world.record("words").version > version);
    let orders = &world.supervisor("b").orders;
    let hosts = orders[0]
        .assignment
        .workers
        .iter()
        .map(|worker| worker.address.host().to_owned());
    assert!(hosts.collect::<Vec<_>>().contains(&"elsewhere".to_owned()));
}

#[test]
fn supervisors_that_are_lost_for_long_are_forgotten_unless_something_is_placed_there() {
    let mut world = World::of(3, 1);
    world.submit("words", 2, 2).unwrap();
    world.seconds(6);
    let used: Vec<String> = world.machines("words").into_iter().collect();
    for supervisor in world.supervisors.values_mut() {
        supervisor.alive = false;
    }
    world.seconds(3700);
    let known: Vec<String> = world
        .desired
        .supervisors
        .keys()
        .map(ToString::to_string)
        .collect();
    assert_eq!(known, used);
}

#[test]
fn supervisors_that_can_t_be_stored_are_not_remembered() {
    let mut world = World::of(1, 1);
    world.store_is_full = true;
    world.join("new", 1);
    world.seconds(5);
    assert_eq!(world.observed.supervisors.len(), 1);
    world.store_is_full = false;
    world.seconds(2);
    assert_eq!(world.observed.supervisors.len(), 2);
}

#[test]
fn there_are_only_so_many_supervisors() {
    let mut world = World::of(2, 1);
    world.limits.max_supervisors = 2;
    world.join("c", 1);
    world.seconds(2);
    assert_eq!(world.desired.supervisors.len(), 2);
    world.limits.max_supervisors = 3;
    world.seconds(2);
    assert_eq!(world.desired.supervisors.len(), 3);
}
