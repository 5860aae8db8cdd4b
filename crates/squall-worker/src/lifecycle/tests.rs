//! Lives of workers, in virtual time.

use std::time::Duration;

use proptest::prelude::*;
use squall_core::engine::WorkerIdx;
use squall_core::{Fence, Moment, TaskId, TopologyId};
use squall_proto::{
    Address, Assignment, Cookie, Handshake, Launch, Phase, Refusal, Sha256, Topology, WorkerOrder,
    WorkerPlacement,
};
use squall_runtime::Part;

use super::{Effect, Event, Lifecycle, Limits, Sight, Standing};
use crate::exit::ExitReason;

const FENCE: Fence = Fence {
    placement_epoch: 3,
    incarnation: 9,
};
const SECOND: Duration = Duration::from_secs(1);
const QUICK: Duration = Duration::from_millis(20);

/// Two workers with two tasks each, in assignment version 5; worker 1 is the one that lives.
fn assignment() -> Assignment {
    let placement = |worker: u32, placement_epoch| WorkerPlacement {
        worker: WorkerIdx(worker),
        supervisor: "s".into(),
        address: Address::new("127.0.0.1", 7000 + u16::try_from(worker).unwrap()).unwrap(),
        tasks: vec![TaskId(2 * worker), TaskId(2 * worker + 1)],
        placement_epoch,
    };
    Assignment {
        topology: TopologyId::new("clicks-4"),
        version: 5,
        workers: vec![placement(0, 5), placement(1, FENCE.placement_epoch)],
    }
}

fn launch() -> Launch {
    let address = || Address::new("127.0.0.1", 6700).unwrap();
    Launch {
        handshake: Handshake::ours("x", None, None),
        topology: Topology {
            id: TopologyId::new("clicks-4"),
            spec_json: b"{}".as_slice().into(),
            spec_sha256: Sha256::new([0; 32]),
            binary_sha256: Sha256::new([0; 32]),
            n_workers: 2.try_into().unwrap(),
            program: None,
            parallelism: Default::default(),
        },
        assignment: assignment(),
        worker: WorkerIdx(1),
        fence: FENCE,
        cookie: Cookie::new([1; 16]),
        supervisor_address: address(),
        nimbus_addresses: vec![address()],
        bind_address: address(),
    }
}

/// A life and its clock.
struct Life {
    worker: Lifecycle,
    now: Moment,
    sight: Sight,
}

impl Life {
    fn new() -> Self {
        let part = Part {
            me: WorkerIdx(1),
            workers: [0, 0, 1, 1].map(WorkerIdx).to_vec(),
        };
        let now = Moment::ZERO + SECOND;
        Self {
            worker: Lifecycle::new(&launch(), &part, Limits::default(), now),
            now,
            sight: Sight {
                spouts_ended: true,
                ..Sight::default()
            },
        }
    }

    /// A life whose spouts are asked.
    fn spouting() -> Self {
        let mut life = Self::new();
        life.become_ready();
        assert_eq!(life.order(Phase::Active, true), [Effect::Activate]);
        life
    }

    fn step(&mut self, event: Event) -> Vec<Effect> {
        self.worker.step(event, self.now)
    }

    /// Waits for the next look, and takes it.
    fn look(&mut self) -> Vec<Effect> {
        self.now = self.now.max(self.worker.deadline());
        self.sight.at = self.now;
        self.step(Event::Looked(self.sight.clone()))
    }

    /// Looks for so long; returns what was done besides reporting, and the last report.
    fn look_for(&mut self, time: Duration) -> (Vec<Effect>, Option<Standing>) {
        let until = self.now + time;
        let (mut others, mut last) = (Vec::new(), None);
        while self.worker.deadline() <= until {
            for effect in self.look() {
                match effect {
                    Effect::Report(standing) => last = Some(standing),
                    other => others.push(other),
                }
            }
            if others.iter().any(|effect| matches!(effect, Effect::End(_))) {
                break;
            }
        }
        (others, last)
    }

    fn become_ready(&mut self) {
        self.sight.tasks_ready = true;
        self.sight.links_stand = true;
        let standing = Standing {
            ready: true,
            drained: false,
            assignment_version: 5,
        };
        assert_eq!(self.look(), [Effect::Report(standing)]);
    }

    fn order(&mut self, phase: Phase, all_ready: bool) -> Vec<Effect> {
        self.order_with(assignment(), phase, all_ready)
    }

    fn order_with(&mut self, assignment: Assignment, phase: Phase, all_ready: bool) -> Vec<Effect> {
        self.step(Event::Ordered(WorkerOrder {
            handshake: Handshake::ours("x", None, None),
            assignment,
            phase,
            all_ready,
        }))
    }
}

fn ends(effects: &[Effect]) -> Option<&ExitReason> {
    effects.iter().find_map(|effect| match effect {
        Effect::End(reason) => Some(reason),
        _ => None,
    })
}

#[test]
fn spouts_begin_when_the_topology_is_active_and_everybody_ready() {
    let mut life = Life::new();
    // What an earlier incarnation had reached is still said; this one isn't ready.
    let effects = life.order(Phase::Active, true);
    assert!(!effects.contains(&Effect::Activate), "{effects:?}");
    life.sight.tasks_ready = true;
    assert_eq!(life.look_for(SECOND).0, []);
    life.order(Phase::Active, false);
    life.sight.links_stand = true;
    assert_eq!(life.look_for(SECOND).0, []);
    assert_eq!(life.order(Phase::Starting, true), []);
    assert_eq!(life.order(Phase::Inactive, true), []);
    assert_eq!(life.order(Phase::Active, true), [Effect::Activate]);
}

#[test]
fn readiness_is_looked_for_often_and_reported_at_once() {
    let mut life = Life::new();
    let start = life.now;
    let effects = life.look();
    let waiting = Standing {
        ready: false,
        drained: false,
        assignment_version: 5,
    };
    assert_eq!(effects, [Effect::Report(waiting)]);
    let (others, reported) = life.look_for(SECOND / 2);
    assert_eq!((others, reported), (vec![], None));
    life.become_ready();
    assert!(life.now.since(start) <= SECOND / 2 + QUICK);
    // From now on once a second.
    for _ in 0..3 {
        let before = life.now;
        assert!(matches!(life.look()[..], [Effect::Report(_)]));
        assert_eq!(life.now.since(before), SECOND);
    }
    life.sight.links_stand = false;
    assert_eq!(life.look(), [Effect::Report(waiting)]);
}

#[test]
fn a_long_wait_costs_little() {
    let mut life = Life::new();
    let (mut n_looks, until) = (0, life.now + 60 * SECOND);
    while life.now < until {
        life.look();
        n_looks += 1;
    }
    // 5 s at 50 a second, then 5 a second.
    assert!((500..540).contains(&n_looks), "{n_looks}");
}

#[test]
fn spouts_go_on_whatever_happens_to_other_workers() {
    let mut life = Life::spouting();
    assert_eq!(life.order(Phase::Active, false), []);
    assert_eq!(life.order(Phase::Starting, false), []);
    life.sight.links_stand = false;
    assert_eq!(life.look_for(60 * SECOND).0, []);
    assert_eq!(life.order(Phase::Inactive, false), [Effect::Deactivate]);
    // They were open: they needn't wait for anybody.
    assert_eq!(life.order(Phase::Active, false), [Effect::Activate]);
}

#[test]
fn another_worker_that_moves_is_linked_anew_and_disturbs_nobody() {
    let mut life = Life::spouting();
    let mut moved = assignment();
    moved.version = 6;
    moved.workers[0].placement_epoch = 6;
    moved.workers[0].address = Address::new("10.0.0.7", 7003).unwrap();
    let effects = life.order_with(moved.clone(), Phase::Active, false);
    let standing = Standing {
        ready: true,
        drained: false,
        assignment_version: 6,
    };
    assert_eq!(effects, [Effect::Link(moved), Effect::Report(standing)]);
    // An older order, from a supervisor that has just restarted, says nothing new.
    assert_eq!(life.order(Phase::Draining, false), []);
    let mut gone = assignment();
    gone.version = 7;
    gone.workers.remove(0);
    let effects = life.order_with(gone.clone(), Phase::Active, false);
    assert_eq!(effects[0], Effect::Link(gone));
}

#[test]
fn orders_that_change_the_worker_itself_end_it() {
    let with = |change: fn(&mut Assignment)| {
        let mut changed = assignment();
        changed.version = 6;
        change(&mut changed);
        Life::spouting().order_with(changed, Phase::Active, true)
    };
    let moved = with(|assignment| assignment.workers[1].placement_epoch = 6);
    let expected = "superseded: this worker was placed anew in epoch 6";
    assert_eq!(ends(&moved).unwrap().to_string(), expected);
    let dealt = with(|assignment| assignment.workers[0].tasks = vec![TaskId(2)]);
    let expected = "failed: task 2 is worker 0's now: this worker has to be started anew";
    assert_eq!(ends(&dealt).unwrap().to_string(), expected);
    let more = with(|assignment| assignment.workers[0].tasks.push(TaskId(4)));
    assert!(matches!(ends(&more), Some(ExitReason::Failed { .. })));
    // These aren't meant for it.
    assert_eq!(
        with(|assignment| assignment.topology = "other-1".into()),
        []
    );
    assert_eq!(with(|assignment| drop(assignment.workers.pop())), []);
    assert_eq!(
        with(|assignment| assignment.workers[1].placement_epoch = 2),
        []
    );
}

#[test]
fn drains_as_ordered_and_stays_until_it_is_told_to_end() {
    let mut life = Life::spouting();
    assert_eq!(life.order(Phase::Draining, false), [Effect::Drain]);
    assert!(life.worker.counts_pending());
    life.sight.n_pending = 7;
    let (others, reported) = life.look_for(5 * SECOND);
    assert_eq!(others, []);
    assert!(!reported.unwrap().drained);
    life.sight.n_pending = 0;
    life.sight.spouts_ended = false;
    let (others, reported) = life.look_for(3 * SECOND);
    assert_eq!(others, []);
    assert!(
        !reported.unwrap().drained,
        "the sources save what they have done"
    );
    life.sight.spouts_ended = true;
    let (others, reported) = life.look_for(SECOND);
    assert_eq!(others, []);
    assert!(reported.unwrap().drained);
    life.sight.outcome = Some(Ok(()));
    let (others, reported) = life.look_for(60 * SECOND);
    assert_eq!(others, []);
    assert!(reported.unwrap().drained);
    // Its tasks have ended already.
    assert_eq!(life.step(Event::Told)[..2], [Effect::Drain, Effect::Force]);
    life.sight.links_idle = true;
    let (others, _) = life.look_for(SECOND);
    assert_eq!(others, [Effect::End(ExitReason::Drained)]);
}

#[test]
fn what_a_spout_emits_while_it_hears_of_the_draining_counts() {
    let mut life = Life::spouting();
    life.sight.at = life.now;
    assert_eq!(life.order(Phase::Draining, false), [Effect::Drain]);
    // A look that was on its way.
    assert_eq!(life.step(Event::Looked(life.sight.clone())), []);
    let (_, reported) = life.look_for(QUICK);
    assert!(reported.unwrap().drained);
}

#[test]
fn a_worker_that_has_drained_and_is_wanted_again_ends_to_be_started_anew() {
    for phase in [Phase::Starting, Phase::Active, Phase::Inactive] {
        let mut life = Life::spouting();
        life.order(Phase::Draining, false);
        life.look_for(SECOND);
        let effects = life.order(phase, false);
        assert_eq!(effects, [Effect::End(ExitReason::Drained)]);
        assert_eq!(life.look(), [], "nothing follows the end");
    }
}

#[test]
fn sigterm_drains_within_its_bound() {
    let mut life = Life::spouting();
    life.sight.n_pending = 3;
    let start = life.now;
    assert_eq!(life.step(Event::Told), [Effect::Drain]);
    let (others, _) = life.look_for(10 * SECOND);
    let reason = ExitReason::Clean { n_pending: 3 };
    assert_eq!(others, [Effect::Force, Effect::End(reason)]);
    // Supervisors kill after 5 s.
    let took = life.now.since(start);
    assert!(took >= 3 * SECOND && took < 4 * SECOND, "{took:?}");
}

#[test]
fn sigterm_ends_a_worker_without_anything_pending_at_once_and_a_second_one_any() {
    let mut life = Life::new();
    let start = life.now;
    assert!(life.step(Event::Told).contains(&Effect::Drain));
    life.sight.links_idle = true;
    life.sight.outcome = Some(Ok(()));
    let (others, _) = life.look_for(SECOND);
    assert_eq!(others, [Effect::Force, Effect::End(ExitReason::Drained)]);
    assert!(life.now.since(start) <= 3 * QUICK);

    let mut life = Life::spouting();
    life.sight.n_pending = 2;
    life.step(Event::Told);
    life.look();
    let effects = life.step(Event::Told);
    assert_eq!(effects, [Effect::End(ExitReason::Clean { n_pending: 2 })]);
}

#[test]
fn idle_links_count_only_when_they_were_seen_after_the_tasks_end() {
    let mut life = Life::spouting();
    // There was nothing to say so far.
    life.sight.links_idle = true;
    life.step(Event::Told);
    let (others, _) = life.look_for(2 * QUICK);
    assert_eq!(others, [Effect::Force]);
    life.sight.outcome = Some(Ok(()));
    assert_eq!(
        life.look(),
        [],
        "what they have said may not be with the links"
    );
    // It was, and has arrived.
    let (others, _) = life.look_for(QUICK);
    assert_eq!(others, [Effect::End(ExitReason::Drained)]);
}

#[test]
fn last_words_have_a_little_time() {
    let mut life = Life::spouting();
    life.step(Event::Told);
    let (others, _) = life.look_for(2 * QUICK);
    assert_eq!(others, [Effect::Force]);
    let start = life.now;
    let (others, _) = life.look_for(SECOND);
    assert_eq!(others, [Effect::End(ExitReason::Drained)]);
    let took = life.now.since(start);
    assert!(
        took >= SECOND / 2 - QUICK && took <= SECOND / 2 + QUICK,
        "{took:?}"
    );
}

#[test]
fn whoever_is_superseded_or_unknown_ends_at_once() {
    let newer = Fence {
        placement_epoch: 3,
        incarnation: 10,
    };
    let effects = Life::spouting().step(Event::Superseded(newer));
    assert_eq!(effects, [Effect::End(ExitReason::superseded_by(newer))]);
    for refusal in [
        Refusal::unknown_worker("another worker has taken the slot"),
        Refusal::stale_fence(FENCE, newer),
    ] {
        let effects = Life::spouting().step(Event::Refused(refusal));
        assert!(matches!(
            ends(&effects),
            Some(ExitReason::Superseded { .. })
        ));
    }
}

#[test]
fn a_supervisor_that_is_away_changes_nothing() {
    let mut life = Life::spouting();
    for refusal in [
        Refusal::unavailable("connection refused"),
        Refusal::internal("a mistake"),
    ] {
        assert_eq!(life.step(Event::Refused(refusal)), []);
    }
    assert_eq!(life.look_for(300 * SECOND).0, []);
}

#[test]
fn a_runtime_that_fails_ends_the_worker_with_its_reason() {
    let mut life = Life::spouting();
    life.sight.outcome = Some(Err("max_held_bytes is full".to_owned()));
    let effects = life.look();
    let reason = ExitReason::failed("max_held_bytes is full");
    assert_eq!(effects, [Effect::End(reason)]);
}

#[test]
fn what_is_pending_has_a_little_time_when_the_runtime_fails() {
    let mut life = Life::spouting();
    life.sight.failing = Some("max_held_bytes is full".to_owned());
    life.sight.n_pending = 4;
    assert!(life.look().contains(&Effect::Drain));
    let start = life.now;
    let (others, _) = life.look_for(10 * SECOND);
    let reason = ExitReason::failed("max_held_bytes is full");
    assert_eq!(others, [Effect::Force, Effect::End(reason)]);
    let took = life.now.since(start);
    assert!(took >= 3 * SECOND && took < 4 * SECOND, "{took:?}");
}

#[test]
fn a_runtime_whose_input_has_ended_stays() {
    let mut life = Life::spouting();
    life.sight.outcome = Some(Ok(()));
    let (others, reported) = life.look_for(60 * SECOND);
    assert_eq!(others, []);
    assert!(reported.unwrap().ready && !reported.unwrap().drained);
}

fn any_event() -> impl Strategy<Value = u8> {
    0..14_u8
}

proptest! {
    #[test]
    fn whatever_happens_effects_make_sense(events in proptest::collection::vec(any_event(), 1..80)) {
        let mut life = Life::new();
        let (mut ended, mut asked, mut draining, mut told) = (false, false, false, 0);
        for event in events {
            let phase = |n| [Phase::Starting, Phase::Active, Phase::Inactive, Phase::Draining][n];
            let effects = match event {
                0..4 => life.order(phase(usize::from(event)), event % 2 == 1),
                4 => { life.sight.tasks_ready ^= true; life.look() }
                5 => { life.sight.links_stand ^= true; life.look() }
                6 => { life.sight.n_pending = (life.sight.n_pending + 1) % 2; life.look() }
                7 if draining => { life.sight.outcome = Some(Ok(())); life.look() }
                8 => { told += 1; life.step(Event::Told) }
                9 => life.step(Event::Refused(Refusal::unavailable("away"))),
                10 => { life.sight.links_idle ^= true; life.look() }
                _ => life.look(),
            };
            for effect in effects {
                prop_assert!(!ended, "{effect:?} after the end");
                match effect {
                    Effect::Activate => {
                        prop_assert!(!asked && !draining);
                        prop_assert!(life.sight.tasks_ready || life.worker.phase == Phase::Active);
                        asked = true;
                    }
                    Effect::Deactivate => { prop_assert!(asked && !draining); asked = false; }
                    Effect::Drain => draining = true,
                    Effect::Force => prop_assert!(told > 0),
                    Effect::End(reason) => {
                        ended = true;
                        prop_assert!(draining, "{reason}");
                    }
                    Effect::Link(_) => prop_assert!(false, "the assignment stays"),
                    Effect::Report(_) => {}
                }
            }
            prop_assert!(ended || life.worker.deadline() <= life.now + SECOND);
        }
    }
}
