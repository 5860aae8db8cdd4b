//! `Pending` by example, and against a plain model.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::error::FailureReason;
use crate::units::ByteSize;

const CAP: Duration = Duration::from_secs(30);

fn pending(max_attempts: u32, on_exhausted: OnExhausted) -> Pending<&'static str> {
    let config = ReplayConfig {
        max_attempts: NonZeroU32::new(max_attempts).unwrap(),
        on_exhausted,
        ..ReplayConfig::default()
    };
    Pending::new(&config, 3)
}

fn failure(reason: FailureReason) -> Failure {
    Failure::new(reason, None, "no luck")
}

fn retry_at<T: std::fmt::Debug>(decision: &Decision<'_, T>) -> Moment {
    match decision {
        Decision::Retry { at } => *at,
        other => panic!("no retry: {other:?}"),
    }
}

#[test]
fn a_retry_keeps_its_id_and_counts_its_attempts() {
    let mut pending = pending(5, OnExhausted::RetryAtCap);
    let id = pending.insert("a", 1);
    let mut now = Moment::ZERO;
    for attempt in 2..5 {
        let at = retry_at(&pending.fail(id, &failure(FailureReason::TimedOut), now));
        assert_eq!(pending.next_due_at(), Some(at));
        assert!(at > now && pending.next_due(now).is_none());
        now = at;
        let retry = pending.next_due(now).unwrap();
        assert_eq!((retry.id, retry.attempt, *retry.body), (id, attempt, "a"));
        assert!(pending.next_due(now).is_none());
    }
    assert_eq!(pending.ack(id), Some("a"));
    assert_eq!(pending.counters().retried, 3);
    assert!(pending.is_empty());
}

#[test]
fn an_exhausted_message_stays_pending_until_it_is_dead_lettered() {
    let mut pending = pending(1, OnExhausted::DeadLetter);
    let id = pending.insert("a", 1);
    let decision = pending.fail(id, &failure(FailureReason::Rejected), Moment::ZERO);
    let dead = Decision::DeadLetter {
        body: &"a",
        attempts: 1,
    };
    assert_eq!(decision, dead);
    assert_eq!((pending.ack(id), pending.next_due_at()), (None, None));
    assert_eq!((pending.len(), pending.get(id)), (1, Some(&"a")));
    assert_eq!(pending.dead_lettered(id), Some("a"));
    assert_eq!(pending.dead_lettered(id), None);
    let counters = pending.counters();
    assert_eq!((counters.exhausted, counters.dead_lettered), (1, 1));
    assert!(pending.is_empty());
}

#[test]
fn without_a_place_for_dead_letters_retries_go_on_at_the_cap() {
    let mut pending = pending(1, OnExhausted::RetryAtCap);
    let id = pending.insert("a", 1);
    let mut now = Moment::ZERO;
    for _ in 0..3 {
        let at = retry_at(&pending.fail(id, &failure(FailureReason::Rejected), now));
        assert!(at.since(now) >= CAP / 2 && at.since(now) <= CAP);
        now = at;
        pending.next_due(now).unwrap();
    }
    assert_eq!(pending.counters().exhausted, 1);
}

#[test]
fn a_permanent_failure_needs_no_further_attempt() {
    let mut pending = pending(5, OnExhausted::Drop);
    let id = pending.insert("a", 1);
    let why = Failure {
        permanent: true,
        ..failure(FailureReason::Rejected)
    };
    assert_eq!(pending.fail(id, &why, Moment::ZERO), Decision::Dropped("a"));
    assert_eq!(pending.counters().dropped, 1);
    assert!(pending.is_empty());
}

#[test]
fn what_the_engine_lost_uses_up_no_attempt_and_comes_back_soon() {
    let mut pending = pending(1, OnExhausted::Drop);
    let id = pending.insert("a", 1);
    let mut now = Moment::ZERO;
    for reason in [FailureReason::Lost, FailureReason::Drained].repeat(20) {
        let at = retry_at(&pending.fail(id, &failure(reason), now));
        assert!(at.since(now) <= Duration::from_millis(100));
        now = at;
        pending.next_due(now).unwrap();
    }
    assert_eq!(pending.counters().exhausted, 0);
}

#[test]
fn a_verdict_that_comes_twice_changes_nothing() {
    let mut pending = pending(5, OnExhausted::RetryAtCap);
    let old = pending.insert("a", 1);
    pending.ack(old);
    let new = pending.insert("b", 1);
    assert_ne!(old, new, "the slot is used again under another id");
    assert_eq!(pending.ack(old), None);
    let why = failure(FailureReason::Rejected);
    assert_eq!(pending.fail(old, &why, Moment::ZERO), Decision::Unknown);
    retry_at(&pending.fail(new, &why, Moment::ZERO));
    assert_eq!(pending.fail(new, &why, Moment::ZERO), Decision::Unknown);
    assert_eq!(pending.len(), 1);
}

#[test]
fn a_held_message_makes_room_until_it_fails() {
    let config = ReplayConfig {
        max_bytes: ByteSize(10),
        ..ReplayConfig::default()
    };
    let mut pending = Pending::new(&config, 1);
    let id = pending.insert(Some("can be read again"), 10);
    assert!(!pending.has_room());
    *pending.held(id).unwrap() = None;
    assert!(pending.has_room() && !pending.is_empty());
    pending.fail(id, &failure(FailureReason::Drained), Moment::ZERO);
    assert!(!pending.has_room());
}

#[test]
fn a_message_costs_below_64_bytes_beside_its_body() {
    assert!(size_of::<Slot<()>>() + size_of::<u32>() + size_of::<Reverse<(Moment, u64)>>() < 64);
}

#[derive(Clone, Debug)]
enum Op {
    Insert {
        bytes: usize,
    },
    Ack {
        nth: usize,
    },
    Fail {
        nth: usize,
        reason: FailureReason,
        permanent: bool,
    },
    Held {
        nth: usize,
    },
    DeadLettered {
        nth: usize,
    },
    Wait {
        ms: u64,
    },
    Due,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let nth = 0usize..64;
    let reason = prop_oneof![
        Just(FailureReason::Rejected),
        Just(FailureReason::TimedOut),
        Just(FailureReason::Lost),
        Just(FailureReason::Drained),
    ];
    let op = prop_oneof![
        3 => (0usize..40).prop_map(|bytes| Op::Insert { bytes }),
        2 => nth.clone().prop_map(|nth| Op::Ack { nth }),
        4 => (nth.clone(), reason, prop::bool::weighted(0.1))
            .prop_map(|(nth, reason, permanent)| Op::Fail { nth, reason, permanent }),
        1 => nth.clone().prop_map(|nth| Op::Held { nth }),
        1 => nth.prop_map(|nth| Op::DeadLettered { nth }),
        2 => (0u64..400).prop_map(|ms| Op::Wait { ms }),
        4 => Just(Op::Due),
    ];
    prop::collection::vec(op, 1..200)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    InFlight { held: bool },
    Waiting { at: Moment },
    Dying,
}

#[derive(Debug)]
struct Known {
    bytes: usize,
    attempt: u32,
    n_failures: u32,
    state: State,
}

/// The same, as plainly as it can be said.
struct Model {
    live: BTreeMap<MessageId, Known>,
    policy: OnExhausted,
    now: Moment,
}

const MAX_ATTEMPTS: u32 = 3;

impl Model {
    fn load(&self) -> (usize, usize) {
        let counted = self
            .live
            .values()
            .filter(|known| known.state != State::InFlight { held: true });
        counted.fold((0, 0), |(items, bytes), known| {
            (items + 1, bytes + known.bytes)
        })
    }

    fn next_due(&self) -> Option<Moment> {
        let waits = self.live.values().filter_map(|known| match known.state {
            State::Waiting { at } => Some(at),
            State::InFlight { .. } | State::Dying => None,
        });
        waits.min()
    }

    fn fail(&mut self, id: MessageId, why: &Failure, decision: &Decision<'_, MessageId>) {
        let now = self.now;
        let known = self.live.get_mut(&id);
        let Some(known) = known.filter(|known| matches!(known.state, State::InFlight { .. }))
        else {
            assert_eq!(*decision, Decision::Unknown);
            return;
        };
        if why.permanent {
            known.n_failures = MAX_ATTEMPTS;
        } else if why.reason.counts_as_attempt() {
            known.n_failures += 1;
        }
        let exhausted = known.n_failures >= MAX_ATTEMPTS;
        match decision {
            Decision::Retry { at } => {
                let longest = match known.n_failures {
                    _ if exhausted => CAP,
                    n if why.reason.counts_as_attempt() => Duration::from_millis(50 << n),
                    _ => Duration::from_millis(100),
                };
                assert!(!exhausted || self.policy == OnExhausted::RetryAtCap);
                assert!(at.since(now) >= longest / 2 && at.since(now) <= longest);
                known.state = State::Waiting { at: *at };
            }
            Decision::DeadLetter { attempts, .. } => {
                assert!(exhausted && self.policy == OnExhausted::DeadLetter);
                assert_eq!(*attempts, known.attempt);
                known.state = State::Dying;
            }
            Decision::Dropped(_) => {
                assert!(exhausted && self.policy == OnExhausted::Drop);
                self.live.remove(&id);
            }
            Decision::Unknown => panic!("{id:?} is in flight"),
        }
    }

    fn end(&mut self, id: MessageId, ended: bool, may_end: impl Fn(State) -> bool) {
        let expected = self.live.get(&id).is_some_and(|known| may_end(known.state));
        assert_eq!(ended, expected, "{id:?}");
        if ended {
            self.live.remove(&id);
        }
    }

    fn due(&mut self, due: Option<(MessageId, u32)>) {
        let expected = self.next_due().filter(|at| *at <= self.now);
        assert_eq!(due.is_some(), expected.is_some());
        if let (Some((id, attempt)), Some(at)) = (due, expected) {
            let known = self.live.get_mut(&id).unwrap();
            assert_eq!(known.state, State::Waiting { at });
            known.attempt += 1;
            assert_eq!(attempt, known.attempt);
            known.state = State::InFlight { held: false };
        }
    }
}

proptest! {
    #[test]
    fn does_what_a_plain_model_does(
        ops in ops(),
        seed: u64,
        policy in prop::sample::select(vec![
            OnExhausted::RetryAtCap,
            OnExhausted::DeadLetter,
            OnExhausted::Drop,
        ]),
    ) {
        let config = ReplayConfig {
            max_items: NonZeroU32::new(8).unwrap(),
            max_bytes: ByteSize(100),
            max_attempts: NonZeroU32::new(MAX_ATTEMPTS).unwrap(),
            on_exhausted: policy,
            ..ReplayConfig::default()
        };
        // Bodies are numbers; `ids` remembers all that were ever issued, the dead ones too.
        let mut pending = Pending::new(&config, seed);
        let mut model = Model { live: BTreeMap::new(), policy, now: Moment::ZERO };
        let mut ids = Vec::new();
        for op in ops {
            let pick = |nth: usize| ids.get(nth % ids.len().max(1)).copied();
            match op {
                Op::Insert { bytes } if pending.has_room() => {
                    let id = pending.insert(MessageId(0), bytes);
                    let known = Known {
                        bytes,
                        attempt: 1,
                        n_failures: 0,
                        state: State::InFlight { held: false },
                    };
                    prop_assert!(model.live.insert(id, known).is_none(), "{id:?} given twice");
                    ids.push(id);
                }
                Op::Insert { .. } => prop_assert!(model.load().0 >= 8 || model.load().1 >= 100),
                Op::Ack { nth } => if let Some(id) = pick(nth) {
                    let ended = pending.ack(id).is_some();
                    model.end(id, ended, |state| matches!(state, State::InFlight { .. }));
                },
                Op::Fail { nth, reason, permanent } => if let Some(id) = pick(nth) {
                    let why = Failure { permanent, ..failure(reason) };
                    let decision = pending.fail(id, &why, model.now);
                    model.fail(id, &why, &decision);
                },
                Op::Held { nth } => if let Some(id) = pick(nth) {
                    let known = model.live.get_mut(&id);
                    let known = known.filter(|known| matches!(known.state, State::InFlight { .. }));
                    prop_assert_eq!(pending.held(id).is_some(), known.is_some());
                    if let Some(known) = known {
                        known.state = State::InFlight { held: true };
                    }
                },
                Op::DeadLettered { nth } => if let Some(id) = pick(nth) {
                    let ended = pending.dead_lettered(id).is_some();
                    model.end(id, ended, |state| state == State::Dying);
                },
                Op::Wait { ms } => model.now = model.now + Duration::from_millis(ms),
                Op::Due => {
                    let due = pending.next_due(model.now).map(|retry| (retry.id, retry.attempt));
                    model.due(due);
                }
            }
            prop_assert_eq!(pending.next_due_at(), model.next_due());
            prop_assert_eq!(pending.len(), model.live.len());
            prop_assert_eq!(pending.counted_bytes(), model.load().1);
            prop_assert_eq!(pending.has_room(), model.load().0 < 8 && model.load().1 < 100);
        }
    }
}
