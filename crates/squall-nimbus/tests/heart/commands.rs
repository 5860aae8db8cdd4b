//! Every command in every state.

use squall_nimbus::heart::{Command, Event, Lifecycle, next_state};
use squall_proto::{RefusalCode, TopologyState};

use crate::world::{Outcome, World, name};

fn phases(world: &World) -> Vec<String> {
    world.phases("words").into_iter().collect()
}

fn launched() -> World {
    let mut world = World::of(3, 4);
    world.submit("words", 3, 4).unwrap();
    world.seconds(6);
    assert_eq!(phases(&world), ["active"]);
    world
}

fn command(world: &mut World, command: Command) -> Outcome {
    match command {
        Command::Activate => world.set_active("words", true),
        Command::Deactivate => world.set_active("words", false),
        Command::Rebalance => {
            let plan = world.rebalance("words", 2, &[], false);
            plan.map(|_| squall_nimbus::heart::Reply::Done)
        }
        Command::Kill => world.kill("words", 5),
    }
}

/// A world in which `words` is in a state.
fn in_state(state: TopologyState) -> World {
    let mut world = launched();
    match state {
        TopologyState::Active => {}
        TopologyState::Inactive => drop(world.set_active("words", false).unwrap()),
        TopologyState::Rebalancing => drop(world.rebalance("words", 2, &[], false).unwrap()),
        TopologyState::Killed => drop(world.kill("words", 5).unwrap()),
    }
    assert_eq!(world.record("words").state(), state);
    world
}

#[test]
fn every_command_in_every_state_does_what_the_table_says() {
    use TopologyState::{Active, Inactive, Killed, Rebalancing};
    for state in [Active, Inactive, Rebalancing, Killed] {
        for asked in Command::ALL {
            let mut world = in_state(state);
            let before = world.store.clone();
            let outcome = command(&mut world, asked);
            match next_state(state, asked) {
                Some(next) => {
                    outcome.unwrap();
                    assert_eq!(world.record("words").state(), next, "{state} {asked:?}");
                }
                None => {
                    let refusal = outcome.unwrap_err();
                    assert_eq!(refusal.code, RefusalCode::IllegalMove);
                    let text = format!("can't {} `words`: it is {state}", asked.verb());
                    assert_eq!(refusal.message.as_str(), text);
                    assert_eq!(world.store, before);
                }
            }
        }
    }
}

#[test]
fn unknown_names_are_refused() {
    let mut world = World::of(1, 1);
    for asked in Command::ALL {
        let refusal = command(&mut world, asked).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::UnknownTopology);
    }
    let refusal = world.drain("nobody", false).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::UnknownSupervisor);
}

#[test]
fn a_topology_pauses_and_goes_on() {
    let mut world = launched();
    let running = world.running("words");
    world.set_active("words", false).unwrap();
    world.seconds(1);
    assert_eq!(phases(&world), ["inactive"]);
    world.set_active("words", false).unwrap();
    world.set_active("words", true).unwrap();
    world.seconds(1);
    assert_eq!(phases(&world), ["active"]);
    assert_eq!(world.running("words"), running);
}

#[test]
fn a_killed_topology_drains_ends_and_is_forgotten() {
    let mut world = launched();
    world.kill("words", 30).unwrap();
    world.seconds(1);
    assert_eq!(phases(&world), ["draining"]);
    let refusal = world.submit("words", 1, 1).unwrap_err();
    assert_eq!(
        refusal.message.as_str(),
        "a topology `words` is still ending: words-1"
    );
    // The workers say after two seconds that they have drained.
    world.seconds(7);
    assert!(world.find("words").is_none());
    assert!(world.supervisors.values().all(|s| s.slots.is_empty()));
    let left: Vec<_> = world
        .store
        .keys()
        .filter(|key| !key.contains("/supervisor/"))
        .collect();
    assert_eq!(left, ["nimbus/counters"]);
    world.submit("words", 1, 1).unwrap();
    assert_eq!(world.record("words").id().as_str(), "words-2");
}

#[test]
fn a_kill_waits_no_longer_than_asked_and_the_shorter_of_two_counts() {
    let mut world = launched();
    // A frozen worker never says that it has drained.
    world.supervisor("a").connected = false;
    world.kill("words", 600).unwrap();
    world.seconds(5);
    assert_eq!(phases(&world).len(), 2);
    world.kill("words", 3600).unwrap();
    let wait = std::time::Duration::from_secs(600);
    let ending = false;
    assert_eq!(
        world.record("words").lifecycle,
        Lifecycle::Killed { wait, ending }
    );
    world.kill("words", 0).unwrap();
    assert!(world.record("words").is_ending());
    world.seconds(3);
    // Its workers are still with the supervisor that nobody reaches: the name is taken until that is lost.
    assert!(world.record("words").is_ending());
    world.seconds(10);
    assert!(world.find("words").is_none());
    world.supervisor("a").connected = true;
    world.seconds(3);
    assert!(world.supervisor("a").slots.is_empty());
}

#[test]
fn a_topology_that_never_started_has_nothing_to_drain() {
    let mut world = World::of(1, 1);
    world.submit("words", 3, 4).unwrap();
    world.seconds(2);
    world.kill("words", 3600).unwrap();
    assert!(world.record("words").is_ending());
    world.seconds(3);
    assert!(world.find("words").is_none());
}

#[test]
fn a_drained_supervisor_is_emptied_and_can_be_used_again() {
    let mut world = launched();
    let before = world.places("words");
    let reply = world.drain("b", false).unwrap();
    assert_eq!(reply, squall_nimbus::heart::Reply::Draining(1));
    assert!(
        world
            .supervisor("a")
            .orders
            .iter()
            .all(|order| !order.all_ready),
        "one is on its way"
    );
    let after = world.places("words");
    let moved: Vec<_> = before.iter().zip(&after).filter(|(a, b)| a != b).collect();
    assert_eq!(moved.len(), 1);
    assert!(!world.machines("words").contains("b"));
    world.seconds(5);
    assert!(world.supervisor("b").slots.is_empty());
    assert_eq!(phases(&world), ["active"]);
    // That it is drained survives; undoing it moves nobody.
    world.restart();
    world.seconds(5);
    world.drain("b", true).unwrap();
    world.seconds(5);
    assert_eq!(world.places("words"), after);
    world.submit("other", 3, 3).unwrap();
    assert!(world.machines("other").contains("b"));
}

#[test]
fn what_can_not_leave_a_drained_supervisor_stays_until_it_can() {
    let mut world = World::of(1, 2);
    world.submit("words", 2, 2).unwrap();
    world.seconds(6);
    let running = world.running("words");
    world.drain("a", false).unwrap();
    world.seconds(5);
    assert_eq!(world.running("words"), running);
    world.join("b", 1);
    world.seconds(5);
    assert_eq!(world.machines("words").len(), 2);
    world.join("c", 4);
    world.seconds(5);
    assert!(!world.machines("words").contains("a"));
    assert!(world.supervisor("a").slots.is_empty());
}

#[test]
fn commands_name_topologies_not_ids() {
    let mut world = launched();
    let refusal = world.event(Event::Kill {
        name: name("words-1"),
        wait: std::time::Duration::ZERO,
    });
    assert_eq!(refusal.unwrap_err().code, RefusalCode::UnknownTopology);
}
