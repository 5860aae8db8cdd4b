//! No slot twice, spread over machines, and nothing moves that needn't.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use squall_core::SupervisorId;
use squall_plan::schedule::{Demand, Liveness, Reason, Slot, Supervisor, Verdict, Wanted, place};

fn supervisor(id: &str, machine: &str, n_slots: u16) -> Supervisor {
    Supervisor {
        id: id.into(),
        machine: machine.into(),
        slots: (0..n_slots).map(|n| 6700 + n).collect(),
        liveness: Liveness::Live,
    }
}

fn demand(name: &str, n_workers: usize) -> Demand {
    Demand {
        topology: name.into(),
        workers: vec![Wanted::default(); n_workers],
        respread: false,
    }
}

/// The demands with the workers where they were placed.
fn settled(demands: &[Demand], verdicts: &[Vec<Verdict>]) -> Vec<Demand> {
    let settled = demands.iter().zip(verdicts).map(|(demand, verdicts)| {
        let mut demand = demand.clone();
        demand.respread = false;
        for (wanted, verdict) in demand.workers.iter_mut().zip(verdicts) {
            wanted.current.clone_from(&verdict.slot);
        }
        demand
    });
    settled.collect()
}

fn slots(verdicts: &[Vec<Verdict>]) -> Vec<Slot> {
    verdicts
        .iter()
        .flatten()
        .filter_map(|v| v.slot.clone())
        .collect()
}

/// How many of some workers each machine has that could take one.
fn per_machine(supervisors: &[Supervisor], verdicts: &[Verdict]) -> BTreeMap<String, usize> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for supervisor in supervisors
        .iter()
        .filter(|s| s.liveness == Liveness::Live && !s.slots.is_empty())
    {
        let own = |verdict: &&Verdict| {
            let slot = verdict.slot.as_ref();
            slot.is_some_and(|slot| slot.supervisor == supervisor.id)
        };
        *counts.entry(supervisor.machine.to_string()).or_default() +=
            verdicts.iter().filter(own).count();
    }
    counts
}

fn clusters() -> impl Strategy<Value = Vec<Supervisor>> {
    let one = (0u8..6, 0u16..5, 0u8..10);
    prop::collection::vec(one, 0..10).prop_map(|all| {
        let all = all
            .into_iter()
            .enumerate()
            .map(|(idx, (machine, n_slots, liveness))| Supervisor {
                liveness: match liveness {
                    0 => Liveness::Lost,
                    1 => Liveness::Draining,
                    _ => Liveness::Live,
                },
                ..supervisor(&format!("s{idx}"), &format!("m{machine}"), n_slots)
            });
        all.collect()
    })
}

fn demands() -> impl Strategy<Value = Vec<Demand>> {
    prop::collection::vec(0usize..6, 0..6).prop_map(|sizes| {
        let sizes = sizes.into_iter().enumerate();
        sizes
            .map(|(idx, n)| demand(&format!("t{idx}"), n))
            .collect()
    })
}

/// What a live supervisor offers.
fn offered(supervisors: &[Supervisor]) -> BTreeSet<Slot> {
    let live = supervisors.iter().filter(|s| s.liveness == Liveness::Live);
    live.flat_map(|s| {
        let slot = |port: &u16| Slot {
            supervisor: s.id.clone(),
            port: *port,
        };
        s.slots.iter().map(slot)
    })
    .collect()
}

proptest! {
    #[test]
    fn slots_are_given_once_and_all_of_them_before_anyone_waits(
        supervisors in clusters(), demands in demands(),
    ) {
        let verdicts = place(&supervisors, &demands);
        let given = slots(&verdicts);
        let distinct: BTreeSet<_> = given.iter().cloned().collect();
        prop_assert_eq!(distinct.len(), given.len(), "a slot was given twice");
        prop_assert!(distinct.is_subset(&offered(&supervisors)));
        let n_wanted: usize = demands.iter().map(|demand| demand.workers.len()).sum();
        prop_assert_eq!(given.len(), n_wanted.min(offered(&supervisors).len()));
        for (demand, verdicts) in demands.iter().zip(&verdicts) {
            prop_assert_eq!(demand.workers.len(), verdicts.len());
        }
    }

    #[test]
    fn a_topology_is_spread_over_machines(supervisors in clusters(), n_workers in 0usize..12) {
        let demands = [demand("t", n_workers)];
        let verdicts = place(&supervisors, &demands);
        let counts = per_machine(&supervisors, &verdicts[0]);
        let taken: BTreeSet<_> = slots(&verdicts).into_iter().collect();
        for free in offered(&supervisors).difference(&taken) {
            let machine = supervisors.iter().find(|s| s.id == free.supervisor).unwrap().machine.to_string();
            let fewest = counts[&machine];
            prop_assert!(counts.values().all(|n| *n <= fewest + 1), "{:?}", counts);
        }
    }

    #[test]
    fn nothing_healthy_moves_whatever_else_happens(
        (before, after) in (clusters(), prop::collection::vec(0u8..4, 10)),
        demands in demands(),
        joining in clusters(),
        newcomers in demands(),
    ) {
        let settled = settled(&demands, &place(&before, &demands));
        // Some supervisors are lost, drain or lose their last slot; others join.
        let mut cluster = before;
        for (known, change) in cluster.iter_mut().zip(after) {
            match change {
                0 => known.liveness = Liveness::Lost,
                1 => known.liveness = Liveness::Draining,
                2 => drop(known.slots.pop()),
                _ => {}
            }
        }
        let joined = joining.into_iter().map(|s| Supervisor { id: format!("new-{}", s.id).as_str().into(), ..s });
        cluster.extend(joined);
        let good = offered(&cluster);
        let mut all = settled.clone();
        all.extend(newcomers.into_iter().map(|d| Demand { topology: format!("new-{}", d.topology).as_str().into(), ..d }));
        let verdicts = place(&cluster, &all);
        for (demand, verdicts) in settled.iter().zip(&verdicts) {
            for (wanted, verdict) in demand.workers.iter().zip(verdicts) {
                if wanted.current.as_ref().is_some_and(|slot| good.contains(slot)) {
                    prop_assert_eq!(&wanted.current, &verdict.slot);
                    prop_assert_eq!(&verdict.reason, &Reason::Stays);
                } else if let Reason::Placed { .. } = verdict.reason {
                    prop_assert!(good.contains(verdict.slot.as_ref().unwrap()));
                }
            }
        }
        let given = slots(&verdicts);
        let distinct: BTreeSet<_> = given.iter().collect();
        prop_assert_eq!(distinct.len(), given.len(), "a slot was given twice");
        // Asked again, the scheduler changes nothing, whatever the order of the supervisors.
        cluster.reverse();
        let again = place(&cluster, &self::settled(&all, &verdicts));
        let again: Vec<_> = again.iter().flatten().zip(verdicts.iter().flatten()).collect();
        for (again, verdict) in again {
            if verdict.reason.is_placed() {
                prop_assert_eq!(&again.slot, &verdict.slot);
            }
        }
    }

    #[test]
    fn a_rebalance_spreads_and_takes_nothing_away(
        before in clusters(), demands in demands(), joining in clusters(), chosen in any::<prop::sample::Index>(),
    ) {
        prop_assume!(!demands.is_empty());
        let mut settled = settled(&demands, &place(&before, &demands));
        let mut cluster = before;
        cluster.extend(joining.into_iter().map(|s| Supervisor { id: format!("new-{}", s.id).as_str().into(), ..s }));
        let chosen = chosen.index(settled.len());
        settled[chosen].respread = true;
        let verdicts = place(&cluster, &settled);
        let n_before = settled[chosen].workers.iter().filter(|w| w.current.is_some()).count();
        let n_after = verdicts[chosen].iter().filter(|v| v.slot.is_some()).count();
        prop_assert!(n_after >= n_before);
        let given = slots(&verdicts);
        let distinct: BTreeSet<_> = given.iter().cloned().collect();
        prop_assert_eq!(distinct.len(), given.len(), "a slot was given twice");
        let counts = per_machine(&cluster, &verdicts[chosen]);
        for free in offered(&cluster).difference(&distinct) {
            // A slot that was only just left doesn't count as free.
            let left = settled.iter().flat_map(|d| &d.workers).any(|w| w.current.as_ref() == Some(free));
            let machine = cluster.iter().find(|s| s.id == free.supervisor).unwrap().machine.to_string();
            prop_assert!(left || counts.values().all(|n| *n <= counts[&machine] + 1), "{:?}", counts);
        }
        // A second rebalance moves nothing: the first one was as good as it gets.
        let mut again = self::settled(&settled, &verdicts);
        again[chosen].respread = true;
        if verdicts[chosen].iter().all(|v| v.reason.is_placed()) {
            let second = place(&cluster, &again);
            prop_assert!(second[chosen].iter().all(|v| v.reason == Reason::Stays), "{:?}", second[chosen]);
        }
    }
}

#[test]
fn supervisors_of_one_machine_share_a_topology() {
    let cluster = ["a", "b", "c"].map(|id| supervisor(id, "laptop", 4));
    let verdicts = place(&cluster, &[demand("t", 3)]);
    let used: BTreeSet<SupervisorId> = slots(&verdicts)
        .into_iter()
        .map(|slot| slot.supervisor)
        .collect();
    assert_eq!(used.len(), 3);
}

#[test]
fn a_worker_that_crash_loops_goes_to_another_machine_if_it_can() {
    let a_slot = Slot {
        supervisor: "a".into(),
        port: 6700,
    };
    let crashing = |shun: &[&str]| Demand {
        workers: vec![Wanted {
            current: Some(a_slot.clone()),
            shun: shun.iter().map(|id| SupervisorId::from(*id)).collect(),
        }],
        ..demand("t", 0)
    };
    // The second supervisor of the same machine has more room; the other machine is better.
    let cluster = [
        supervisor("a", "one", 2),
        supervisor("a2", "one", 4),
        supervisor("b", "two", 1),
    ];
    let moved = |cluster: &[Supervisor], shun| {
        place(cluster, &[crashing(shun)])[0][0]
            .slot
            .clone()
            .unwrap()
    };
    assert_eq!(moved(&cluster, &["a"]).supervisor, "b");
    assert_eq!(moved(&cluster[..2], &["a"]).supervisor, "a2");
    let verdict = &place(&cluster[..1], &[crashing(&["a"])])[0][0];
    assert_eq!(verdict.slot, Some(a_slot.clone()));
    assert!(!verdict.reason.is_placed());
    assert_eq!(moved(&cluster, &["a", "a2", "b"]), a_slot);
}

#[test]
fn a_slot_that_is_left_is_free_only_the_next_time() {
    let cluster = [supervisor("a", "one", 1), supervisor("b", "two", 1)];
    let mut crashing = demand("t", 1);
    crashing.workers[0] = Wanted {
        current: Some(Slot {
            supervisor: "a".into(),
            port: 6700,
        }),
        shun: vec!["a".into()],
    };
    let demands = [crashing, demand("u", 1)];
    let verdicts = place(&cluster, &demands);
    assert_eq!(verdicts[0][0].slot.as_ref().unwrap().supervisor, "b");
    assert_eq!(verdicts[1][0].slot, None);
    let verdicts = place(&cluster, &settled(&demands, &verdicts));
    assert_eq!(verdicts[1][0].slot.as_ref().unwrap().supervisor, "a");
}
