//! The store of checkpoints over real connections, and a nimbus that is away or plays tricks.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use squall_core::engine::WorkerIdx;
use squall_core::{CheckpointStore, Fence, StoreError, TopologyId, Write};
use squall_proto::limits::CHECKPOINT_DEADLINE;
use squall_proto::{Address, CheckpointClient, Refusal};
use squall_worker::{Nimbus, NimbusCheckpoints};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::kit::{CLUSTER, FakeNimbus, TokioClock, Trick, free_address};

const FENCE: Fence = Fence {
    placement_epoch: 2,
    incarnation: 5,
};

/// A store, and who hears that the worker is superseded.
struct Place {
    store: NimbusCheckpoints,
    superseded: watch::Receiver<Option<Fence>>,
}

fn place(addresses: Vec<Address>) -> Place {
    let client = CheckpointClient {
        cluster: CLUSTER,
        topology: TopologyId::new("numbers-1"),
        worker: WorkerIdx(0),
        fence: FENCE,
    };
    let (superseded, heard) = watch::channel(None);
    let nimbus = Nimbus::new(client, addresses, Arc::new(superseded), 1);
    let (store, committing) = NimbusCheckpoints::new(nimbus, Arc::new(TokioClock::new()));
    tokio::spawn(committing);
    Place {
        store,
        superseded: heard,
    }
}

fn write(key: &str, expected: Option<u64>, value: &str) -> Write {
    Write {
        key: key.to_owned(),
        expected,
        value: Some(value.as_bytes().to_vec()),
    }
}

#[tokio::test]
async fn what_is_committed_is_loaded_and_listed() {
    let (nimbus, address) = (FakeNimbus::default(), free_address());
    let _serving = nimbus.serve(&address);
    let Place { store, .. } = place(vec![address.clone()]);
    assert_eq!(store.location(), format!("nimbus at {address}"));
    assert_eq!(store.load("app/a").await.unwrap(), None);
    let writes: Vec<Write> = (0..10)
        .map(|n| write(&format!("app/{n}"), None, "x"))
        .collect();
    let versions = store.commit(FENCE, writes).await.unwrap();
    assert_eq!(versions, [1; 10]);
    let entry = store.load("app/3").await.unwrap().unwrap();
    assert_eq!(
        (entry.value.as_slice(), entry.version, entry.fence),
        (b"x".as_slice(), 1, FENCE)
    );
    // In four pages.
    let listed = store.list("app/").await.unwrap();
    let keys: Vec<&str> = listed.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(
        keys,
        (0..10).map(|n| format!("app/{n}")).collect::<Vec<_>>()
    );
    let deleted = Write {
        value: None,
        ..write("app/3", Some(1), "")
    };
    assert_eq!(store.commit(FENCE, vec![deleted]).await.unwrap(), [0]);
    assert_eq!(store.list("app/").await.unwrap().len(), 9);
    let other = Fence::default();
    let refused = store
        .commit(other, vec![write("a", None, "")])
        .await
        .unwrap_err();
    assert!(matches!(refused, StoreError::Invalid(_)), "{refused}");
}

#[tokio::test]
async fn commits_of_many_tasks_go_together_and_each_has_its_own_answer() {
    let (nimbus, address) = (FakeNimbus::default(), free_address());
    let _serving = nimbus.serve(&address);
    let Place { store, .. } = place(vec![address]);
    store
        .commit(FENCE, vec![write("0", None, "x")])
        .await
        .unwrap();
    let commits = (0..200).map(|n| store.commit(FENCE, vec![write(&n.to_string(), None, "x")]));
    let started = Instant::now();
    let answers = join_all(commits).await;
    assert!(matches!(
        &answers[0],
        Err(StoreError::Conflict { found: Some(1), .. })
    ));
    assert!(
        answers[1..]
            .iter()
            .all(|answer| *answer.as_ref().unwrap() == [1])
    );
    assert_eq!(nimbus.kept.lock().unwrap().requests, [1, 200]);
    assert!(
        started.elapsed() <= Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn another_address_is_tried_and_the_leader_that_is_named() {
    let (follower, leader) = (FakeNimbus::default(), FakeNimbus::default());
    let (nobody, at_follower, at_leader) = (free_address(), free_address(), free_address());
    let _serving = (follower.serve(&at_follower), leader.serve(&at_leader));
    follower.play(Trick::Refuse(Refusal::not_leader(Some(
        &at_leader.to_string(),
    ))));
    let Place { store, .. } = place(vec![nobody, at_follower]);
    store
        .commit(FENCE, vec![write("a", None, "x")])
        .await
        .unwrap();
    assert_eq!(store.load("a").await.unwrap().unwrap().version, 1);
    assert_eq!(leader.kept.lock().unwrap().entries.len(), 1);
    assert_eq!(follower.kept.lock().unwrap().requests.len(), 0);
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_not_sent_again() {
    let (nimbus, address) = (FakeNimbus::default(), free_address());
    let _serving = nimbus.serve(&address);
    let Place { store, .. } = place(vec![address]);
    nimbus.play(Trick::LoseAnswer);
    let lost = store
        .commit(FENCE, vec![write("a", None, "x")])
        .await
        .unwrap_err();
    assert!(matches!(lost, StoreError::Unavailable(_)), "{lost}");
    assert_eq!(nimbus.kept.lock().unwrap().requests, [1]);
    // It was done, as who repeats it finds out.
    let repeated = store
        .commit(FENCE, vec![write("a", None, "x")])
        .await
        .unwrap_err();
    assert!(
        matches!(repeated, StoreError::Conflict { found: Some(1), .. }),
        "{repeated}"
    );
    assert_eq!(store.load("a").await.unwrap().unwrap().fence, FENCE);
}

#[tokio::test]
async fn a_commit_that_nimbus_could_not_wait_for_is_not_sent_again() {
    let (nimbus, address) = (FakeNimbus::default(), free_address());
    let _serving = nimbus.serve(&address);
    let Place { store, .. } = place(vec![address]);
    // It was in the queue, and may be done yet.
    nimbus.play(Trick::Refuse(Refusal::unavailable("nimbus is stopping")));
    let unknown = store
        .commit(FENCE, vec![write("a", None, "x")])
        .await
        .unwrap_err();
    assert!(matches!(unknown, StoreError::Unavailable(_)), "{unknown}");
    assert_eq!(nimbus.kept.lock().unwrap().requests, [0usize; 0]);
}

#[tokio::test]
async fn what_is_refused_for_now_is_tried_again() {
    let (nimbus, address) = (FakeNimbus::default(), free_address());
    let _serving = nimbus.serve(&address);
    let Place { store, .. } = place(vec![address]);
    for _ in 0..2 {
        nimbus.play(Trick::Refuse(Refusal::storage_full("no space left")));
    }
    assert_eq!(
        store
            .commit(FENCE, vec![write("a", None, "x")])
            .await
            .unwrap(),
        [1]
    );
    nimbus.play(Trick::Refuse(Refusal::unavailable("starting")));
    assert!(store.load("a").await.unwrap().is_some());
}

#[tokio::test]
async fn an_old_copy_is_told_who_is_newer() {
    let newer = Fence {
        placement_epoch: 3,
        incarnation: 1,
    };
    let (nimbus, address) = (FakeNimbus::default(), free_address());
    let _serving = nimbus.serve(&address);
    let Place { store, superseded } = place(vec![address]);
    nimbus.play(Trick::Refuse(Refusal::stale_fence(FENCE, newer)));
    let refused = store
        .commit(FENCE, vec![write("a", None, "x")])
        .await
        .unwrap_err();
    let StoreError::Fenced { key, found } = refused else {
        panic!("{refused}");
    };
    assert_eq!((key.as_str(), found), ("a", newer));
    assert_eq!(*superseded.borrow(), Some(newer));
}

#[tokio::test(start_paused = true)]
async fn a_nimbus_that_is_away_makes_the_store_unavailable_within_the_deadline() {
    let Place { store, .. } = place(vec![free_address(), free_address()]);
    for _ in 0..3 {
        let started = Instant::now();
        let away = store.load("a").await.unwrap_err();
        assert!(matches!(away, StoreError::Unavailable(_)), "{away}");
        let took = started.elapsed();
        assert!(
            took >= CHECKPOINT_DEADLINE && took <= CHECKPOINT_DEADLINE * 11 / 10,
            "{took:?}"
        );
        let away = store
            .commit(FENCE, vec![write("a", None, "x")])
            .await
            .unwrap_err();
        assert!(matches!(away, StoreError::Unavailable(_)), "{away}");
    }
}

#[tokio::test]
async fn a_nimbus_that_comes_back_in_time_is_found() {
    let (nimbus, address) = (FakeNimbus::default(), free_address());
    let Place { store, .. } = place(vec![address.clone()]);
    let store = Arc::new(store);
    let (reader, writer) = (store.clone(), store.clone());
    let loading = tokio::spawn(async move { reader.load("a").await });
    let writes = vec![write("b", None, "x")];
    let committing = tokio::spawn(async move { writer.commit(FENCE, writes).await });
    sleep(Duration::from_millis(300)).await;
    assert!(!loading.is_finished() && !committing.is_finished());
    let serving = nimbus.serve(&address);
    assert_eq!(loading.await.unwrap().unwrap(), None);
    assert_eq!(committing.await.unwrap().unwrap(), [1]);
    drop(serving);
    let _serving = nimbus.serve(&address);
    assert_eq!(store.load("b").await.unwrap().unwrap().version, 1);
}
