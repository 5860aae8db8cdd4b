//! What is committed, what is refused, and what is left of it.

use std::sync::Arc;

use squall_store::cluster::{
    ClusterError, ClusterStore, FileCluster, FileClusterConfig, LeaderEpoch, MAX_KEY_BYTES,
    MAX_TXN_BYTES, MAX_TXN_OPS, Outcome, Revision, Txn, WatchItem, list_all,
};
use tempfile::TempDir;

use crate::{BIG, block_on, check, done, heard};

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
