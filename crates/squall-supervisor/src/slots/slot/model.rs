//! A slot in a world drawn at random: whatever happens in whichever order, never a twin.

use proptest::prelude::*;
use squall_core::TopologyId;
use squall_core::engine::WorkerIdx;

use super::*;
use crate::slots::event::{Phase, Record};

/// What may happen next; numbers choose among what is possible.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Order(u64),
    Drains,
    Answer,
    Fail,
    Attend,
    AttendStale,
    Report(bool, bool),
    Die,
    Wait(u64),
    Sleep(u64),
    Restart,
    Drain,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = prop_oneof![
        3 => (0..4_u64).prop_map(Turn::Order),
        1 => Just(Turn::Drains),
        8 => Just(Turn::Answer),
        2 => Just(Turn::Fail),
        4 => Just(Turn::Attend),
        1 => Just(Turn::AttendStale),
        4 => any::<(bool, bool)>().prop_map(|(ready, drained)| Turn::Report(ready, drained)),
        3 => Just(Turn::Die),
        4 => (0..20_000_u64).prop_map(Turn::Wait),
        1 => (0..100_000_u64).prop_map(Turn::Sleep),
        1 => Just(Turn::Restart),
    ];
    let drain = prop_oneof![9 => Just(None), 1 => Just(Some(Turn::Drain))];
    (proptest::collection::vec(turn, 0..80), drain).prop_map(|(mut turns, drain)| {
        turns.extend(drain);
        turns
    })
}

/// The machine as it is, and what the slot was told of it.
struct World {
    slot: Slot,
    limits: Limits,
    now: Moment,
    seed: u64,
    order: Option<Work>,
    draining: bool,
    disk: Record,
    fetching: Option<Sha256>,
    launching: Option<Launch>,
    alive: Option<(Process, Launch)>,
    /// Ended, and the slot hasn't heard of it.
    dead: Option<Process>,
    next_pid: u32,
    highest: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let limits = Limits::default();
        Self {
            slot: Slot::new(10, limits.clone(), seed),
            limits,
            now: Moment::ZERO + Duration::from_secs(10),
            seed,
            order: None,
            draining: false,
            disk: Record {
                incarnation: 10,
                ..Record::default()
            },
            fetching: None,
            launching: None,
            alive: None,
            dead: None,
            next_pid: 1,
            highest: 10,
        }
    }

    fn say(&mut self, event: Event) {
        let effects = self.slot.step(event, self.now);
        for effect in effects {
            self.perform(effect);
        }
        if let Some(due) = self.slot.deadline() {
            assert!(due > self.now || self.is_due(), "a deadline was missed");
        }
        let view = self.slot.view();
        assert_eq!(
            view.pid,
            self.alive
                .as_ref()
                .map(|(p, _)| *p)
                .or(self.dead)
                .map(|p| p.pid),
            "the slot knows its process"
        );
    }

    fn is_due(&self) -> bool {
        self.slot.deadline().is_some_and(|due| due <= self.now)
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Fetch(binary) => self.fetching = Some(binary),
            Effect::Persist(record) => self.disk = record,
            Effect::Launch(launch) => {
                assert!(self.alive.is_none() && self.launching.is_none(), "a twin");
                assert!(self.dead.is_none(), "launched before the end was known");
                assert!(launch.incarnation > self.highest, "an incarnation twice");
                assert_eq!(self.disk.launch.as_ref(), Some(&launch), "not durable");
                assert!(!self.draining);
                assert_eq!(Some(&launch.work), self.order.as_ref());
                self.highest = launch.incarnation;
                self.launching = Some(launch);
            }
            Effect::Terminate(process) | Effect::Kill(process) => {
                let known = self
                    .alive
                    .as_ref()
                    .map(|(process, _)| *process)
                    .or(self.dead);
                assert_eq!(known, Some(process), "a signal to a stranger");
                if matches!(effect, Effect::Kill(_)) && self.dead.is_none() {
                    self.alive = None;
                    self.dead = Some(process);
                }
            }
            Effect::AskDrain => assert!(self.alive.is_some() || self.dead.is_some()),
            Effect::Accept | Effect::Refuse(_) | Effect::Report => {}
        }
    }

    fn turn(&mut self, turn: Turn) {
        match turn {
            Turn::Order(n) => {
                let work = (n > 0).then(|| Work {
                    topology_id: TopologyId::new("t-1"),
                    worker_idx: WorkerIdx(0),
                    placement_epoch: n,
                    binary: Sha256::new([u8::try_from(n / 2).unwrap(); 32]),
                    spec: Sha256::new([8; 32]),
                    shape: Sha256::new([9; 32]),
                });
                self.order.clone_from(&work);
                self.say(Event::Order(work));
            }
            Turn::Drains => self.say(Event::Drains),
            Turn::Answer => self.answer(true),
            Turn::Fail => self.answer(false),
            Turn::Attend => {
                if let Some((_, launch)) = self.alive.clone() {
                    let fence = launch.fence();
                    self.say(Event::Attended {
                        cookie: launch.cookie,
                        fence,
                    });
                }
            }
            Turn::AttendStale => self.say(Event::Attended {
                cookie: Cookie::new([0; 16]),
                fence: Fence::default(),
            }),
            Turn::Report(ready, drained) => {
                if let Some((_, launch)) = self.alive.clone() {
                    self.say(Event::Reported {
                        cookie: launch.cookie,
                        ready,
                        drained,
                    });
                }
            }
            Turn::Die => {
                if let Some((process, _)) = self.alive.take() {
                    self.dead = Some(process);
                }
            }
            Turn::Wait(ms) => self.wait(Duration::from_millis(ms)),
            Turn::Sleep(ms) => {
                self.now = self.now + Duration::from_millis(ms);
                if self.is_due() {
                    self.say(Event::Tick);
                }
            }
            Turn::Restart => self.restart(),
            Turn::Drain => {
                self.draining = true;
                self.say(Event::Drain);
            }
        }
    }

    fn answer(&mut self, well: bool) {
        if let Some(process) = self.dead.take() {
            let reason = "ended".to_owned();
            self.say(Event::Exited { process, reason });
        } else if let Some(launch) = self.launching.take() {
            if well {
                let process = Process {
                    pid: self.next_pid,
                    start_ticks: u64::from(self.next_pid),
                };
                self.next_pid += 1;
                self.alive = Some((process, launch));
                self.say(Event::Spawned(process));
            } else {
                let reason = "no".to_owned();
                self.say(Event::LaunchFailed { reason });
            }
        } else if let Some(binary) = self.fetching.take() {
            self.say(if well {
                Event::Fetched(binary)
            } else {
                Event::FetchFailed {
                    binary,
                    reason: "no".to_owned(),
                    fault: if self.next_pid.is_multiple_of(2) {
                        Fault::Away
                    } else {
                        Fault::Here
                    },
                }
            });
        }
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.slot.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.say(Event::Tick);
        }
        self.now = end;
    }

    /// The supervisor is killed and started again: what it finds is the disk and the processes.
    fn restart(&mut self) {
        if self.draining {
            return;
        }
        // A launch under way either came to a process or it didn't; both leave the same record.
        if let Some(launch) = self.launching.take() {
            if self.next_pid.is_multiple_of(2) {
                let process = Process {
                    pid: self.next_pid,
                    start_ticks: u64::from(self.next_pid),
                };
                self.alive = Some((process, launch));
            }
            self.next_pid += 1;
        }
        self.fetching = None;
        self.dead = None;
        self.seed += 1;
        let slot = Slot::new(self.disk.incarnation, self.limits.clone(), self.seed);
        self.slot = match &self.alive {
            Some((process, launch)) => {
                assert_eq!(self.disk.launch.as_ref(), Some(launch), "it is on record");
                // What it runs is wanted until an order says otherwise.
                self.order = Some(launch.work.clone());
                slot.adopt(launch.clone(), *process, self.now)
            }
            None => slot,
        };
    }

    /// From now on all goes well: workers start, call, report and stay.
    fn heal(&mut self) {
        for _ in 0..400 {
            self.answer(true);
            self.turn(Turn::Attend);
            let drained = self.slot.must_drain();
            self.turn(Turn::Report(true, drained));
            self.wait(Duration::from_millis(500));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn whatever_happens_there_is_no_twin_and_the_wish_comes_true(
        turns in turns(),
        seed in any::<u32>(),
    ) {
        let mut world = World::new(u64::from(seed));
        for turn in turns {
            world.turn(turn);
        }
        // Nimbus says again what it wants, as it does with each new connection.
        world.say(Event::Order(world.order.clone()));
        world.heal();
        let view = world.slot.view();
        let wanted = world.order.clone().filter(|_| !world.draining);
        let running = world.alive.as_ref().map(|(_, launch)| launch.work.clone());
        prop_assert_eq!(&running, &wanted, "{:?}", view);
        let expected = if wanted.is_some() { Phase::Running } else { Phase::Empty };
        prop_assert_eq!(view.phase, expected);
        // Nothing is to be done any more.
        let effects = world.slot.step(Event::Order(world.order.clone()), world.now);
        prop_assert_eq!(effects, Vec::new());
    }
}
