//! Batches, in virtual time.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const FENCE: Fence = Fence {
    placement_epoch: 2,
    incarnation: 1,
};

fn write(key: &str, n_bytes: usize) -> Write {
    Write {
        key: key.to_owned(),
        expected: Some(1),
        value: Some(vec![0; n_bytes]),
    }
}

fn at(ms: u64) -> Moment {
    Moment::ZERO + Duration::from_millis(ms)
}

fn everybody(_: &u32) -> bool {
    false
}

fn committed(n: usize) -> Result<Vec<CheckpointOutcome>, BatchError> {
    Ok((0..n)
        .map(|_| CheckpointOutcome::Committed(vec![2]))
        .collect())
}

fn ask(batcher: &mut Batcher<u32>, key: &str, waiter: u32) {
    batcher.ask(vec![write(key, 10)], waiter).unwrap();
}

#[test]
fn the_first_goes_at_once_and_the_others_once_a_second_together() {
    let mut batcher = Batcher::new();
    assert_eq!(batcher.due(), None);
    ask(&mut batcher, "a", 1);
    assert_eq!(batcher.send(at(100), everybody).unwrap().len(), 1);
    for (key, waiter) in [("b", 2), ("c", 3), ("d", 4)] {
        ask(&mut batcher, key, waiter);
    }
    assert_eq!(batcher.due(), None, "one is on its way");
    assert_eq!(batcher.send(at(5000), everybody), None);
    assert_eq!(batcher.answered(committed(1)).len(), 1);
    assert_eq!(batcher.due(), Some(at(1100)));
    assert_eq!(batcher.send(at(1099), everybody), None);
    assert_eq!(batcher.send(at(1100), everybody).unwrap().len(), 3);
    let told = batcher.answered(committed(3));
    let waiters: Vec<u32> = told.iter().map(|(waiter, _)| *waiter).collect();
    assert_eq!(waiters, [2, 3, 4]);
    assert_eq!(batcher.due(), None);
}

#[test]
fn each_commit_has_its_own_answer() {
    let mut batcher = Batcher::new();
    for (key, waiter) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
        ask(&mut batcher, key, waiter);
    }
    batcher.send(at(0), everybody).unwrap();
    let conflict = CheckpointOutcome::Conflict {
        key: "b".to_owned(),
        expected: Some(1),
        found: Some(7),
    };
    let fenced = CheckpointOutcome::Fenced {
        key: "c".to_owned(),
        found: FENCE,
    };
    let told = batcher.answered(Ok(vec![
        CheckpointOutcome::Committed(vec![2]),
        conflict,
        fenced,
        CheckpointOutcome::Committed(vec![2, 3]),
    ]));
    let [
        (1, Ok(versions)),
        (2, Err(second)),
        (3, Err(third)),
        (4, Err(fourth)),
    ] = &told[..]
    else {
        panic!("{told:?}");
    };
    assert_eq!(*versions, [2]);
    assert!(matches!(
        second,
        StoreError::Conflict { found: Some(7), .. }
    ));
    assert!(matches!(third, StoreError::Fenced { found: FENCE, .. }));
    assert_eq!(
        fourth.to_string(),
        "the checkpoint store is unavailable: nimbus gave 2 versions to 1 writes"
    );
}

#[test]
fn a_failed_request_is_told_to_all_of_it_and_to_nobody_else() {
    let errors = [
        BatchError::Unavailable("away".to_owned()),
        BatchError::Invalid("too much".to_owned()),
        BatchError::Fenced(FENCE),
    ];
    for error in errors {
        let mut batcher = Batcher::new();
        ask(&mut batcher, "a", 1);
        ask(&mut batcher, "b", 2);
        batcher.send(at(0), everybody).unwrap();
        ask(&mut batcher, "c", 3);
        let told = batcher.answered(Err(error.clone()));
        assert_eq!(told.len(), 2);
        for (key, (_, answer)) in ["a", "b"].iter().zip(&told) {
            let said = answer.as_ref().unwrap_err();
            assert_eq!(said.to_string(), error.of(key).to_string());
        }
        assert_eq!(batcher.send(at(1000), everybody).unwrap().len(), 1);
        let told = batcher.answered(committed(2));
        assert!(
            matches!(&told[..], [(3, Err(StoreError::Unavailable(_)))]),
            "{told:?}"
        );
    }
}

#[test]
fn a_key_that_is_written_twice_waits_and_its_order_holds() {
    let mut batcher = Batcher::new();
    ask(&mut batcher, "a", 1);
    batcher.ask(vec![write("a", 1), write("b", 1)], 2).unwrap();
    ask(&mut batcher, "b", 3);
    ask(&mut batcher, "c", 4);
    let mut waiters = Vec::new();
    for second in 0..3 {
        let sent = batcher.send(at(1000 * second), everybody).unwrap();
        let told = batcher.answered(committed(sent.len()));
        waiters.push(
            told.into_iter()
                .map(|(waiter, _)| waiter)
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(waiters, [vec![1, 4], vec![2], vec![3]]);
}

#[test]
fn who_has_gone_away_is_not_written_for() {
    let mut batcher = Batcher::new();
    ask(&mut batcher, "a", 1);
    ask(&mut batcher, "a", 2);
    let sent = batcher.send(at(0), |waiter| *waiter == 1).unwrap();
    assert_eq!(sent.len(), 1);
    assert!(matches!(batcher.answered(committed(1))[..], [(2, Ok(_))]));
    ask(&mut batcher, "a", 3);
    assert_eq!(batcher.send(at(2000), |_| true), None);
    assert_eq!(batcher.due(), None);
}

#[test]
fn a_wrong_commit_is_refused_alone() {
    let mut batcher = Batcher::new();
    let long = "k".repeat(MAX_KEY_BYTES + 1);
    let wrong = [
        (vec![], "a commit has 1 to 10000 writes, not 0"),
        (vec![write("", 1)], "a key has 1 to 1024 bytes, not 0"),
        (vec![write(&long, 1)], "a key has 1 to 1024 bytes, not 1025"),
        (
            vec![write("a", MAX_VALUE_BYTES + 1)],
            "`a`: a value has at most 262144 bytes, not 262145",
        ),
        (
            vec![write("a", 1), write("a", 1)],
            "`a` stands twice in one commit",
        ),
        (
            (0..40)
                .map(|n| write(&n.to_string(), MAX_VALUE_BYTES))
                .collect(),
            "a commit has at most 8388608 bytes, not 10485830",
        ),
    ];
    for (writes, expected) in wrong {
        let (waiter, error) = batcher.ask(writes, 1).unwrap_err();
        assert_eq!((waiter, error.to_string()), (1, expected.to_owned()));
    }
    assert_eq!(batcher.due(), None);
}

#[test]
fn what_waits_is_bounded() {
    let mut batcher = Batcher::new();
    let mut refused = 0;
    for n in 0..MAX_WAITING + 10 {
        let asked = batcher.ask(vec![write(&n.to_string(), 1)], 0);
        if let Err((_, error)) = asked {
            assert!(matches!(error, StoreError::Unavailable(_)));
            refused += 1;
        }
    }
    assert_eq!(refused, 10);
    let mut batcher = Batcher::new();
    let large = |n: usize| vec![write(&n.to_string(), MAX_VALUE_BYTES)];
    let n_taken = (0..200)
        .filter(|n| batcher.ask(large(*n), 0).is_ok())
        .count();
    assert_eq!(n_taken, MAX_WAITING_BYTES / (MAX_VALUE_BYTES + 2));
}

proptest! {
    #[test]
    fn everybody_is_answered_once_and_no_request_breaks_its_bounds(
        steps in proptest::collection::vec((0..5_u8, 0..6_usize, 0..300_000_usize), 1..120),
    ) {
        let mut batcher = Batcher::new();
        let (mut now, mut next_waiter) = (Moment::ZERO, 0_u32);
        let mut answers: BTreeMap<u32, u32> = BTreeMap::new();
        let mut on_its_way = None;
        let mut last_sent: Option<Moment> = None;
        for (kind, key, n_bytes) in steps {
            now = now + Duration::from_millis(250);
            match kind {
                0..3 => {
                    let writes = (0..=key).map(|n| write(&format!("k{}", n * 7 % 5 + n), n_bytes));
                    answers.insert(next_waiter, 0);
                    if let Err((waiter, _)) = batcher.ask(writes.collect(), next_waiter) {
                        *answers.get_mut(&waiter).unwrap() += 1;
                    }
                    next_waiter += 1;
                }
                3 => if let Some(sent) = batcher.send(now, everybody) {
                    prop_assert!(last_sent.is_none_or(|last| now.since(last) >= INTERVAL));
                    last_sent = Some(now);
                    let keys: Vec<&String> = sent.iter().flatten().map(|write| &write.key).collect();
                    let distinct: HashSet<&&String> = keys.iter().collect();
                    prop_assert_eq!(distinct.len(), keys.len());
                    prop_assert!((1..=MAX_COMMITS).contains(&sent.len()));
                    let n_bytes: usize = sent.iter().flatten()
                        .map(|write| write.key.len() + write.value.as_ref().unwrap().len()).sum();
                    prop_assert!(n_bytes <= MAX_COMMIT_BYTES);
                    prop_assert!(on_its_way.is_none());
                    on_its_way = Some(sent.len());
                },
                _ => if let Some(n) = on_its_way.take() {
                    for (waiter, _) in batcher.answered(committed(n)) {
                        *answers.get_mut(&waiter).unwrap() += 1;
                    }
                },
            }
        }
        loop {
            for (waiter, _) in batcher.answered(Err(BatchError::Unavailable(String::new()))) {
                *answers.get_mut(&waiter).unwrap() += 1;
            }
            now = now + INTERVAL;
            if batcher.send(now, everybody).is_none() {
                break;
            }
        }
        prop_assert!(answers.values().all(|n| *n == 1), "{:?}", answers);
    }
}
