//! What every cluster store has to do, run against each of ours.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use proptest::prelude::*;
use squall_store::cluster::{
    Change, ClusterError, ClusterStore, FileCluster, FileClusterConfig, LeaderEpoch, MAX_KEY_BYTES,
    MAX_PAGE_BYTES, MAX_PAGE_ENTRIES, MAX_TXN_BYTES, MAX_TXN_OPS, MemoryCluster, Op, Outcome,
    Revision, Txn, Watch, WatchItem, list_all,
};
use tempfile::TempDir;

/// With its key a bit less than 1 MiB.
const BIG: usize = (1 << 20) - 10;
/// Small, so that a test can fill it.
const MAX_BYTES: u64 = 64 << 20;

/// Runs a check against each store, on a runtime of its own, led by its first leader.
fn check<F: Future<Output = ()>>(test: impl Fn(Arc<dyn ClusterStore>, LeaderEpoch) -> F) {
    let led = |store: Arc<dyn ClusterStore>| {
        block_on(async {
            let epoch = store.raise_leader_epoch().await.unwrap();
            assert_eq!(epoch, LeaderEpoch(1));
            test(store, epoch).await;
        });
    };
    led(Arc::new(MemoryCluster::with_max_bytes(MAX_BYTES)));
    let dir = TempDir::new().unwrap();
    let config = FileClusterConfig {
        max_bytes: MAX_BYTES,
        ..FileClusterConfig::default()
    };
    let path = dir.path().join("deep/er/nimbus.redb");
    led(Arc::new(FileCluster::open(path, config).unwrap()));
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

/// Commits what has to succeed.
async fn done(store: &Arc<dyn ClusterStore>, txn: Txn) -> Revision {
    match store.commit(txn).await.unwrap() {
        Outcome::Committed { revision } => revision,
        refused => panic!("{refused:?}"),
    }
}

/// What a watch has to say right now.
async fn heard(watch: &mut Watch) -> Option<WatchItem> {
    poll_fn(|cx| match watch.poll_next(cx) {
        Poll::Ready(item) => Poll::Ready(item),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

#[test]
fn commits_only_what_its_preconditions_allow() {
    check(|store, epoch| async move {
        assert_eq!(store.get("a").await.unwrap(), None);
        let first = done(&store, Txn::new(epoch).absent("a").put("a", "1")).await;
        let second = done(&store, Txn::new(epoch).at("a", first).put("a", "2")).await;
        assert!(second > first);
        for stale in [None, Some(first), Some(Revision(second.0 + 1))] {
            let txn = Txn::new(epoch).expect("a", stale).put("a", "x");
            let refused = store.commit(txn.put("b", "x")).await.unwrap();
            let (key, found) = ("a".to_owned(), Some(second));
            assert_eq!(refused, Outcome::Conflict { key, found });
        }
        let on_another = Txn::new(epoch).at("b", first).put("c", "x");
        let (key, found) = ("b".to_owned(), None);
        let refused = store.commit(on_another).await.unwrap();
        assert_eq!(refused, Outcome::Conflict { key, found });
        let stored = store.get("a").await.unwrap().unwrap();
        assert_eq!((&*stored.value, stored.revision), (&b"2"[..], second));
        let (listed, _) = list_all(&*store, "", 10).await.unwrap();
        assert_eq!(listed, [("a".to_owned(), stored)]);
    });
}

#[test]
fn a_key_made_anew_is_not_the_old_one() {
    check(|store, epoch| async move {
        let first = done(&store, Txn::new(epoch).put("a", "1")).await;
        done(&store, Txn::new(epoch).at("a", first).delete("a")).await;
        assert_eq!(store.get("a").await.unwrap(), None);
        let again = done(&store, Txn::new(epoch).absent("a").put("a", "1")).await;
        assert!(again > first);
        let refused = store.commit(Txn::new(epoch).at("a", first).delete("a"));
        assert!(matches!(
            refused.await.unwrap(),
            Outcome::Conflict { found, .. } if found == Some(again)
        ));
    });
}

#[test]
fn what_changes_nothing_takes_no_revision() {
    check(|store, epoch| async move {
        let first = done(&store, Txn::new(epoch).put("a", "1")).await;
        assert_eq!(done(&store, Txn::new(epoch).at("a", first)).await, first);
        assert_eq!(done(&store, Txn::new(epoch).delete("none")).await, first);
        assert_eq!(
            done(&store, Txn::new(epoch).put("b", "")).await.0,
            first.0 + 1
        );
    });
}

#[test]
fn a_former_leader_changes_nothing() {
    check(|store, former| async move {
        let first = done(&store, Txn::new(former).put("a", "1")).await;
        let current = store.raise_leader_epoch().await.unwrap();
        assert!(current > former);
        for other in [former, LeaderEpoch(0), LeaderEpoch(current.0 + 1)] {
            // Who leads is told first, whatever else is wrong.
            for txn in [
                Txn::new(other).at("a", first).put("a", "x"),
                Txn::new(other).absent("a").delete("a"),
                Txn::new(other),
            ] {
                let refused = store.commit(txn).await.unwrap();
                assert_eq!(refused, Outcome::StaleLeader { current });
            }
        }
        assert_eq!(store.get("a").await.unwrap().unwrap().revision, first);
        done(&store, Txn::new(current).at("a", first).put("a", "2")).await;
    });
}

#[test]
fn reads_many_keys_in_their_order() {
    check(|store, epoch| async move {
        done(&store, Txn::new(epoch).put("a", "1").put("b", "2")).await;
        let keys = ["b", "none", "a", "b"].map(str::to_owned).to_vec();
        let found = store.get_many(keys).await.unwrap();
        let values = found
            .iter()
            .map(|found| found.as_ref().map(|f| &f.value[..]));
        let expected = [Some(&b"2"[..]), None, Some(b"1"), Some(b"2")];
        assert_eq!(values.collect::<Vec<_>>(), expected);
        let many = vec!["a".to_owned(); MAX_TXN_OPS + 1];
        let refused = store.get_many(many).await;
        assert!(matches!(refused, Err(ClusterError::Invalid(_))));
    });
}

#[test]
fn lists_a_prefix_in_order_and_in_pages() {
    check(|store, epoch| async move {
        let names = ["t/b", "t/a", "t", "s/a", "t/é"];
        let txn = names
            .iter()
            .fold(Txn::new(epoch), |txn, name| txn.put(*name, *name));
        let revision = done(&store, txn).await;
        let page = store.list("t/", None).await.unwrap();
        let keys: Vec<&str> = page.entries.iter().map(|(key, _)| &**key).collect();
        assert_eq!(keys, ["t/a", "t/b", "t/é"]);
        assert_eq!((page.revision, page.next), (revision, None));
        for (after, expected) in [("t/a", 2), ("t/aa", 2), ("a", 3), ("t/é", 0), ("z", 0)] {
            let page = store.list("t/", Some(after)).await.unwrap();
            assert_eq!(page.entries.len(), expected, "{after}");
        }
        let key = |n: usize| format!("many/{n:05}");
        let many = (0..=2 * MAX_PAGE_ENTRIES).map(key);
        done(
            &store,
            many.fold(Txn::new(epoch), |txn, key| txn.put(key, "x")),
        )
        .await;
        let page = store.list("many/", None).await.unwrap();
        assert_eq!(page.entries.len(), MAX_PAGE_ENTRIES);
        assert_eq!(page.next, Some(key(MAX_PAGE_ENTRIES - 1)));
        let (all, _) = list_all(&*store, "many/", 10_000).await.unwrap();
        let listed: Vec<String> = all.into_iter().map(|(key, _)| key).collect();
        assert_eq!(
            listed,
            (0..=2 * MAX_PAGE_ENTRIES).map(key).collect::<Vec<_>>()
        );
        let refused = list_all(&*store, "many/", 2 * MAX_PAGE_ENTRIES).await;
        assert!(matches!(refused, Err(ClusterError::Invalid(_))));
    });
}

#[test]
fn a_page_is_bounded_in_bytes() {
    check(|store, epoch| async move {
        let value = vec![7; BIG];
        for n in 0..6 {
            done(
                &store,
                Txn::new(epoch).put(format!("big/{n}"), value.clone()),
            )
            .await;
        }
        let page = store.list("big/", None).await.unwrap();
        assert_eq!(page.entries.len(), MAX_PAGE_BYTES / (1 << 20));
        let (all, _) = list_all(&*store, "big/", 6).await.unwrap();
        assert_eq!(all.len(), 6);
    });
}

#[test]
fn refuses_what_is_out_of_bounds() {
    check(|store, epoch| async move {
        let long = "k".repeat(MAX_KEY_BYTES + 1);
        let many = 0..=MAX_TXN_OPS;
        let refused = [
            Txn::new(epoch).put("", "x"),
            Txn::new(epoch).put(long.clone(), "x"),
            Txn::new(epoch).absent(""),
            Txn::new(epoch).delete(long),
            Txn::new(epoch).put("a", vec![0; MAX_TXN_BYTES]),
            Txn::new(epoch).put("a", "x").delete("a"),
            many.clone()
                .fold(Txn::new(epoch), |txn, n| txn.delete(n.to_string())),
            many.fold(Txn::new(epoch), |txn, n| txn.absent(n.to_string())),
        ];
        for txn in refused {
            let answer = store.commit(txn).await;
            assert!(
                matches!(answer, Err(ClusterError::Invalid(_))),
                "{answer:?}"
            );
        }
        assert!(store.list("", None).await.unwrap().entries.is_empty());
        let key = "k".repeat(MAX_KEY_BYTES);
        let fits = vec![7; MAX_TXN_BYTES - MAX_KEY_BYTES];
        done(&store, Txn::new(epoch).put(key, fits)).await;
    });
}

#[test]
fn a_full_store_refuses_more_and_recovers_by_deleting() {
    check(|store, epoch| async move {
        let value = vec![7; BIG];
        let mut n_stored = 0;
        let refused = loop {
            let txn = Txn::new(epoch).put(format!("big/{n_stored:02}"), value.clone());
            match store.commit(txn).await {
                Ok(_) => n_stored += 1,
                Err(refused) => break refused,
            }
        };
        assert!(matches!(refused, ClusterError::Full(_)), "{refused:?}");
        assert_eq!(n_stored, 64);
        // What doesn't grow the store still goes, and what was refused left nothing behind.
        done(&store, Txn::new(epoch).put("big/00", value.clone())).await;
        let (all, _) = list_all(&*store, "", 100).await.unwrap();
        assert_eq!(all.len(), 64);
        done(&store, Txn::new(epoch).delete("big/00")).await;
        done(&store, Txn::new(epoch).put("big/99", value)).await;
    });
}

#[test]
fn commits_that_wait_are_bounded_in_bytes() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("nimbus.redb");
    let store = Arc::new(FileCluster::open(path, FileClusterConfig::default()).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let epoch = runtime.block_on(store.raise_leader_epoch()).unwrap();
    // Far more than may wait, all asked for before any can be done.
    let commits = (0..200).map(|n| {
        let txn = Txn::new(epoch).put(format!("big/{n}"), vec![7; BIG]);
        store.commit(txn)
    });
    let answers = runtime.block_on(futures_util::future::join_all(commits));
    let refused = |answer: &&Result<_, _>| matches!(answer, Err(ClusterError::Unavailable(_)));
    let n_refused = answers.iter().filter(refused).count();
    assert!((1..200).contains(&n_refused), "{n_refused} were refused");
    assert!(
        answers
            .iter()
            .all(|answer| answer.is_ok() || refused(&answer))
    );
    let (all, _) = runtime.block_on(list_all(&*store, "big/", 200)).unwrap();
    assert_eq!(all.len(), 200 - n_refused);
    // The room is there again.
    let more = runtime.block_on(store.commit(Txn::new(epoch).put("more", vec![7; BIG])));
    assert!(more.is_ok());
}

#[test]
fn a_watch_hears_each_commit_of_its_prefix_in_order() {
    check(|store, epoch| async move {
        let start = done(&store, Txn::new(epoch).put("a/1", "before")).await;
        let mut watch = store.watch("a/", start);
        assert_eq!(heard(&mut watch).await, None);
        let txn = Txn::new(epoch)
            .put("a/1", "x")
            .put("b/1", "y")
            .put("a/2", "z");
        let first = done(&store, txn).await;
        done(&store, Txn::new(epoch).put("b/2", "elsewhere")).await;
        let second = done(&store, Txn::new(epoch).delete("a/1").delete("a/3")).await;
        let change = |key: &str, revision, value: Option<&'static str>| Change {
            key: key.to_owned(),
            revision,
            value: value.map(Into::into),
        };
        let both = vec![
            change("a/1", first, Some("x")),
            change("a/2", first, Some("z")),
        ];
        assert_eq!(heard(&mut watch).await, Some(WatchItem::Changed(both)));
        let gone = WatchItem::Changed(vec![change("a/1", second, None)]);
        assert_eq!(heard(&mut watch).await, Some(gone.clone()));
        assert_eq!(heard(&mut watch).await, None);
        // A second watcher may begin in the past.
        let mut late = store.watch("a/", first);
        assert_eq!(heard(&mut late).await, Some(gone));
        // A refused commit is not heard of.
        let refused = store.commit(Txn::new(epoch).absent("a/2").put("a/2", "no"));
        assert!(matches!(refused.await.unwrap(), Outcome::Conflict { .. }));
        assert_eq!(heard(&mut watch).await, None);
    });
}

#[test]
fn a_waiting_watch_is_woken_and_ends_with_its_store() {
    check(|store, epoch| async move {
        let mut watch = store.watch("", Revision(0));
        let waits = tokio::spawn(async move {
            let first = watch.next().await;
            (first, watch.next().await)
        });
        tokio::task::yield_now().await;
        done(&store, Txn::new(epoch).put("a", "1")).await;
        tokio::task::yield_now().await;
        drop(store);
        let (first, second) = waits.await.unwrap();
        assert!(matches!(first, Some(WatchItem::Changed(changes)) if changes.len() == 1));
        assert_eq!(second, None);
    });
}

#[test]
fn a_watch_that_fell_behind_is_told_to_read_anew() {
    check(|store, epoch| async move {
        let start = done(&store, Txn::new(epoch).put("a", "1")).await;
        let mut slow = store.watch("", start);
        let mut last = start;
        for n in 0..20 {
            let value = vec![n; BIG];
            last = done(&store, Txn::new(epoch).put("big", value)).await;
        }
        assert_eq!(
            heard(&mut slow).await,
            Some(WatchItem::Resync { revision: last })
        );
        assert_eq!(heard(&mut slow).await, None);
        let next = done(&store, Txn::new(epoch).put("a", "2")).await;
        assert!(matches!(
            heard(&mut slow).await,
            Some(WatchItem::Changed(changes)) if changes[0].revision == next
        ));
        // So is one that begins before what is remembered, or after what there is.
        for after in [Revision(0), start, Revision(next.0 + 7)] {
            let mut watch = store.watch("", after);
            assert_eq!(
                heard(&mut watch).await,
                Some(WatchItem::Resync { revision: next })
            );
        }
    });
}

#[test]
fn commits_made_at_once_are_all_answered_and_one_of_each_key_wins() {
    check(|store, epoch| async move {
        let commits = (0..200_u64).map(|n| {
            let store = Arc::clone(&store);
            async move {
                let key = (n % 50).to_string();
                let txn = Txn::new(epoch).absent(key.clone()).put(key, n.to_string());
                match store.commit(txn).await.unwrap() {
                    Outcome::Committed { revision } => Some(revision),
                    Outcome::Conflict { .. } => None,
                    Outcome::StaleLeader { .. } => panic!("nobody else leads"),
                }
            }
        });
        let mut set = tokio::task::JoinSet::new();
        let local = tokio::task::LocalSet::new();
        commits.for_each(|commit| {
            set.spawn_local_on(commit, &local);
        });
        let mut won: Vec<_> = local.run_until(set.join_all()).await;
        won.retain(Option::is_some);
        assert_eq!(won.len(), 50);
        won.sort();
        won.dedup();
        assert_eq!(won.len(), 50, "each has a revision of its own");
        let (all, _) = list_all(&*store, "", 100).await.unwrap();
        assert_eq!(all.len(), 50);
    });
}

#[test]
fn what_was_answered_survives_reopening() {
    let dir = TempDir::new().unwrap();
    let open = || {
        let path = dir.path().join("nimbus.redb");
        let store = FileCluster::open(path, FileClusterConfig::default()).unwrap();
        Arc::new(store) as Arc<dyn ClusterStore>
    };
    let store = open();
    let revision = block_on(async {
        let epoch = store.raise_leader_epoch().await.unwrap();
        done(&store, Txn::new(epoch).put("a", "1")).await;
        done(&store, Txn::new(epoch).put("b", "2").delete("a")).await
    });
    drop(store);
    let store = open();
    block_on(async {
        assert_eq!(store.get("a").await.unwrap(), None);
        assert_eq!(store.get("b").await.unwrap().unwrap().revision, revision);
        let mut watch = store.watch("", revision);
        let epoch = store.raise_leader_epoch().await.unwrap();
        assert_eq!(epoch, LeaderEpoch(2));
        let next = done(&store, Txn::new(epoch).put("c", "3")).await;
        assert!(next > revision);
        assert!(matches!(
            heard(&mut watch).await,
            Some(WatchItem::Changed(_))
        ));
    });
}

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
