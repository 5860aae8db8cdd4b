//! A slot in virtual time: each test is a conversation.

use squall_core::TopologyId;
use squall_core::engine::WorkerIdx;

use super::*;
use crate::slots::event::Phase;

const BINARY: Sha256 = Sha256::new([1; 32]);
const SECOND: Duration = Duration::from_secs(1);

fn work(epoch: u64) -> Work {
    Work {
        topology_id: TopologyId::new("clicks-1"),
        worker_idx: WorkerIdx(0),
        placement_epoch: epoch,
        binary: BINARY,
        spec: Sha256::new([8; 32]),
        shape: Sha256::new([9; 32]),
    }
}

const fn process(pid: u32) -> Process {
    Process {
        pid,
        start_ticks: 1000 + pid as u64,
    }
}

/// Drives one slot and remembers the time and what was launched last.
struct Talk {
    slot: Slot,
    now: Moment,
    launched: Option<Launch>,
}

impl Talk {
    fn new() -> Self {
        Self::with(Slot::new(40, Limits::default(), 7))
    }

    fn with(slot: Slot) -> Self {
        Self {
            slot,
            now: Moment::ZERO + Duration::from_secs(1000),
            launched: None,
        }
    }

    /// Says the event; returns what follows but for reports and records.
    fn say(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = self.slot.step(event, self.now);
        for (idx, effect) in effects.iter().enumerate() {
            if let Effect::Launch(launch) = effect {
                self.launched = Some(launch.clone());
                let record = Effect::Persist(self.slot.record());
                assert_eq!(effects[idx - 1], record, "durable before the launch");
            }
        }
        effects.retain(|effect| !matches!(effect, Effect::Report | Effect::Persist(_)));
        effects
    }

    /// Lets time go by, each tick when it is due; returns what follows and when.
    fn wait(&mut self, time: Duration) -> Vec<(Duration, Effect)> {
        let begin = self.now;
        let end = begin + time;
        let mut effects = Vec::new();
        while let Some(due) = self.slot.deadline().filter(|due| *due <= end) {
            assert!(due >= self.now, "a deadline lies ahead");
            self.now = due;
            let passed = self.now.since(begin);
            effects.extend(
                self.say(Event::Tick)
                    .into_iter()
                    .map(|effect| (passed, effect)),
            );
        }
        self.now = end;
        effects
    }

    fn launch(&self) -> Launch {
        self.launched.clone().expect("something was launched")
    }

    /// Orders the work and brings its worker up as process `pid`.
    fn run(&mut self, work: Work, pid: u32) {
        let binary = work.binary;
        let fetch = Effect::Fetch(binary);
        assert_eq!(self.say(Event::Order(Some(work))), [fetch]);
        self.come_up(pid, binary);
    }

    fn come_up(&mut self, pid: u32, binary: Sha256) {
        let effects = self.say(Event::Fetched(binary));
        assert_eq!(effects, [Effect::Launch(self.launch())]);
        assert_eq!(self.say(Event::Spawned(process(pid))), []);
        assert_eq!(self.attend(), [Effect::Accept]);
        self.report(true, false);
        assert_eq!(self.slot.view().phase, Phase::Running);
    }

    fn attend(&mut self) -> Vec<Effect> {
        let launch = self.launch();
        self.say(Event::Attended {
            cookie: launch.cookie,
            fence: launch.fence(),
        })
    }

    fn report(&mut self, ready: bool, drained: bool) -> Vec<Effect> {
        let cookie = self.launch().cookie;
        self.say(Event::Reported {
            cookie,
            ready,
            drained,
        })
    }

    fn exit(&mut self, pid: u32) -> Vec<Effect> {
        self.say(Event::Exited {
            process: process(pid),
            reason: "killed by signal 9".to_owned(),
        })
    }
}

#[test]
fn an_order_leads_to_a_worker_and_the_same_order_to_nothing() {
    let mut talk = Talk::new();
    talk.run(work(3), 7);
    let launch = talk.launch();
    assert_eq!(launch.incarnation, 41);
    let effects = talk.slot.step(Event::Order(Some(work(3))), talk.now);
    assert_eq!(effects, []);
    let view = talk.slot.view();
    assert_eq!(
        (view.pid, view.ready, view.incarnation),
        (Some(7), true, 41)
    );
}

#[test]
fn an_exit_is_followed_by_a_restart_with_the_next_incarnation() {
    let mut talk = Talk::new();
    talk.run(work(3), 7);
    talk.wait(SECOND);
    let cookie = talk.launch().cookie;
    assert_eq!(talk.exit(7), []);
    let view = talk.slot.view();
    assert_eq!((view.phase, view.pid), (Phase::Failed, None));
    assert_eq!(view.reason.as_deref(), Some("killed by signal 9"));
    assert_eq!(talk.slot.record().launch, None);
    let effects = talk.wait(SECOND);
    let [(waited, Effect::Fetch(binary))] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    assert!(*waited <= talk.slot.limits.backoff, "{waited:?}");
    talk.come_up(8, *binary);
    assert_eq!(talk.launch().incarnation, 42);
    assert_ne!(talk.launch().cookie, cookie);
    assert_eq!(talk.slot.view().n_restarts, 1);
}

#[test]
fn a_new_epoch_drains_the_old_worker_before_the_new_one_starts() {
    let mut talk = Talk::new();
    talk.run(work(3), 7);
    assert_eq!(talk.say(Event::Order(Some(work(4)))), [Effect::AskDrain]);
    assert!(talk.slot.must_drain());
    assert_eq!(talk.report(true, false), []);
    assert_eq!(talk.report(true, true), [Effect::Terminate(process(7))]);
    let fetch = Effect::Fetch(BINARY);
    assert_eq!(talk.exit(7), [fetch]);
    assert_eq!(talk.slot.view().incarnation, 0, "none of the new work yet");
    talk.come_up(8, BINARY);
    let view = talk.slot.view();
    assert_eq!((view.n_restarts, view.reason), (0, None));
    assert_eq!(talk.launch().fence().placement_epoch, 4);
}

#[test]
fn a_worker_that_does_not_go_is_terminated_then_killed_in_bounded_time() {
    let mut talk = Talk::new();
    talk.run(work(3), 7);
    let limits = talk.slot.limits.clone();
    assert_eq!(talk.say(Event::Order(None)), [Effect::AskDrain]);
    let effects = talk.wait(limits.drain_timeout + limits.term_grace);
    let killed_at = limits.drain_timeout + limits.term_grace;
    assert_eq!(
        effects,
        [
            (limits.drain_timeout, Effect::Terminate(process(7))),
            (killed_at, Effect::Kill(process(7))),
        ]
    );
    // A process that can't be interrupted: nothing else may start, and it is told again.
    assert_eq!(talk.say(Event::Order(Some(work(4)))), []);
    let again = talk.wait(SECOND * 5);
    assert!(again.len() == 2 && again.iter().all(|(_, e)| *e == Effect::Kill(process(7))));
    assert_eq!(talk.slot.view().phase, Phase::Stopping);
    assert!(matches!(talk.exit(7).as_slice(), [Effect::Fetch(_)]));
}

#[test]
fn a_worker_that_nimbus_had_drain_for_long_enough_ends_at_once() {
    for next in [None, Some(work(4))] {
        let mut talk = Talk::new();
        talk.run(work(3), 7);
        assert_eq!(talk.say(Event::Drains), []);
        assert_eq!(talk.wait(5 * SECOND), []);
        talk.report(true, false);
        assert_eq!(
            talk.say(Event::Order(next)),
            [Effect::Terminate(process(7))]
        );
    }
    // The supervisor that ends is another matter: nimbus hasn't said that it is enough.
    let mut talk = Talk::new();
    talk.run(work(3), 7);
    assert_eq!(talk.say(Event::Drains), []);
    assert_eq!(talk.say(Event::Drain), [Effect::AskDrain]);
}

#[test]
fn a_worker_that_never_called_is_not_asked_to_drain() {
    let mut talk = Talk::new();
    talk.say(Event::Order(Some(work(3))));
    talk.say(Event::Fetched(BINARY));
    // The order goes while the process is being made: it is told once it is known.
    assert_eq!(talk.say(Event::Order(None)), []);
    let effects = talk.say(Event::Spawned(process(7)));
    assert_eq!(effects, [Effect::Terminate(process(7))]);
    assert_eq!(talk.exit(7), []);
    assert_eq!(talk.slot.view().phase, Phase::Empty);
}

#[test]
fn a_worker_that_falls_silent_is_killed_and_started_again() {
    let mut talk = Talk::new();
    talk.run(work(3), 7);
    for _ in 0..20 {
        assert_eq!(talk.wait(SECOND), []);
        talk.report(true, false);
    }
    let silence = talk.slot.limits.silence;
    let effects = talk.wait(silence);
    assert_eq!(effects, [(silence, Effect::Kill(process(7)))]);
    talk.exit(7);
    let view = talk.slot.view();
    assert_eq!(
        view.reason.as_deref(),
        Some("said nothing for 10 s: killed")
    );
    assert_eq!((view.phase, view.n_restarts), (Phase::Failed, 1));
    assert!(!view.crash_looping);
    assert!(matches!(
        talk.wait(SECOND).as_slice(),
        [(_, Effect::Fetch(_))]
    ));
}

#[test]
fn what_an_old_worker_did_wrong_is_nothing_to_a_new_one() {
    let mut talk = Talk::new();
    talk.run(work(3), 7);
    let effects = talk.wait(talk.slot.limits.silence);
    assert!(matches!(effects.as_slice(), [(_, Effect::Kill(_))]));
    assert_eq!(talk.say(Event::Order(Some(work(4)))), []);
    // Without a wait, and without a mark.
    assert_eq!(talk.exit(7), [Effect::Fetch(BINARY)]);
    let view = talk.slot.view();
    assert_eq!((view.n_restarts, view.reason), (0, None));
}

#[test]
fn the_end_of_another_process_is_nobodys() {
    let mut talk = Talk::new();
    talk.run(work(3), 7);
    let later = Process {
        start_ticks: 1,
        ..process(7)
    };
    for other in [process(6), later] {
        let reason = String::new();
        let event = Event::Exited {
            process: other,
            reason,
        };
        assert_eq!(talk.say(event), []);
        assert_eq!(talk.slot.view().phase, Phase::Running);
    }
}

#[test]
fn a_worker_that_never_calls_is_killed() {
    let mut talk = Talk::new();
    talk.say(Event::Order(Some(work(3))));
    talk.say(Event::Fetched(BINARY));
    talk.say(Event::Spawned(process(7)));
    let timeout = talk.slot.limits.start_timeout;
    let effects = talk.wait(timeout);
    assert_eq!(effects, [(timeout, Effect::Kill(process(7)))]);
}

#[test]
fn the_supervisors_own_sleep_is_not_the_workers_silence() {
    let mut talk = Talk::new();
    talk.run(work(3), 7);
    talk.wait(SECOND * 5);
    // Stopped and continued: one tick comes much too late.
    talk.now = talk.now + Duration::from_secs(60);
    assert_eq!(talk.say(Event::Tick), []);
    assert_eq!(talk.slot.view().phase, Phase::Running);
    // But what follows counts again.
    let effects = talk.wait(SECOND * 5);
    assert!(
        matches!(effects.as_slice(), [(_, Effect::Kill(_))]),
        "{effects:?}"
    );
}

#[test]
fn a_crash_loop_shows_as_failed_and_is_tried_slowly() {
    let mut talk = Talk::new();
    talk.run(work(3), 1);
    talk.exit(1);
    let begin = talk.now;
    for pid in 2..=6 {
        let effects = talk.wait(talk.slot.limits.backoff_cap);
        assert!(matches!(effects.as_slice(), [(_, Effect::Fetch(_))]));
        talk.come_up(pid, BINARY);
        talk.exit(pid);
    }
    let view = talk.slot.view();
    assert_eq!((view.phase, view.n_restarts), (Phase::Failed, 6));
    assert!(view.crash_looping && view.reason.is_some());
    assert!(talk.now.since(begin) <= Duration::from_secs(60));
    let effects = talk.wait(talk.slot.limits.failed_retry);
    assert!(matches!(effects.as_slice(), [(at, Effect::Fetch(_))] if *at >= SECOND * 30));
    talk.come_up(7, BINARY);
    assert!(!talk.slot.view().crash_looping);
    talk.exit(7);
    assert!(talk.slot.view().crash_looping);
    // Another order is another matter.
    talk.run(work(4), 8);
    assert_eq!(talk.slot.view().n_restarts, 0);
}

#[test]
fn a_steady_worker_may_be_killed_every_few_seconds() {
    let mut talk = Talk::new();
    talk.run(work(3), 1);
    for pid in 2..20 {
        talk.wait(SECOND * 3);
        talk.report(true, false);
        talk.exit(pid - 1);
        let effects = talk.wait(talk.slot.limits.backoff);
        assert!(matches!(effects.as_slice(), [(_, Effect::Fetch(_))]));
        talk.come_up(pid, BINARY);
    }
}

#[test]
fn a_fetch_fails_for_good_only_when_somebody_answered() {
    let mut talk = Talk::new();
    talk.say(Event::Order(Some(work(3))));
    for fault in [Fault::Away, Fault::Here] {
        for _ in 0..6 {
            let effects = talk.say(Event::FetchFailed {
                binary: BINARY,
                reason: format!("{fault:?}"),
                fault,
            });
            assert_eq!(effects, []);
            let view = talk.slot.view();
            assert_eq!(view.phase, Phase::Failed);
            assert_eq!(view.crash_looping, view.n_restarts > 5);
            let effects = talk.wait(talk.slot.limits.failed_retry);
            assert!(matches!(effects.as_slice(), [(_, Effect::Fetch(_))]));
        }
    }
    assert_eq!(talk.slot.view().n_restarts, 6);
}

#[test]
fn the_answer_to_an_old_fetch_starts_nothing() {
    let mut talk = Talk::new();
    talk.say(Event::Order(Some(work(3))));
    let other = Work {
        binary: Sha256::new([2; 32]),
        ..work(4)
    };
    assert!(matches!(
        talk.say(Event::Order(Some(other))).as_slice(),
        [Effect::Fetch(binary)] if *binary == Sha256::new([2; 32])
    ));
    let old = Event::Fetched(BINARY);
    assert_eq!(talk.say(old), []);
    assert_eq!(talk.slot.view().phase, Phase::Fetching);
}

#[test]
fn a_launch_that_fails_is_tried_again_with_a_higher_incarnation() {
    let mut talk = Talk::new();
    talk.say(Event::Order(Some(work(3))));
    talk.say(Event::Fetched(BINARY));
    let effects = talk.say(Event::LaunchFailed {
        reason: "no space left on device".to_owned(),
    });
    assert_eq!(effects, []);
    assert_eq!(talk.slot.record().launch, None);
    assert!(matches!(
        talk.wait(SECOND).as_slice(),
        [(_, Effect::Fetch(_))]
    ));
    talk.come_up(7, BINARY);
    assert_eq!(talk.launch().incarnation, 42);
}

#[test]
fn a_stale_cookie_or_fence_is_refused() {
    let mut talk = Talk::new();
    talk.run(work(3), 7);
    let old = talk.launch();
    talk.exit(7);
    let attended = |launch: &Launch, fence| Event::Attended {
        cookie: launch.cookie,
        fence,
    };
    let refused = |effects: &[Effect]| matches!(effects, [Effect::Refuse(_)]);
    assert!(refused(&talk.say(attended(&old, old.fence()))));
    talk.wait(SECOND);
    talk.come_up(8, BINARY);
    assert!(refused(&talk.say(attended(&old, old.fence()))));
    let new = talk.launch();
    assert!(refused(&talk.say(attended(&new, old.fence()))));
    assert_eq!(talk.say(attended(&new, new.fence())), [Effect::Accept]);
    // What the old one still says keeps nobody alive.
    for _ in 0..9 {
        assert_eq!(talk.wait(SECOND), []);
        talk.say(Event::Reported {
            cookie: old.cookie,
            ready: true,
            drained: false,
        });
    }
    assert!(matches!(
        talk.wait(SECOND).as_slice(),
        [(_, Effect::Kill(_))]
    ));
}

#[test]
fn an_adopted_worker_is_left_alone() {
    let mut first = Talk::new();
    first.run(work(3), 7);
    let record = first.slot.record();
    let launch = record.launch.clone().expect("a worker runs");
    let now = Moment::ZERO + SECOND;
    let slot = Slot::new(record.incarnation, Limits::default(), 8);
    let mut talk = Talk::with(slot.adopt(launch.clone(), process(7), now));
    talk.now = now;
    talk.launched = Some(launch);
    assert_eq!(talk.slot.view().pid, Some(7));
    assert_eq!(talk.wait(SECOND * 5), []);
    assert_eq!(talk.attend(), [Effect::Accept]);
    assert_eq!(talk.say(Event::Order(Some(work(3)))), []);
    assert_eq!(talk.slot.view().incarnation, 41);
    // Nimbus isn't needed to start it again.
    talk.exit(7);
    assert!(matches!(
        talk.wait(SECOND).as_slice(),
        [(_, Effect::Fetch(_))]
    ));
}

#[test]
fn a_supervisor_that_ends_drains_and_starts_nothing() {
    let mut talk = Talk::new();
    talk.run(work(3), 7);
    assert_eq!(talk.say(Event::Drain), [Effect::AskDrain]);
    assert_eq!(talk.report(true, true), [Effect::Terminate(process(7))]);
    assert_eq!(talk.exit(7), []);
    assert_eq!(talk.say(Event::Order(Some(work(4)))), []);
    assert_eq!(talk.wait(SECOND * 100), []);
    assert_eq!(talk.slot.view().phase, Phase::Empty);
}
