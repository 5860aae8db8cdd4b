//! What nimbus does when it, its store or its supervisors fail.

use std::sync::atomic::Ordering;
use std::time::Duration;

use squall_daemon::shutdown::{Shutdown, ShutdownBounds};
use squall_nimbus::{KeepError, Nimbus, NimbusConfig, NimbusError};
use squall_proto::{Phase, RefusalCode, SupervisorReport};
use squall_store::cluster::{ClusterError, ClusterStore};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};
use tonic::transport::Channel;

use crate::harness::{Bench, Operator, PATIENCE, program, submission};
use crate::supervisor::{Supervisor, attend, hello, status};

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_changes_nothing_for_those_who_run() {
    let mut bench = Bench::new().await;
    let a = Supervisor::start(bench.coordination().await, hello("a")).await;
    bench.operator().await.run("words", 3).await;
    let before = a.phase(Phase::Active).await;
    bench.stop().await;
    drop(a);
    bench.start().await;
    let a = Supervisor::start(bench.coordination().await, hello("a")).await;
    let first = a.until("an order", |_| true).await;
    let after = a
        .until("all ready", |order| order.topologies[0].all_ready)
        .await;
    for order in [first, after] {
        assert_eq!(
            order.topologies[0].assignment,
            before.topologies[0].assignment
        );
        assert_eq!(
            order.topologies[0].phase,
            Phase::Active,
            "spouts were paused"
        );
        assert_eq!(order.leader_epoch, before.leader_epoch + 1);
        assert_eq!(order.handshake.cluster, before.handshake.cluster);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_the_submit_keeps_the_rest_and_recovers_by_itself() {
    let bench = Bench::new().await;
    let a = Supervisor::start(bench.coordination().await, hello("a")).await;
    let mut operator = bench.operator().await;
    operator.run("words", 1).await;
    a.phase(Phase::Active).await;
    assert_eq!(bench.http("/healthz").await.0, "HTTP/1.1 200 OK");

    bench
        .store
        .set_fault(Some(ClusterError::Full("no room on the disk".to_owned())));
    let refusal = operator.submit(submission("more", 1)).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::StorageFull);
    assert!(refusal.message.as_str().contains("no room on the disk"));
    let (status, page) = bench.http("/healthz").await;
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
    assert!(page.contains("no room on the disk"), "{page}");
    assert_eq!(operator.list().await.len(), 1);
    assert_eq!(operator.describe("words").await.unwrap().workers.len(), 1);
    let refusal = operator.kill("words", Duration::ZERO).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::StorageFull);

    bench.store.set_fault(None);
    // It says so by itself, and leaves nothing of how it found out.
    let deadline = Instant::now() + PATIENCE;
    while bench.http("/healthz").await.0 != "HTTP/1.1 200 OK" {
        assert!(Instant::now() < deadline, "it calls itself ill");
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(bench.store.get("cluster/probe").await, Ok(None));
    operator.submit(submission("more", 1)).await.unwrap();
    a.until("both", |order| order.topologies.len() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_unknown_fate_is_looked_up() {
    let bench = Bench::new().await;
    let a = Supervisor::start(bench.coordination().await, hello("a")).await;
    let mut operator = bench.operator().await;
    operator.upload(&program()).await.unwrap();
    a.until("an order", |_| true).await;
    bench.loses_answer.store(true, Ordering::SeqCst);
    let refusal = operator.submit(submission("words", 1)).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Unavailable);
    // It was kept: nimbus finds out by itself.
    operator.until("the topology", |list| list.len() == 1).await;
    let refusal = operator.submit(submission("words", 1)).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::AlreadyRunning);
    a.phase(Phase::Active).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nimbus_that_another_one_has_replaced_ends() {
    let mut bench = Bench::new().await;
    let mut operator = bench.operator().await;
    operator.upload(&program()).await.unwrap();
    bench.store.raise_leader_epoch().await.unwrap();
    let refusal = operator.submit(submission("words", 1)).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Unavailable);
    let outcome = bench.outcome().await;
    assert!(
        matches!(
            outcome,
            Err(NimbusError::Keep(KeepError::NotLeading { .. }))
        ),
        "{outcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_of_a_supervisor_that_dies_run_elsewhere_within_the_bound() {
    let bench = Bench::with(|config| {
        config.supervisor_timeout = "1s".parse().unwrap();
    })
    .await;
    let a = Supervisor::start(bench.coordination().await, hello("a")).await;
    let b = Supervisor::start(bench.coordination().await, hello("b")).await;
    let mut operator = bench.operator().await;
    operator.run("words", 2).await;
    a.phase(Phase::Active).await;
    let before = b.phase(Phase::Active).await;
    let began = Instant::now();
    a.kill();
    let b_id = "b".into();
    let after = b
        .until("both workers", |order| order.slots_of(&b_id).count() == 2)
        .await;
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    let epoch = |order: &squall_proto::SupervisorOrder, idx: usize| {
        order.topologies[0].assignment.workers[idx].placement_epoch
    };
    assert!(epoch(&after, 0) > epoch(&before, 0), "the one that moved");
    assert_eq!(epoch(&after, 1), epoch(&before, 1), "the one that stayed");
    assert_eq!(after.topologies[0].phase, Phase::Active);
    let supervisors = operator.supervisors().await;
    assert_eq!(
        supervisors.iter().map(|s| s.alive).collect::<Vec<_>>(),
        [false, true]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_old_copy_says_does_not_count() {
    let bench = Bench::with(|config| {
        config.supervisor_timeout = "1s".parse().unwrap();
    })
    .await;
    let a = Supervisor::start(bench.coordination().await, hello("a")).await;
    let mut operator = bench.operator().await;
    operator.run("words", 2).await;
    let old = a.phase(Phase::Active).await;
    let b = Supervisor::start(bench.coordination().await, hello("b")).await;
    a.kill();
    b.until("both workers", |order| {
        order.slots_of(&"b".into()).count() == 2
    })
    .await;
    operator
        .until("two ready workers", |list| list[0].n_workers_ready == 2)
        .await;
    // The old supervisor comes back, and its workers run on for a moment.
    let mut client = bench.coordination().await;
    let back = attend(&mut client, SupervisorReport::Hello(hello("a")))
        .await
        .unwrap();
    let stale = SupervisorReport::Status(status(&hello("a"), Some(&old)));
    back.0.send(stale).await.unwrap();
    let before = bench.metric("squall_nimbus_reports_total").await;
    while bench.metric("squall_nimbus_reports_total").await < before + 10 {}
    let description = operator.describe("words").await.unwrap();
    assert!(
        description
            .workers
            .iter()
            .all(|worker| worker.supervisor == "b")
    );
    assert_eq!(description.workers.len(), 2);
    assert_eq!(description.counters.of("count").unwrap().executed, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_stands_on_the_disk() {
    let dir = tempfile::TempDir::new().unwrap();
    let config = NimbusConfig {
        data_dir: dir.path().join("nimbus"),
        port: 0,
        http_port: 0,
        min_free: "0B".parse().unwrap(),
        ..NimbusConfig::default()
    };
    let start = async || {
        let shutdown = Shutdown::new(ShutdownBounds::default());
        let scope = shutdown.scope().clone();
        // Of one that was dropped, connections may hold the store for a moment longer.
        let deadline = Instant::now() + PATIENCE;
        let nimbus = loop {
            match Nimbus::start(config.clone(), scope.clone()).await {
                Err(NimbusError::Store(_)) if Instant::now() < deadline => yield_now().await,
                started => break started.unwrap(),
            }
        };
        let address = format!("http://{}", nimbus.address());
        let running = tokio::spawn(nimbus.run());
        let channel = Channel::from_shared(address)
            .unwrap()
            .connect()
            .await
            .unwrap();
        (shutdown, running, Operator::new(channel))
    };
    let (shutdown, running, mut operator) = start().await;
    let second = Nimbus::start(config.clone(), shutdown.scope().clone()).await;
    assert!(matches!(second, Err(NimbusError::DataDir(_))), "{second:?}");
    let id = operator.run("words", 2).await;
    // No goodbye: the runtime drops it in the middle.
    running.abort();
    drop(running.await);
    shutdown.scope().force();
    shutdown.scope().ended().await;
    drop((shutdown, operator));

    let (shutdown, running, mut operator) = start().await;
    let list = operator.list().await;
    assert_eq!(
        list.iter().map(|t| t.topology.clone()).collect::<Vec<_>>(),
        [id]
    );
    assert!(
        operator.upload(&program()).await.unwrap(),
        "the binary was there"
    );
    shutdown.scope().drain();
    drop(operator);
    running.await.unwrap().unwrap();
}
