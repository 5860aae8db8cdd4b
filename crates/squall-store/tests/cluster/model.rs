//! Stores against a plain map, in random steps.

use std::collections::BTreeMap;

use proptest::prelude::*;
use squall_store::cluster::{Change, LeaderEpoch, Op, Outcome, Revision, Txn, WatchItem, list_all};

use crate::{check, heard};

/// A commit of the random test: keys with how their preconditions lie (0 right, else wrong), and what
/// is done to them.
type Step = (u8, Vec<(u8, u8, Option<u8>)>);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lie = prop_oneof![12 => Just(0_u8), 1 => Just(1), 1 => Just(2)];
    let write = (0..6_u8, lie, proptest::option::weighted(0.7, any::<u8>()));
    let stale = prop_oneof![12 => Just(0_u8), 1 => Just(1)];
    proptest::collection::vec((stale, proptest::collection::vec(write, 0..4)), 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn stores_and_their_watchers_agree_with_a_plain_map(steps in steps()) {
        check(|store, epoch| {
            let steps = steps.clone();
            async move {
                let mut model = BTreeMap::<String, (Vec<u8>, Revision)>::new();
                let mut followed = BTreeMap::new();
                let mut watch = store.watch("", Revision(0));
                for (stale, writes) in steps {
                    let by = LeaderEpoch(epoch.0 - u64::from(stale));
                    let (txn, is_legal) = make(&model, by, &writes);
                    let is_legal = is_legal && stale == 0;
                    let ops = txn.ops.clone();
                    match store.commit(txn).await {
                        Ok(Outcome::Committed { revision }) => {
                            assert!(is_legal);
                            for op in ops {
                                let key = op.key().to_owned();
                                match op {
                                    Op::Put { value, .. } => {
                                        model.insert(key, (value.to_vec(), revision));
                                    }
                                    Op::Delete { .. } => {
                                        model.remove(&key);
                                    }
                                }
                            }
                        }
                        _ => assert!(!is_legal),
                    }
                    while let Some(item) = heard(&mut watch).await {
                        let WatchItem::Changed(changes) = item else { panic!("{item:?}") };
                        for Change { key, revision, value } in changes {
                            match value {
                                Some(value) => followed.insert(key, (value.to_vec(), revision)),
                                None => followed.remove(&key),
                            };
                        }
                    }
                    let (listed, _) = list_all(&*store, "", 10).await.unwrap();
                    let listed: BTreeMap<_, _> = listed
                        .into_iter()
                        .map(|(key, stored)| (key, (stored.value.to_vec(), stored.revision)))
                        .collect();
                    assert_eq!(&listed, &model);
                    assert_eq!(&followed, &model);
                }
            }
        });
    }
}

/// Makes a transaction, and tells whether its preconditions hold and no key comes twice.
fn make(
    model: &BTreeMap<String, (Vec<u8>, Revision)>,
    by: LeaderEpoch,
    writes: &[(u8, u8, Option<u8>)],
) -> (Txn, bool) {
    let mut txn = Txn::new(by);
    let mut is_legal = true;
    let mut keys = std::collections::BTreeSet::new();
    for (key, lie, value) in writes {
        let key = format!("k{key}");
        is_legal &= keys.insert(key.clone()) && *lie == 0;
        let found = model.get(&key).map(|(_, revision)| *revision);
        let expected = match (lie, found) {
            (0, found) => found,
            (1, Some(_)) => None,
            (_, found) => Some(Revision(found.map_or(1, |found| found.0 + 1))),
        };
        txn = txn.expect(key.clone(), expected);
        txn = match value {
            Some(byte) => txn.put(key, vec![*byte]),
            None => txn.delete(key),
        };
    }
    (txn, is_legal)
}
