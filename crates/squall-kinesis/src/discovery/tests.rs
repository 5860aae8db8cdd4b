//! Splits, merges, vanished parents and several tasks, each as one view of the world.

use super::*;
use crate::position::Position;
use crate::sequence::Sequence;

const ALONE: Share = Share {
    task_idx: 0,
    n_tasks: 1,
};

fn id(n: u64) -> ShardId {
    ShardId::new(&format!("shardId-{n:012}"))
}

fn ids(numbers: &[u64]) -> Vec<ShardId> {
    numbers.iter().copied().map(id).collect()
}

#[derive(Default)]
struct World {
    listed: BTreeMap<ShardId, ShardInfo>,
    stored: BTreeMap<ShardId, ShardState>,
    taken: BTreeSet<ShardId>,
}

impl World {
    fn listed(mut self, n: u64, closed: bool, parents: &[u64]) -> Self {
        let info = ShardInfo {
            id: id(n),
            parents: ids(parents),
            closed,
        };
        self.listed.insert(id(n), info);
        self
    }

    fn stored(mut self, n: u64, checkpoint: Checkpoint, parents: &[u64]) -> Self {
        let state = ShardState {
            checkpoint,
            parents: ids(parents),
        };
        self.stored.insert(id(n), state);
        self
    }

    fn taken(mut self, n: u64) -> Self {
        self.taken.insert(id(n));
        self
    }

    fn plan_for(&self, share: Share) -> Plan {
        plan(View {
            listed: &self.listed,
            stored: &self.stored,
            taken: &self.taken,
            share,
            beginning: Beginning {
                initial: &Resolved::Latest,
                stream: &StreamState {
                    started_ms: 5,
                    unlisted: false,
                    newest: Some(2),
                },
            },
        })
    }

    fn plan(&self) -> Plan {
        self.plan_for(ALONE)
    }
}

fn after(n: u32) -> Checkpoint {
    Checkpoint::After(Position::plain(Sequence::parse(&n.to_string()).unwrap()))
}

#[test]
fn children_wait_until_their_parent_is_finished() {
    let split = World::default()
        .listed(0, true, &[])
        .listed(1, false, &[0])
        .listed(2, false, &[0])
        .stored(0, after(5), &[])
        .stored(1, Checkpoint::TrimHorizon, &[0])
        .stored(2, Checkpoint::TrimHorizon, &[0])
        .taken(0);
    let plan = split.plan();
    assert_eq!((plan.start, plan.waiting), (vec![], ids(&[1, 2])));
    let plan = split.stored(0, Checkpoint::ShardEnd, &[]).plan();
    assert_eq!((plan.start, plan.waiting), (ids(&[1, 2]), vec![]));
}

#[test]
fn merge_children_wait_for_both_parents() {
    let merged = World::default()
        .listed(0, true, &[])
        .listed(1, true, &[])
        .listed(2, false, &[0, 1])
        .stored(0, Checkpoint::ShardEnd, &[])
        .stored(1, after(5), &[])
        .stored(2, Checkpoint::TrimHorizon, &[0, 1])
        .taken(1);
    assert_eq!(merged.plan().waiting, ids(&[2]));
    let plan = merged.stored(1, Checkpoint::ShardEnd, &[]).plan();
    assert_eq!(plan.start, ids(&[2]));
}

#[test]
fn a_parent_known_to_nobody_holds_nothing_up() {
    let orphan = World::default()
        .listed(7, false, &[3])
        .stored(7, after(1), &[3]);
    assert_eq!(orphan.plan().start, ids(&[7]));
    // Listed and not yet stored: it is only being discovered.
    let plan = orphan.listed(3, true, &[]).plan();
    assert_eq!((plan.start, plan.waiting), (vec![], ids(&[7])));
}

#[test]
fn a_parent_that_left_the_listing_unfinished_still_holds_its_children() {
    let world = World::default()
        .listed(1, false, &[0])
        .stored(0, after(5), &[])
        .stored(1, Checkpoint::TrimHorizon, &[0]);
    let plan = world.plan();
    // It is read to find out that it is gone.
    assert_eq!((plan.start, plan.waiting), (ids(&[0]), ids(&[1])));
}

#[test]
fn new_shards_are_stored_before_they_are_read_by_their_own_task() {
    // Those up to 2 were there at the first start, which was at 5 ms and wanted the latest.
    let mut world = World::default()
        .listed(1, true, &[])
        .listed(2, false, &[])
        .listed(3, false, &[1]);
    let odd = ShardInfo {
        id: ShardId::new("no-number"),
        parents: Vec::new(),
        closed: false,
    };
    world.listed.insert(odd.id.clone(), odd);
    let mut all = BTreeMap::new();
    for task_idx in 0..2 {
        let share = Share {
            task_idx,
            n_tasks: 2,
        };
        let plan = world.plan_for(share);
        assert_eq!(plan.start, []);
        for (id, state) in plan.create {
            assert!(share.owns(&id));
            assert_eq!(all.insert(id, state), None);
        }
    }
    let at_start = Checkpoint::AtTimestamp(5);
    assert_eq!(all[&id(1)].checkpoint, at_start);
    assert_eq!(all[&id(2)].checkpoint, at_start);
    assert_eq!(all[&ShardId::new("no-number")].checkpoint, at_start);
    assert_eq!(all[&id(3)].checkpoint, Checkpoint::TrimHorizon);
    assert_eq!(all[&id(3)].parents, ids(&[1]));
}

#[test]
fn every_shard_has_exactly_one_task() {
    let mut world = World::default();
    for n in 0..20 {
        world = world.listed(n, false, &[]).stored(n, after(1), &[]);
    }
    let odd = ShardId::new("some-other-name");
    let state = world.stored[&id(0)].clone();
    world.stored.insert(odd, state);
    let mut started = Vec::new();
    for task_idx in 0..3 {
        let share = Share {
            task_idx,
            n_tasks: 3,
        };
        started.extend(world.plan_for(share).start);
    }
    started.sort();
    assert_eq!(started, world.stored.keys().cloned().collect::<Vec<_>>());
}

#[test]
fn a_child_of_another_tasks_parent_waits_for_the_store() {
    let share = Share {
        task_idx: 1,
        n_tasks: 2,
    };
    let split = World::default()
        .listed(0, true, &[])
        .listed(3, false, &[0])
        .stored(0, after(5), &[])
        .stored(3, Checkpoint::TrimHorizon, &[0]);
    assert_eq!(split.plan_for(share).waiting, ids(&[3]));
    let split = split.stored(0, Checkpoint::ShardEnd, &[]);
    assert_eq!(split.plan_for(share).start, ids(&[3]));
}

#[test]
fn finished_shards_are_forgotten_once_gone_and_their_children_have_progressed() {
    let finished = World::default()
        .listed(0, true, &[])
        .listed(1, false, &[0])
        .stored(0, Checkpoint::ShardEnd, &[])
        .stored(1, Checkpoint::TrimHorizon, &[0])
        .taken(1);
    assert_eq!(finished.plan().forget, [], "it is still listed");
    let mut gone = finished;
    gone.listed.remove(&id(0));
    assert_eq!(gone.plan().forget, [], "its child has not begun");
    let gone = gone.stored(1, after(9), &[0]);
    assert_eq!(gone.plan().forget, ids(&[0]));
}

#[test]
fn what_its_task_has_forgotten_no_other_task_brings_back() {
    let share = |task_idx| Share {
        task_idx,
        n_tasks: 2,
    };
    // The second task's listing still has shard 0; the first one's has not, so it was forgotten.
    let stale = World::default()
        .listed(0, true, &[])
        .listed(1, false, &[0])
        .stored(1, after(9), &[0]);
    assert_eq!(stale.plan_for(share(1)).create, []);
    assert_eq!(stale.plan_for(share(0)).create.len(), 1);
}

#[test]
fn only_a_stream_of_closed_and_finished_shards_is_finished() {
    assert!(!World::default().plan().finished);
    let world = World::default()
        .listed(0, true, &[])
        .listed(1, true, &[])
        .stored(0, Checkpoint::ShardEnd, &[])
        .stored(1, after(1), &[]);
    assert!(!world.plan().finished);
    let world = world.stored(1, Checkpoint::ShardEnd, &[]);
    assert!(world.plan().finished);
    assert!(!world.listed(2, false, &[0, 1]).plan().finished);
}
