//! Many writers' checkpoints in one transaction.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use squall_core::{CheckpointStore, Fence, StoreError, Write};
use squall_store::cluster::{
    ClusterCheckpoints, ClusterError, ClusterStore, MemoryCluster, Revision,
};

const fn fence(placement_epoch: u64) -> Fence {
    Fence {
        placement_epoch,
        incarnation: 1,
    }
}

fn put(key: &str, expected: Option<u64>, value: Vec<u8>) -> Write {
    Write {
        key: key.to_owned(),
        expected,
        value: Some(value),
    }
}

async fn led() -> (Arc<MemoryCluster>, ClusterCheckpoints) {
    let store = Arc::new(MemoryCluster::new());
    let epoch = store.raise_leader_epoch().await.unwrap();
    let checkpoints = ClusterCheckpoints::new(Arc::<MemoryCluster>::clone(&store), epoch);
    (store, checkpoints)
}

async fn revision(store: &MemoryCluster) -> Revision {
    store.list("checkpoint/", None).await.unwrap().revision
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

#[test]
fn a_thousand_commits_are_one_transaction() {
    block_on(async {
        let (store, checkpoints) = led().await;
        let before = revision(&store).await.0;
        let commits = (0..1000).map(|n| {
            (
                fence(1),
                vec![put(&format!("shard-{n}"), None, vec![7; 100])],
            )
        });
        let answers = checkpoints.commit_many(commits.collect()).await;
        assert!(
            answers
                .iter()
                .all(|answer| matches!(answer.as_deref(), Ok([1])))
        );
        assert_eq!(revision(&store).await.0, before + 1);
    });
}

#[test]
fn each_commit_is_all_or_nothing_and_judged_for_itself() {
    block_on(async {
        let (_, checkpoints) = led().await;
        checkpoints
            .commit(fence(5), vec![put("a", None, vec![0])])
            .await
            .unwrap();
        let answers = checkpoints
            .commit_many(vec![
                (
                    fence(5),
                    vec![put("a", Some(1), vec![1]), put("b", None, vec![1])],
                ),
                (
                    fence(4),
                    vec![put("c", None, vec![2]), put("a", Some(2), vec![2])],
                ),
                (
                    fence(5),
                    vec![put("d", None, vec![3]), put("e", Some(9), vec![3])],
                ),
                (fence(6), vec![put("a", Some(2), vec![4])]),
                (fence(6), vec![put("", None, vec![5])]),
                (fence(6), vec![put("f", None, vec![6])]),
            ])
            .await;
        assert!(matches!(answers[0].as_deref(), Ok([2, 1])));
        assert!(matches!(&answers[1], Err(StoreError::Fenced { key, .. }) if key == "a"));
        assert!(
            matches!(&answers[2], Err(StoreError::Conflict { key, found: None, .. }) if key == "e")
        );
        assert!(matches!(answers[3].as_deref(), Ok([3])));
        assert!(matches!(&answers[4], Err(StoreError::Invalid(_))));
        assert!(matches!(answers[5].as_deref(), Ok([1])));
        let listed = checkpoints.list("").await.unwrap();
        let values: Vec<_> = listed
            .iter()
            .map(|(key, entry)| (key.as_str(), entry.value[0]))
            .collect();
        assert_eq!(values, [("a", 4), ("b", 1), ("f", 6)]);
    });
}

#[test]
fn more_than_one_transaction_holds_goes_into_several() {
    block_on(async {
        let (store, checkpoints) = led().await;
        let before = revision(&store).await.0;
        let commits = (0..80).map(|n| {
            (
                fence(1),
                vec![put(&format!("{n}"), None, vec![7; 200 << 10])],
            )
        });
        let answers = checkpoints.commit_many(commits.collect()).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert_eq!(revision(&store).await.0, before + 2);
    });
}

#[test]
fn a_store_that_can_not_write_refuses_all_and_says_why() {
    block_on(async {
        let (store, checkpoints) = led().await;
        store.set_fault(Some(ClusterError::Full("no room".to_owned())));
        let commits = vec![
            (fence(1), vec![put("a", None, vec![])]),
            (fence(1), vec![put("b", None, vec![])]),
        ];
        let answers = checkpoints.commit_many(commits).await;
        for answer in answers {
            assert!(matches!(answer, Err(StoreError::Unavailable(reason)) if reason == "no room"));
        }
        store.set_fault(None);
        store.raise_leader_epoch().await.unwrap();
        let refused = checkpoints
            .commit(fence(1), vec![put("a", None, vec![])])
            .await;
        assert!(
            refused
                .unwrap_err()
                .to_string()
                .contains("another nimbus leads")
        );
    });
}

#[test]
fn pages_follow_each_other() {
    block_on(async {
        let (_, checkpoints) = led().await;
        let commits = (0..2500).map(|n| (fence(1), vec![put(&format!("a/{n:04}"), None, vec![])]));
        checkpoints.commit_many(commits.collect()).await;
        checkpoints
            .commit(fence(1), vec![put("b", None, vec![])])
            .await
            .unwrap();
        let (mut keys, mut after, mut more) = (Vec::new(), None, true);
        while more {
            let (page, again) = checkpoints.page("a/", after.as_deref()).await.unwrap();
            keys.extend(page.into_iter().map(|(key, _)| key));
            (after, more) = (keys.last().cloned(), again);
        }
        let expected: Vec<String> = (0..2500).map(|n| format!("a/{n:04}")).collect();
        assert_eq!(keys, expected);
    });
}
