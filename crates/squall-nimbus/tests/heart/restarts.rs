//! Nimbus dies, at every point where it can, and goes on by reading.

use crate::world::{Outcome, World};

type Act = fn(&mut World) -> Outcome;

/// What operators may ask, and what happens by itself.
const SCENES: [(&str, Act); 6] = [
    ("submit", |world| {
        world
            .submit("new", 3, 3)
            .map(|_| squall_nimbus::heart::Reply::Done)
    }),
    ("kill", |world| world.kill("words", 5)),
    ("deactivate", |world| world.set_active("words", false)),
    ("rebalance", |world| {
        let plan = world.rebalance("words", 2, &[("count", 6)], false);
        plan.map(|_| squall_nimbus::heart::Reply::Done)
    }),
    ("drain", |world| world.drain("a", false)),
    ("tick", |world| {
        world.event(squall_nimbus::heart::Event::Tick)
    }),
];

fn launched() -> World {
    let mut world = World::of(4, 4);
    world.submit("words", 4, 4).unwrap();
    world.submit("other", 2, 2).unwrap();
    world.seconds(6);
    world
}

/// What the cluster comes to when it is left alone.
fn settled(world: &mut World) -> String {
    world.seconds(40);
    let topologies = ["words", "other", "new"].map(|name| {
        let record = world.find(name);
        record.map(|record| {
            let n_ready = world.running(name).len();
            (
                record.state(),
                record.launched,
                record.workers.len(),
                record.layout.n_tasks(),
                n_ready,
            )
        })
    });
    format!(
        "{topologies:?} {:?}",
        world
            .desired
            .supervisors
            .values()
            .map(|k| k.draining)
            .collect::<Vec<_>>()
    )
}

#[test]
fn dying_before_a_commit_is_as_if_nothing_was_asked() {
    for (what, act) in SCENES {
        let mut world = launched();
        let (before, running) = (format!("{:?}", world.desired), world.running("words"));
        world.dies_after = Some(0);
        if act(&mut world).is_ok() {
            world.dies_after = None;
            continue;
        }
        assert_eq!(format!("{:?}", world.desired), before, "{what}");
        world.seconds(10);
        assert_eq!(world.running("words"), running, "{what}");
    }
}

#[test]
fn dying_after_a_commit_comes_to_the_same_as_living_on() {
    for (what, act) in SCENES {
        let mut undisturbed = launched();
        act(&mut undisturbed).unwrap();
        let mut world = launched();
        world.dies_after = Some(usize::MAX);
        if act(&mut world).is_ok() {
            // Nothing was to be stored.
            world.dies_after = None;
        }
        assert_eq!(settled(&mut world), settled(&mut undisturbed), "{what}");
    }
}

#[test]
fn dying_again_and_again_on_the_way_comes_to_the_same_in_the_end() {
    for (what, act) in SCENES {
        let mut undisturbed = launched();
        act(&mut undisturbed).unwrap();
        let mut world = launched();
        act(&mut world).unwrap();
        for second in 0..12 {
            world.seconds(1 + second % 3);
            world.restart();
        }
        assert_eq!(settled(&mut world), settled(&mut undisturbed), "{what}");
    }
}

#[test]
fn a_restart_moves_nobody_however_late_the_supervisors_come_back() {
    let mut world = launched();
    let (words, other) = (world.running("words"), world.running("other"));
    for delay in [0, 5, 15] {
        world.restart();
        for supervisor in world.supervisors.values_mut() {
            supervisor.connected = false;
        }
        world.seconds(delay);
        for supervisor in world.supervisors.values_mut() {
            supervisor.connected = true;
        }
        world.seconds(30);
        assert_eq!(world.running("words"), words);
        assert_eq!(world.running("other"), other);
        assert_eq!(
            world.phases("words"),
            ["active".to_owned()].into(),
            "spouts were paused"
        );
    }
}

#[test]
fn a_supervisor_that_does_not_come_back_after_a_restart_is_lost_after_the_grace() {
    let mut world = launched();
    world.supervisor("a").alive = false;
    world.restart();
    world.seconds(19);
    assert!(world.machines("words").contains("a"));
    world.seconds(3);
    assert!(!world.machines("words").contains("a"));
}
