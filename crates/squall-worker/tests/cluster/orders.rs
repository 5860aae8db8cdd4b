//! What supervisors order: to wait, to stop, to drain, to end.

use std::time::Duration;

use squall_proto::Phase;
use squall_worker::ExitReason;
use tokio::time::Instant;

use crate::kit::{Cluster, until};

#[tokio::test]
async fn spouts_wait_until_every_worker_is_ready() {
    let mut cluster = Cluster::prepare(3);
    cluster.oracle.allow(1_000);
    cluster
        .supervisor
        .order(|order| order.phase = Phase::Active);
    cluster.launch(0);
    cluster.launch(1);
    let statuses = || cluster.supervisor.n_statuses();
    until("they report", || statuses() >= 4).await;
    let ready = |worker| {
        cluster
            .supervisor
            .status(worker)
            .is_some_and(|status| status.ready)
    };
    assert!(!ready(0) && !ready(1), "worker 2 isn't there");
    assert_eq!(cluster.oracle.n_spouts_opened(), 0);
    cluster.launch(2);
    until("all are ready", || cluster.supervisor.all_ready()).await;
    cluster.seen(1_000).await;
}

#[tokio::test]
async fn an_inactive_topology_emits_nothing_and_goes_on_where_it_was() {
    let cluster = Cluster::start(2);
    cluster.oracle.allow(1_000);
    cluster.seen(1_000).await;
    cluster
        .supervisor
        .order(|order| order.phase = Phase::Inactive);
    let n_statuses = cluster.supervisor.n_statuses();
    until("the order has arrived", || {
        cluster.supervisor.n_statuses() > n_statuses + 2
    })
    .await;
    cluster.oracle.allow(2_000);
    let n_statuses = cluster.supervisor.n_statuses();
    until("time goes by", || {
        cluster.supervisor.n_statuses() > n_statuses + 2
    })
    .await;
    assert_eq!(cluster.oracle.n_seen(), 1_000);
    cluster
        .supervisor
        .order(|order| order.phase = Phase::Active);
    cluster.seen(2_000).await;
    assert_eq!(cluster.oracle.n_spouts_opened(), 1);
}

#[tokio::test]
async fn a_drained_topology_has_saved_all_and_its_workers_end_cleanly() {
    let mut cluster = Cluster::start(3);
    cluster.oracle.allow(u64::MAX);
    cluster.seen(3_000).await;
    cluster
        .supervisor
        .order(|order| order.phase = Phase::Draining);
    for worker in 0..3 {
        let drained = || {
            cluster
                .supervisor
                .status(worker)
                .is_some_and(|status| status.drained)
        };
        until("it has drained", drained).await;
    }
    let n_seen = cluster.oracle.n_seen();
    assert_eq!(cluster.oracle.n_duplicates(), 0);
    for node in cluster.nodes.values_mut() {
        assert!(node.is_running(), "it stays until it is told");
        node.terminate();
    }
    for node in cluster.nodes.values_mut() {
        assert_eq!(node.ended().await, ExitReason::Drained);
    }
    assert_eq!(cluster.oracle.n_seen(), n_seen);
    assert_eq!(cluster.oracle.n_lost(), 0);
    // All that was done is saved: nothing comes twice.
    cluster
        .supervisor
        .order(|order| order.phase = Phase::Active);
    (0..3).for_each(|worker| drop(cluster.launch(worker)));
    cluster.seen(n_seen + 2_000).await;
    assert_eq!(cluster.oracle.resumed(), [0, n_seen]);
    assert_eq!(cluster.oracle.n_duplicates(), 0);
}

#[tokio::test]
async fn a_component_that_never_returns_keeps_no_worker_from_ending() {
    let mut cluster = Cluster::start(2);
    cluster.oracle.allow(5_000);
    cluster.seen(1_000).await;
    cluster.oracle.block(true);
    let told = Instant::now();
    let node = cluster.nodes.get_mut(&0).unwrap();
    node.terminate();
    let reason = node.ended().await;
    assert!(
        matches!(reason, ExitReason::Clean { n_pending: 1.. }),
        "{reason}"
    );
    // Supervisors kill after 5 s.
    let took = told.elapsed();
    assert!(took < Duration::from_millis(4_800), "{took:?}");
    cluster.oracle.block(false);
}

#[tokio::test]
async fn sigterm_in_the_middle_of_it_drains_what_it_can() {
    let mut cluster = Cluster::start(3);
    cluster.oracle.allow(u64::MAX);
    cluster.seen(2_000).await;
    // The source's worker: its own trees finish with the others' help.
    let node = cluster.nodes.get_mut(&0).unwrap();
    node.terminate();
    assert_eq!(node.ended().await, ExitReason::Drained);
    assert_eq!(cluster.oracle.n_lost(), 0);
    cluster.nodes.remove(&0);
    let n_seen = cluster.oracle.n_seen();
    cluster.launch(0);
    cluster.seen(n_seen + 2_000).await;
    assert_eq!(cluster.oracle.resumed(), [0, n_seen]);
}

#[tokio::test]
async fn a_source_that_gives_up_ends_its_worker_with_its_words() {
    let mut cluster = Cluster::start(3);
    cluster.oracle.allow(2_000);
    cluster.seen(2_000).await;
    cluster.oracle.break_source();
    let reason = cluster.nodes.get_mut(&0).unwrap().ended().await.to_string();
    assert!(
        reason.starts_with("failed: ") && reason.contains("the stream is gone"),
        "{reason}"
    );
    for worker in [1, 2] {
        assert!(cluster.nodes.get_mut(&worker).unwrap().is_running());
    }
}

#[tokio::test]
async fn a_worker_that_nobody_knows_ends() {
    let mut cluster = Cluster::prepare(2);
    let launch = cluster.next_launch(0);
    let registry = cluster.oracle.registry();
    let mut stranger = crate::kit::Node::start(launch, &registry);
    let reason = stranger.ended().await.to_string();
    assert!(
        reason.contains("nobody has started this worker"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_component_that_blocks_shows_and_holds_up_no_report() {
    let cluster = Cluster::start(2);
    cluster.oracle.allow(5_000);
    cluster.seen(1_000).await;
    cluster.oracle.block(true);
    let turn_ms = |worker| {
        cluster
            .supervisor
            .status(worker)
            .map_or(0, |status| status.oldest_turn_ms)
    };
    until("it shows", || turn_ms(0).max(turn_ms(1)) >= 1_500).await;
    cluster.oracle.block(false);
    cluster.seen(5_000).await;
    until("it is over", || turn_ms(0).max(turn_ms(1)) < 1_000).await;
    assert_eq!(cluster.oracle.n_lost(), 0);
}
