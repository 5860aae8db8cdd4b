//! What every checkpoint store has to do, run against each of ours.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use squall_core::{
    CheckpointStore, Entry, Fence, MAX_KEY_BYTES, MAX_VALUE_BYTES, MAX_WRITES_PER_COMMIT,
    StoreError, Write,
};
use squall_store::cluster::{
    ClusterCheckpoints, ClusterStore, FileCluster, FileClusterConfig, MemoryCluster,
};
use squall_store::{FileStore, MemoryStore, OpenError};
use tempfile::TempDir;

/// Runs a check against each store, on a runtime of its own.
fn check<F: Future<Output = ()>>(test: impl Fn(Arc<dyn CheckpointStore>) -> F) {
    block_on(test(Arc::new(MemoryStore::new())));
    let dir = TempDir::new().unwrap();
    block_on(test(Arc::new(
        FileStore::open(dir.path().join("deep/er/state.redb")).unwrap(),
    )));
    let memory = Arc::new(MemoryCluster::new());
    block_on(async { test(Arc::new(lead(memory).await)).await });
    let path = dir.path().join("cluster/nimbus.redb");
    let file = Arc::new(FileCluster::open(path, FileClusterConfig::default()).unwrap());
    block_on(async { test(Arc::new(lead(file).await)).await });
}

async fn lead(store: Arc<dyn ClusterStore>) -> ClusterCheckpoints {
    let leader_epoch = store.raise_leader_epoch().await.unwrap();
    ClusterCheckpoints::new(store, leader_epoch)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

const fn fence(placement_epoch: u64, incarnation: u64) -> Fence {
    Fence {
        placement_epoch,
        incarnation,
    }
}

fn put(key: &str, expected: Option<u64>, value: &str) -> Write {
    Write {
        key: key.to_owned(),
        expected,
        value: Some(value.into()),
    }
}

fn delete(key: &str, expected: u64) -> Write {
    Write {
        key: key.to_owned(),
        expected: Some(expected),
        value: None,
    }
}

#[test]
fn writes_only_over_the_expected_version() {
    check(|store| async move {
        let one = fence(1, 1);
        assert_eq!(store.load("a").await.unwrap(), None);
        assert_eq!(
            store.commit(one, vec![put("a", None, "1")]).await.unwrap(),
            [1]
        );
        assert_eq!(
            store
                .commit(one, vec![put("a", Some(1), "2")])
                .await
                .unwrap(),
            [2]
        );
        for stale in [None, Some(1), Some(3)] {
            let refused = store.commit(one, vec![put("a", stale, "x")]).await;
            let Err(StoreError::Conflict {
                key,
                expected,
                found,
            }) = refused
            else {
                panic!("{refused:?}");
            };
            assert_eq!((key.as_str(), expected, found), ("a", stale, Some(2)));
        }
        let entry = store.load("a").await.unwrap().unwrap();
        assert_eq!(
            entry,
            Entry {
                value: b"2".into(),
                version: 2,
                fence: one
            }
        );
    });
}

#[test]
fn an_older_fence_writes_nothing_and_a_newer_one_takes_over() {
    check(|store| async move {
        store
            .commit(fence(2, 5), vec![put("a", None, "1")])
            .await
            .unwrap();
        for older in [fence(1, 9), fence(2, 4)] {
            let refused = store.commit(older, vec![put("a", Some(1), "x")]).await;
            assert!(
                matches!(refused, Err(StoreError::Fenced { found, .. }) if found == fence(2, 5))
            );
            let refused = store.commit(older, vec![delete("a", 1)]).await;
            assert!(matches!(refused, Err(StoreError::Fenced { .. })));
        }
        store
            .commit(fence(3, 0), vec![put("a", Some(1), "2")])
            .await
            .unwrap();
        let refused = store
            .commit(fence(2, 5), vec![put("a", Some(2), "x")])
            .await;
        assert!(matches!(refused, Err(StoreError::Fenced { .. })));
    });
}

#[test]
fn a_commit_is_all_or_nothing() {
    check(|store| async move {
        let one = fence(1, 1);
        store
            .commit(one, vec![put("b", None, "old")])
            .await
            .unwrap();
        let writes = vec![
            put("a", None, "1"),
            put("b", Some(7), "new"),
            put("c", None, "1"),
        ];
        assert!(store.commit(one, writes).await.is_err());
        assert_eq!(store.load("a").await.unwrap(), None);
        assert_eq!(store.load("c").await.unwrap(), None);
        let writes = vec![
            put("a", None, "1"),
            put("b", Some(1), "new"),
            put("c", None, "1"),
        ];
        assert_eq!(store.commit(one, writes).await.unwrap(), [1, 2, 1]);
    });
}

#[test]
fn deletes_and_begins_again() {
    check(|store| async move {
        let one = fence(1, 1);
        store.commit(one, vec![put("a", None, "1")]).await.unwrap();
        assert!(store.commit(one, vec![delete("a", 2)]).await.is_err());
        assert_eq!(store.commit(one, vec![delete("a", 1)]).await.unwrap(), [0]);
        assert_eq!(store.load("a").await.unwrap(), None);
        assert_eq!(
            store.commit(one, vec![put("a", None, "2")]).await.unwrap(),
            [1]
        );
    });
}

#[test]
fn lists_a_prefix_in_order() {
    check(|store| async move {
        let keys = ["app/s/b", "app/s/a", "app/s", "app/t/a", "ap", "app/sé/ü"];
        let writes = keys.iter().map(|key| put(key, None, key)).collect();
        store.commit(fence(1, 1), writes).await.unwrap();
        let listed = |prefix: &'static str| {
            let store = Arc::clone(&store);
            async move {
                let entries = store.list(prefix).await.unwrap();
                entries.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
            }
        };
        assert_eq!(listed("app/s/").await, ["app/s/a", "app/s/b"]);
        assert_eq!(
            listed("app/s").await,
            ["app/s", "app/s/a", "app/s/b", "app/sé/ü"]
        );
        assert_eq!(listed("").await.len(), keys.len());
        assert!(listed("zzz").await.is_empty());
    });
}

#[test]
fn refuses_what_is_out_of_bounds() {
    check(|store| async move {
        let long_key = "k".repeat(MAX_KEY_BYTES + 1);
        let big = Write {
            key: "a".to_owned(),
            expected: None,
            value: Some(vec![0; MAX_VALUE_BYTES + 1]),
        };
        let many = (0..=MAX_WRITES_PER_COMMIT).map(|n| put(&n.to_string(), None, "x"));
        let refused = [
            vec![put("", None, "x")],
            vec![put(&long_key, None, "x")],
            vec![big],
            vec![put("a", None, "x"), put("a", None, "y")],
            many.collect(),
        ];
        for writes in refused {
            let answer = store.commit(fence(1, 1), writes).await;
            assert!(matches!(answer, Err(StoreError::Invalid(_))), "{answer:?}");
        }
        assert!(store.list("").await.unwrap().is_empty());
        let fits = Write {
            key: "k".repeat(MAX_KEY_BYTES),
            expected: None,
            value: Some(vec![7; MAX_VALUE_BYTES]),
        };
        store.commit(fence(1, 1), vec![fits]).await.unwrap();
    });
}

#[test]
fn commits_made_at_once_are_all_answered_and_one_of_each_key_wins() {
    check(|store| async move {
        let commits = (0..200).map(|n: u64| {
            let store = Arc::clone(&store);
            async move {
                let key = (n % 50).to_string();
                store
                    .commit(fence(1, n), vec![put(&key, None, "x")])
                    .await
                    .is_ok()
            }
        });
        let mut set = tokio::task::JoinSet::new();
        let local = tokio::task::LocalSet::new();
        commits.for_each(|commit| {
            set.spawn_local_on(commit, &local);
        });
        let won = local.run_until(set.join_all()).await;
        assert_eq!(won.iter().filter(|won| **won).count(), 50);
        assert_eq!(store.list("").await.unwrap().len(), 50);
    });
}

#[test]
fn entries_survive_reopening() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("state.redb");
    let store = FileStore::open(&path).unwrap();
    assert_eq!(store.location(), path.display().to_string());
    block_on(store.commit(fence(3, 4), vec![put("a", None, "1")])).unwrap();
    block_on(store.commit(fence(3, 4), vec![put("a", Some(1), "2")])).unwrap();
    drop(store);
    let store = FileStore::open(&path).unwrap();
    let entry = block_on(store.load("a")).unwrap().unwrap();
    assert_eq!(
        (entry.value.as_slice(), entry.version, entry.fence),
        (&b"2"[..], 2, fence(3, 4))
    );
}

#[test]
fn a_file_in_use_or_damaged_is_named() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("state.redb");
    let first = FileStore::open(&path).unwrap();
    assert!(
        matches!(FileStore::open(&path), Err(OpenError::InUse { path: named }) if named == path)
    );
    drop(first);
    std::fs::write(&path, "not a store at all".repeat(1000)).unwrap();
    assert!(matches!(
        FileStore::open(&path),
        Err(OpenError::Corrupt { .. })
    ));
    let below_a_file = path.join("state.redb");
    assert!(matches!(
        FileStore::open(below_a_file),
        Err(OpenError::Io { .. })
    ));
}

#[test]
fn a_file_that_a_killed_process_left_half_made_is_made_again() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("state.redb");
    let only_a_head = {
        let mut bytes = vec![0; 1 << 20];
        bytes[9..300].fill(7);
        bytes
    };
    for left in [vec![0; 1 << 20], only_a_head.clone()] {
        std::fs::write(&path, left).unwrap();
        let store = FileStore::open(&path).unwrap();
        block_on(store.commit(fence(1, 1), vec![put("a", None, "1")])).unwrap();
        assert!(matches!(
            FileStore::open(&path),
            Err(OpenError::InUse { .. })
        ));
        drop(store);
        let store = FileStore::open(&path).unwrap();
        assert!(block_on(store.load("a")).unwrap().is_some());
    }
    // What holds more than a head is somebody's.
    let mut foreign = only_a_head;
    foreign[70_000] = 1;
    std::fs::write(&path, &foreign).unwrap();
    let opened = FileStore::open(&path);
    assert!(matches!(opened, Err(OpenError::Corrupt { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), foreign);
}

/// One step of the random test: some writes under one fence, each by (key, version offset, value).
type Step = (u64, Vec<(u8, i8, Option<u8>)>);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let expected = prop_oneof![8 => Just(0_i8), 1 => Just(-1_i8), 1 => Just(1_i8)];
    let write = (
        0..6_u8,
        expected,
        proptest::option::weighted(0.8, any::<u8>()),
    );
    proptest::collection::vec((0..4_u64, proptest::collection::vec(write, 1..4)), 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn stores_agree_with_a_plain_map(steps in steps()) {
        check(|store| {
            let steps = steps.clone();
            async move {
                let mut model = BTreeMap::<String, Entry>::new();
                for (incarnation, writes) in steps {
                    let writes = named(&model, &writes);
                    let fence = fence(1, incarnation);
                    let expected = model_commit(&mut model, fence, &writes);
                    let got = store.commit(fence, writes).await;
                    assert_eq!(got.ok(), expected);
                    let listed = store.list("").await.unwrap();
                    assert_eq!(listed, model.clone().into_iter().collect::<Vec<_>>());
                }
            }
        });
    }
}

fn named(model: &BTreeMap<String, Entry>, writes: &[(u8, i8, Option<u8>)]) -> Vec<Write> {
    let name = |(key, offset, value): &(u8, i8, Option<u8>)| {
        let key = format!("k{key}");
        let version = model.get(&key).map_or(0, |entry| entry.version);
        let expected = version.saturating_add_signed(i64::from(*offset));
        Write {
            expected: (expected > 0).then_some(expected),
            key,
            value: value.map(|byte| vec![byte]),
        }
    };
    writes.iter().map(name).collect()
}

fn model_commit(
    model: &mut BTreeMap<String, Entry>,
    fence: Fence,
    writes: &[Write],
) -> Option<Vec<u64>> {
    let before = model.clone();
    let mut versions = Vec::new();
    let distinct: std::collections::BTreeSet<_> = writes.iter().map(|write| &write.key).collect();
    let legal = distinct.len() == writes.len()
        && writes.iter().all(|write| {
            let stored = before.get(&write.key);
            stored.map(|entry| entry.version) == write.expected
                && stored.is_none_or(|entry| entry.fence <= fence)
        });
    for Write {
        key,
        expected,
        value,
    } in legal.then_some(writes)?
    {
        let version = expected.unwrap_or(0) + 1;
        match value {
            Some(value) => {
                let entry = Entry {
                    value: value.clone(),
                    version,
                    fence,
                };
                model.insert(key.clone(), entry);
                versions.push(version);
            }
            None => {
                model.remove(key);
                versions.push(0);
            }
        }
    }
    Some(versions)
}
