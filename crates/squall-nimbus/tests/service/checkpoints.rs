//! Checkpoints: who may write them, and how seldom they are written.

use std::time::Duration;

use squall_core::engine::WorkerIdx;
use squall_core::{Fence, Write};
use squall_proto::wire::checkpoints_client::CheckpointsClient;
use squall_proto::{
    CheckpointClient, CheckpointOutcome, CheckpointPage, ClusterId, CommitCheckpoints,
    ListCheckpoints, LoadCheckpoint, Phase, Refusal, RefusalCode, wire,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tonic::transport::Channel;

use crate::harness::Bench;
use crate::supervisor::{Supervisor, hello};

fn put(key: &str, expected: Option<u64>, value: &str) -> Write {
    Write {
        key: key.to_owned(),
        expected,
        value: Some(value.into()),
    }
}

/// A worker that saves checkpoints.
#[derive(Clone)]
struct Saver {
    client: CheckpointsClient<Channel>,
    who: CheckpointClient,
}

impl Saver {
    async fn commit(
        &mut self,
        commits: Vec<Vec<Write>>,
    ) -> Result<Vec<CheckpointOutcome>, Refusal> {
        let client = self.who.clone();
        let request = CommitCheckpoints { client, commits };
        let answer = self
            .client
            .commit_checkpoints(wire::CommitCheckpointsRequest::from(request))
            .await?;
        Ok(answer.into_inner().try_into()?)
    }

    async fn load(&mut self, key: &str) -> Result<Option<(String, u64)>, Refusal> {
        let request = LoadCheckpoint {
            client: self.who.clone(),
            key: key.to_owned(),
        };
        let answer = self
            .client
            .load_checkpoint(wire::LoadCheckpointRequest::from(request))
            .await?;
        let entry = answer.into_inner().entry;
        Ok(entry.map(|entry| (String::from_utf8(entry.value).unwrap(), entry.version)))
    }

    async fn list(&mut self, prefix: &str) -> Result<CheckpointPage, Refusal> {
        let request = ListCheckpoints {
            client: self.who.clone(),
            prefix: prefix.to_owned(),
            after: None,
        };
        let answer = self
            .client
            .list_checkpoints(wire::ListCheckpointsRequest::from(request))
            .await?;
        Ok(answer.into_inner().try_into()?)
    }

    fn with(&self, change: impl FnOnce(&mut CheckpointClient)) -> Self {
        let mut other = self.clone();
        change(&mut other.who);
        other
    }
}

/// A topology with a worker in every slot of one supervisor, and the first of its workers.
async fn saver(bench: &Bench) -> (Supervisor, Saver) {
    let a = Supervisor::start(bench.coordination().await, hello("a")).await;
    let topology = bench.operator().await.run("words", 4).await;
    let order = a.phase(Phase::Active).await;
    let who = CheckpointClient {
        cluster: order.handshake.cluster.unwrap(),
        topology,
        worker: WorkerIdx(0),
        fence: Fence {
            placement_epoch: order.topologies[0].assignment.workers[0].placement_epoch,
            incarnation: 7,
        },
    };
    let client = bench.checkpoints().await;
    (a, Saver { client, who })
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_are_compared_and_answered_each_for_itself() {
    let bench = Bench::new().await;
    let (_a, mut saver) = saver(&bench).await;
    let outcomes = saver
        .commit(vec![
            vec![put("app/s/1", None, "a"), put("app/s/2", None, "b")],
            vec![put("app/t/1", None, "c")],
        ])
        .await
        .unwrap();
    let committed = |versions: &[u64]| CheckpointOutcome::Committed(versions.to_vec());
    assert_eq!(outcomes, [committed(&[1, 1]), committed(&[1])]);
    let outcomes = saver
        .commit(vec![
            vec![put("app/s/1", Some(9), "x")],
            vec![put("app/s/2", Some(1), "y")],
        ])
        .await
        .unwrap();
    assert!(matches!(
        &outcomes[0],
        CheckpointOutcome::Conflict { found: Some(1), .. }
    ));
    assert_eq!(outcomes[1], committed(&[2]));
    assert_eq!(
        saver.load("app/s/1").await.unwrap(),
        Some(("a".to_owned(), 1))
    );
    assert_eq!(saver.load("nothing").await.unwrap(), None);
    let page = saver.list("app/s/").await.unwrap();
    let keys: Vec<_> = page.entries.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!((keys, page.more), (vec!["app/s/1", "app/s/2"], false));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_latest_copy_of_a_worker_may_write() {
    let bench = Bench::new().await;
    let (_a, mut saver) = saver(&bench).await;
    saver.commit(vec![vec![put("k", None, "a")]]).await.unwrap();
    let topology = "gone-9".into();
    let other: ClusterId = "00112233445566778899aabbccddeeff".parse().unwrap();
    let cases = [
        (
            saver.with(|who| who.fence.incarnation = 6),
            RefusalCode::StaleFence,
        ),
        (
            saver.with(|who| who.fence.placement_epoch += 1),
            RefusalCode::UnknownWorker,
        ),
        (
            saver.with(|who| who.worker = WorkerIdx(4)),
            RefusalCode::UnknownWorker,
        ),
        (
            saver.with(|who| who.topology = topology),
            RefusalCode::UnknownWorker,
        ),
        (
            saver.with(|who| who.cluster = other),
            RefusalCode::WrongCluster,
        ),
    ];
    for (mut zombie, code) in cases {
        let refusal = zombie
            .commit(vec![vec![put("k", Some(1), "z")]])
            .await
            .unwrap_err();
        assert_eq!(refusal.code, code);
        assert_eq!(zombie.load("k").await.unwrap_err().code, code);
        assert_eq!(zombie.list("k").await.unwrap_err().code, code);
    }
    // A copy that was started again needn't wait until it is heard of.
    let mut next = saver.with(|who| who.fence.incarnation = 8);
    next.commit(vec![vec![put("k", Some(1), "b")]])
        .await
        .unwrap();
    let outcomes = saver
        .commit(vec![vec![put("k", Some(2), "c")]])
        .await
        .unwrap();
    assert!(matches!(&outcomes[0], CheckpointOutcome::Fenced { .. }));
    assert_eq!(saver.load("k").await.unwrap(), Some(("b".to_owned(), 2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_has_moved_can_not_write_from_where_it_was() {
    let bench = Bench::with(|config| config.supervisor_timeout = "1s".parse().unwrap()).await;
    let (a, mut saver) = saver(&bench).await;
    saver.commit(vec![vec![put("k", None, "a")]]).await.unwrap();
    let b = Supervisor::start(bench.coordination().await, hello("b")).await;
    a.kill();
    b.until("all four workers", |order| {
        order.slots_of(&"b".into()).count() == 4
    })
    .await;
    let refusal = saver
        .commit(vec![vec![put("k", Some(1), "late")]])
        .await
        .unwrap_err();
    assert_eq!(refusal.code, RefusalCode::StaleFence);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_shards_are_saved_by_at_most_twenty_commits_a_second() {
    const N_WORKERS: usize = 100;
    const SHARDS_EACH: usize = 10;
    const SECONDS: u32 = 3;
    let bench = Bench::new().await;
    let (_a, saver) = saver(&bench).await;
    let before = bench.metric("squall_nimbus_checkpoint_commits_total").await;
    let began = Instant::now();
    let mut savers = JoinSet::new();
    for n in 0..N_WORKERS {
        let mut saver = saver.clone();
        savers.spawn(async move {
            // Spread over the second, as real workers are.
            sleep(Duration::from_millis(10 * n as u64)).await;
            for round in 0..SECONDS {
                let expected = (round > 0).then_some(u64::from(round));
                let write = |shard| {
                    vec![put(
                        &format!("app/{n}/{shard}"),
                        expected,
                        "sequence number",
                    )]
                };
                let commits = (0..SHARDS_EACH).map(write).collect();
                let outcomes = saver.commit(commits).await.unwrap();
                let all = outcomes
                    .iter()
                    .all(|o| matches!(o, CheckpointOutcome::Committed(_)));
                assert!(all, "{outcomes:?}");
                sleep_until(began + Duration::from_secs(u64::from(round) + 1)).await;
            }
        });
    }
    while let Some(saved) = savers.join_next().await {
        saved.unwrap();
    }
    let n_commits = bench.metric("squall_nimbus_checkpoint_commits_total").await - before;
    let writes = bench.metric("squall_nimbus_checkpoint_writes_total").await;
    let per_second = n_commits as f64 / began.elapsed().as_secs_f64();
    println!("{writes} writes in {n_commits} commits: {per_second:.1} a second");
    assert_eq!(
        writes,
        (N_WORKERS * SHARDS_EACH) as u64 * u64::from(SECONDS)
    );
    assert!(per_second <= 20.5, "{per_second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_can_not_write_fails_the_call_and_nothing_is_written() {
    let bench = Bench::new().await;
    let (_a, mut saver) = saver(&bench).await;
    let full = squall_store::cluster::ClusterError::Full("no room".to_owned());
    bench.store.set_fault(Some(full));
    let refusal = saver
        .commit(vec![vec![put("k", None, "a")]])
        .await
        .unwrap_err();
    assert_eq!(refusal.code, RefusalCode::StorageFull);
    bench.store.set_fault(None);
    saver.commit(vec![vec![put("k", None, "a")]]).await.unwrap();
}
