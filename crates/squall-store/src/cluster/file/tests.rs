//! A cluster store on a disk that fills up, breaks and loses its power.

use std::future::poll_fn;
use std::task::Poll;

use crate::cluster::file::sim::{Fault, SimDisk};
use crate::cluster::{
    ClusterError, ClusterStore, FileCluster, FileClusterConfig, LeaderEpoch, Outcome, Revision,
    Txn, Watch, WatchItem,
};

/// Enough to need new blocks of the disk.
const BIG: usize = 100_000;

fn open(disk: &SimDisk) -> FileCluster {
    let config = FileClusterConfig {
        cache_bytes: 1 << 20,
        ..FileClusterConfig::default()
    };
    FileCluster::open_on(disk.clone(), config).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

/// A value that names a number and is big.
fn value(n: u64) -> Vec<u8> {
    let mut value = vec![0; BIG];
    value[..8].copy_from_slice(&n.to_le_bytes());
    value
}

async fn put(store: &FileCluster, by: LeaderEpoch, n: u64) -> Result<Revision, ClusterError> {
    match store.commit(Txn::new(by).put("a", value(n))).await? {
        Outcome::Committed { revision } => Ok(revision),
        refused => panic!("{refused:?}"),
    }
}

async fn found(store: &FileCluster) -> Result<u64, ClusterError> {
    let stored = store.get("a").await?;
    let number = stored.map_or([0; 8], |stored| stored.value[..8].try_into().unwrap());
    Ok(u64::from_le_bytes(number))
}

/// What a watch has to say right now.
async fn heard(watch: &mut Watch) -> Option<WatchItem> {
    poll_fn(|cx| match watch.poll_next(cx) {
        Poll::Ready(item) => Poll::Ready(item),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// How each commit ended that met a fault, by how often.
#[derive(Debug, Default)]
struct Seen {
    n_committed: usize,
    n_full: usize,
    n_unavailable: usize,
    n_unknown: usize,
    n_reads: usize,
}

/// Lets a commit meet a fault at each operation in turn, and checks that its answer was true, that the watch
/// missed nothing, and that the store goes on once the fault is gone.
fn meet_at_each_operation(fault: Fault) -> Seen {
    let mut seen = Seen::default();
    for n_before in 0..40 {
        let disk = SimDisk::default();
        let store = open(&disk);
        block_on(async {
            let by = store.raise_leader_epoch().await.unwrap();
            let first = put(&store, by, 1).await.unwrap();
            let mut watch = store.watch("", first);
            disk.fail(fault, n_before);
            let answer = put(&store, by, 2).await;
            // With a full disk everything can still be read; with a broken one it depends.
            match found(&store).await {
                Ok(_) => seen.n_reads += 1,
                Err(error) => assert!(matches!(error, ClusterError::Unavailable(_)), "{error:?}"),
            }
            disk.heal();
            let now = found(&store).await.unwrap();
            match answer {
                Ok(_) => {
                    seen.n_committed += 1;
                    assert_eq!(now, 2);
                }
                Err(ClusterError::Full(_)) => {
                    seen.n_full += 1;
                    assert_eq!(now, 1);
                }
                Err(ClusterError::Unavailable(_)) => {
                    seen.n_unavailable += 1;
                    assert_eq!(now, 1);
                }
                Err(ClusterError::Unknown(_)) => {
                    seen.n_unknown += 1;
                    assert!(now == 1 || now == 2);
                }
                Err(other) => panic!("{other:?}"),
            }
            let is_news = heard(&mut watch).await.is_some();
            assert_eq!(is_news, now == 2, "after {n_before} operations");
            let next = put(&store, by, 3).await.unwrap();
            assert_eq!(found(&store).await.unwrap(), 3);
            assert!(matches!(
                heard(&mut watch).await,
                Some(WatchItem::Changed(changes)) if changes[0].revision == next
            ));
        });
        drop(store);
        assert_eq!(block_on(found(&open(&disk))).unwrap(), 3);
    }
    seen
}

#[test]
fn a_full_disk_refuses_commits_and_the_store_recovers_by_itself() {
    let seen = meet_at_each_operation(Fault::Full);
    assert!(seen.n_full > 0 && seen.n_committed > 0, "{seen:?}");
    assert_eq!(seen.n_unavailable + seen.n_unknown, 0, "{seen:?}");
    assert_eq!(seen.n_reads, 40, "{seen:?}");
}

#[test]
fn a_broken_disk_is_told_and_the_store_recovers_by_itself() {
    let seen = meet_at_each_operation(Fault::Broken);
    assert!(seen.n_unavailable + seen.n_unknown > 0, "{seen:?}");
    assert!(seen.n_committed > 0, "{seen:?}");
    assert_eq!(seen.n_full, 0, "{seen:?}");
}

#[test]
fn a_panic_costs_a_commit_and_not_the_store() {
    let seen = meet_at_each_operation(Fault::Panics);
    assert!(seen.n_unknown > 0 && seen.n_committed > 0, "{seen:?}");
    assert_eq!(seen.n_full, 0, "{seen:?}");
}

#[test]
fn a_disk_that_is_all_but_full_takes_only_what_frees_room() {
    let disk = SimDisk::default();
    let store = open(&disk);
    block_on(async {
        let by = store.raise_leader_epoch().await.unwrap();
        put(&store, by, 1).await.unwrap();
        disk.set_free_bytes(FileClusterConfig::default().min_free_bytes - 1);
        let refused = store.commit(Txn::new(by).put("b", "more")).await;
        assert!(matches!(refused, Err(ClusterError::Full(_))), "{refused:?}");
        // A nimbus that starts now leads all the same, and can delete.
        let by = store.raise_leader_epoch().await.unwrap();
        let deleted = store.commit(Txn::new(by).delete("a")).await.unwrap();
        assert!(matches!(deleted, Outcome::Committed { .. }));
        disk.set_free_bytes(FileClusterConfig::default().min_free_bytes);
        put(&store, by, 2).await.unwrap();
    });
}

#[test]
fn a_file_that_is_replaced_under_the_store_is_not_taken_for_its_own() {
    let disk = SimDisk::default();
    let store = open(&disk);
    block_on(async {
        let by = store.raise_leader_epoch().await.unwrap();
        put(&store, by, 1).await.unwrap();
        disk.empty();
        disk.fail(Fault::Broken, 0);
        assert!(put(&store, by, 2).await.is_err());
        disk.heal();
        assert!(matches!(
            put(&store, by, 2).await,
            Err(ClusterError::Unavailable(_))
        ));
    });
}

#[test]
fn what_was_answered_survives_a_power_cut() {
    let mut n_cut_in_commit = 0;
    for seed in 0..150 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let disk = SimDisk::default();
        let store = open(&disk);
        let (by, answered) = block_on(async {
            let by = store.raise_leader_epoch().await.unwrap();
            let n_ops = disk.n_ops();
            for n in 1..=rng.u64(1..4) {
                put(&store, by, n).await.unwrap();
            }
            // The power goes while the next commits are being written.
            disk.fail(Fault::Broken, rng.usize(0..2 * (disk.n_ops() - n_ops)));
            let mut answered = found(&store).await.unwrap();
            while put(&store, by, answered + 1).await.is_ok() {
                answered += 1;
            }
            (by, answered)
        });
        // Of the first store nothing reaches the disk any more, whatever it still does.
        let store = open(&disk.after_power_cut(&mut rng));
        block_on(async {
            let now = found(&store).await.unwrap();
            assert!(
                now == answered || now == answered + 1,
                "seed {seed}: found {now} where {answered} was answered"
            );
            n_cut_in_commit += usize::from(now > answered);
            let next = store.raise_leader_epoch().await.unwrap();
            assert!(next > by, "seed {seed}");
            put(&store, next, now + 1).await.unwrap();
        });
    }
    assert!(n_cut_in_commit > 0, "the power never went during a commit");
}
