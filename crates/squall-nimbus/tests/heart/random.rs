//! Whatever happens in whatever order: no slot twice, nobody healthy moves, and what is killed vanishes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use squall_core::SupervisorId;
use squall_nimbus::heart::Record;
use squall_plan::schedule::{Liveness, Slot};
use squall_proto::TopologyState;

use crate::world::World;

#[derive(Clone, Debug)]
enum Act {
    Submit(u8, u32, u32),
    Kill(u8, u64),
    SetActive(u8, bool),
    Rebalance(u8, u32, u32),
    Drain(u8, bool),
    Connect(u8, bool),
    Live(u8, bool),
    Crash(u8, bool),
    Join(u8, u16),
    StoreFull(bool),
    Restart,
    DieInCommit(usize),
    Wait(u64),
}

fn acts() -> impl Strategy<Value = Act> {
    let topology = 0u8..4;
    let supervisor = 0u8..6;
    prop_oneof![
        4 => (topology.clone(), 1u32..6, 1u32..5).prop_map(|(t, w, n)| Act::Submit(t, w, n)),
        2 => (topology.clone(), 0u64..20).prop_map(|(t, wait)| Act::Kill(t, wait)),
        1 => (topology.clone(), any::<bool>()).prop_map(|(t, active)| Act::SetActive(t, active)),
        2 => (topology, 0u32..5, 0u32..5).prop_map(|(t, w, n)| Act::Rebalance(t, w, n)),
        1 => (supervisor.clone(), any::<bool>()).prop_map(|(s, undo)| Act::Drain(s, undo)),
        3 => (supervisor.clone(), any::<bool>()).prop_map(|(s, up)| Act::Connect(s, up)),
        2 => (supervisor.clone(), any::<bool>()).prop_map(|(s, up)| Act::Live(s, up)),
        1 => (supervisor.clone(), any::<bool>()).prop_map(|(s, on)| Act::Crash(s, on)),
        1 => (supervisor, 1u16..4).prop_map(|(s, n)| Act::Join(s, n)),
        1 => any::<bool>().prop_map(Act::StoreFull),
        1 => Just(Act::Restart),
        1 => (0usize..2).prop_map(Act::DieInCommit),
        6 => (1u64..15).prop_map(Act::Wait),
    ]
}

fn letter(n: u8) -> String {
    char::from(b'a' + n).to_string()
}

fn act(world: &mut World, act: &Act) {
    let with = |world: &mut World, n: u8, change: &dyn Fn(&mut crate::world::Supervisor)| {
        let found = world.supervisors.get_mut(&SupervisorId::new(letter(n)));
        found.into_iter().for_each(change);
    };
    let name = |n: &u8| format!("t{n}");
    // What is refused changes nothing, which the world checks; here it matters only what holds.
    match act {
        Act::Submit(t, w, n) => drop(world.submit(&name(t), *w, *n)),
        Act::Kill(t, wait) => drop(world.kill(&name(t), *wait)),
        Act::SetActive(t, active) => drop(world.set_active(&name(t), *active)),
        Act::Rebalance(t, w, n) => {
            let parallelism = [("count", *n)];
            let parallelism = if *n == 0 { &[][..] } else { &parallelism[..] };
            drop(world.rebalance(&name(t), *w, parallelism, false));
        }
        Act::Drain(s, undo) => drop(world.drain(&letter(*s), *undo)),
        Act::Connect(s, up) => with(world, *s, &|s| s.connected = *up),
        Act::Live(s, up) => with(world, *s, &|s| {
            // A machine that comes back has lost its workers.
            if !s.alive && *up {
                s.slots.clear();
                s.orders.clear();
            }
            s.alive = *up;
        }),
        Act::Crash(s, on) => with(world, *s, &|s| s.crashes = *on),
        Act::Join(s, n) => {
            if !world
                .supervisors
                .contains_key(&SupervisorId::new(letter(*s)))
            {
                world.join(&letter(*s), *n);
            }
        }
        Act::StoreFull(full) => world.store_is_full = *full,
        Act::Restart => world.restart(),
        Act::DieInCommit(after) => world.dies_after = Some(*after),
        Act::Wait(_) => {}
    }
}

/// The workers that nothing speaks against, and where they are.
fn healthy(world: &World) -> BTreeMap<(u64, usize), (Slot, u64)> {
    let is_good = |slot: &Slot| {
        let known = world.desired.supervisors.get(&slot.supervisor);
        known.is_some_and(|known| {
            let id = &slot.supervisor;
            let liveness = world.observed.liveness(id, known, world.now, &world.limits);
            liveness == Liveness::Live && known.slots.contains(&slot.port)
        })
    };
    let settled = |record: &&std::sync::Arc<Record>| {
        matches!(
            record.state(),
            TopologyState::Active | TopologyState::Inactive
        )
    };
    let records = world.desired.topologies.values().filter(settled);
    let workers = records.flat_map(|record| {
        let workers = record.workers.iter().enumerate();
        workers.map(|(idx, worker)| ((record.number, idx), worker))
    });
    let placed =
        workers.filter_map(|(key, worker)| Some((key, worker.slot.clone()?, worker.epoch)));
    let good = placed.filter(|(key, slot, _)| {
        is_good(slot)
            && !world
                .observed
                .shunned_by(key.0, key.1)
                .contains(&slot.supervisor)
    });
    good.map(|(key, slot, epoch)| (key, (slot, epoch)))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    #[test]
    fn nobody_healthy_moves_and_what_is_killed_vanishes(acts in prop::collection::vec(acts(), 1..60)) {
        let mut world = World::of(3, 3);
        for act in &acts {
            let n_seconds = if let Act::Wait(n) = act { *n } else { 1 };
            let before = healthy(&world);
            let (shunned, n_restarts) = (world.observed.shunned.clone(), world.n_restarts);
            self::act(&mut world, act);
            let now_healthy = healthy(&world);
            let died = !matches!(act, Act::Restart) && world.n_restarts > n_restarts;
            if !matches!(act, Act::Rebalance(..)) && !died {
                moved_without_reason(&world, &before, &now_healthy, &shunned)?;
            }
            for _ in 0..n_seconds {
                let before = healthy(&world);
                let (shunned, n_restarts) = (world.observed.shunned.clone(), world.n_restarts);
                world.seconds(1);
                // A nimbus that died on the way doesn't know any more why it moved somebody.
                if world.n_restarts == n_restarts {
                    moved_without_reason(&world, &before, &healthy(&world), &shunned)?;
                }
            }
        }
        // Everything is well again: all that is killed goes, all the rest runs as far as there are slots.
        world.store_is_full = false;
        world.dies_after = None;
        for supervisor in world.supervisors.values_mut() {
            if !supervisor.alive {
                supervisor.slots.clear();
                supervisor.orders.clear();
            }
            (supervisor.alive, supervisor.connected, supervisor.crashes) = (true, true, false);
        }
        world.seconds(60);
        for record in world.desired.topologies.values() {
            prop_assert!(record.state() != TopologyState::Killed, "{} lives on", record.id());
            prop_assert!(record.state() != TopologyState::Rebalancing);
            prop_assert!(record.launched || !record.is_placed(), "{} waits", record.id());
        }
        let wanted: usize = world.desired.topologies.values().map(|record| {
            record.workers.iter().filter(|worker| worker.slot.is_some()).count()
        }).sum();
        let running: usize = world.supervisors.values().map(|s| s.slots.len()).sum();
        prop_assert_eq!(running, wanted, "workers run that nobody wants, or the other way round");
    }
}

/// Checks that whoever was healthy is where it was, unless its topology is gone or on its way, or its
/// supervisor or it itself isn't well any more.
fn moved_without_reason(
    world: &World,
    before: &BTreeMap<(u64, usize), (Slot, u64)>,
    after: &BTreeMap<(u64, usize), (Slot, u64)>,
    shunned: &BTreeMap<(u64, usize), BTreeMap<SupervisorId, squall_core::Moment>>,
) -> Result<(), TestCaseError> {
    for (key, (slot, epoch)) in before {
        let Some((now_slot, now_epoch)) = after.get(key) else {
            continue;
        };
        let excused = world.observed.shunned.get(key) != shunned.get(key)
            || world
                .desired
                .supervisors
                .get(&slot.supervisor)
                .is_none_or(|known| {
                    let id = &slot.supervisor;
                    let liveness = world.observed.liveness(id, known, world.now, &world.limits);
                    liveness != Liveness::Live || !known.slots.contains(&slot.port)
                });
        let stayed = (slot, epoch) == (now_slot, now_epoch);
        prop_assert!(
            stayed || excused,
            "{:?} moved from {:?} to {:?}",
            key,
            slot,
            now_slot
        );
    }
    Ok(())
}
