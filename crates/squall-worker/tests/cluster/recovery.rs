//! Workers that are killed, superseded and cut off from those above them: every number is seen.

use std::time::Duration;

use squall_proto::Phase;
use squall_worker::ExitReason;
use tokio::time::Instant;

use crate::kit::{Cluster, free_address, until};

/// Lets the topology finish what is allowed, and checks that nothing was lost and nothing timed out.
async fn finish(cluster: &Cluster, n_numbers: u64) {
    cluster.oracle.allow(n_numbers);
    cluster.seen(n_numbers).await;
    let nothing_pending = || cluster.sum(|component| component.pending) == 0;
    until("nothing is pending", nothing_pending).await;
    assert_eq!(cluster.oracle.n_seen(), n_numbers);
    assert_eq!(cluster.oracle.n_timed_out(), 0);
    assert_eq!(cluster.sum(|component| component.failed.timed_out), 0);
}

#[tokio::test]
async fn workers_in_three_processes_do_what_one_does() {
    let cluster = Cluster::start(3);
    finish(&cluster, 20_000).await;
    assert_eq!(cluster.oracle.n_duplicates(), 0);
    assert_eq!(cluster.oracle.n_lost(), 0);
    until("the counters are told", || {
        cluster.sum(|c| c.acked) >= 3 * 20_000
    })
    .await;
    assert_eq!(cluster.sum(|component| u64::from(component.n_tasks)), 6);
}

#[tokio::test]
async fn whoever_is_killed_is_started_again_and_nobody_else_is() {
    let mut cluster = Cluster::start(3);
    let mut n_allowed = 0;
    // The source is with worker 0.
    for victim in [1, 2, 0, 2, 1] {
        n_allowed += 5_000;
        cluster.oracle.allow(n_allowed);
        cluster.seen(n_allowed - 4_000).await;
        let n_lost = cluster.oracle.n_lost();
        cluster.kill(victim);
        cluster.launch(victim);
        if victim > 0 {
            let oracle = cluster.oracle.clone();
            until("the fault has hit something", || oracle.n_lost() > n_lost).await;
        }
    }
    finish(&cluster, n_allowed + 5_000).await;
    let hellos = cluster.supervisor.hellos();
    let mut starts: Vec<_> = hellos.clone();
    starts.dedup();
    starts.sort_unstable();
    starts.dedup();
    assert_eq!(starts.len(), 3 + 5, "{hellos:?}");
    assert_eq!(cluster.oracle.n_spouts_opened(), 2);
    let resumed = cluster.oracle.resumed();
    assert_eq!(resumed[0], 0);
    assert!(resumed[1] > 0, "the source began anew: {resumed:?}");
}

#[tokio::test]
async fn what_was_lost_is_seen_again_long_before_its_time_out() {
    let mut cluster = Cluster::start(3);
    cluster.oracle.allow(4_000);
    cluster.seen(4_000).await;
    cluster.oracle.allow(8_000);
    cluster.kill(2);
    let killed = Instant::now();
    cluster.launch(2);
    cluster.seen(8_000).await;
    // The message timeout is 30 s.
    assert!(
        killed.elapsed() < Duration::from_secs(15),
        "{:?}",
        killed.elapsed()
    );
}

#[tokio::test]
async fn a_worker_that_moves_is_found_and_its_old_copy_ends() {
    let mut cluster = Cluster::start(3);
    cluster.oracle.allow(3_000);
    cluster.seen(2_000).await;
    // Its machine is cut off: it runs on, and hears nothing of that.
    let moved = free_address();
    cluster.supervisor.order(|order| {
        order.assignment.version = 2;
        let placement = &mut order.assignment.workers[2];
        placement.address = moved;
        placement.placement_epoch = 2;
    });
    let mut old = cluster.launch(2).unwrap();
    let reason = old.ended().await;
    assert!(matches!(reason, ExitReason::Superseded { .. }), "{reason}");
    finish(&cluster, 8_000).await;
    for worker in 0..2 {
        assert!(cluster.nodes.get_mut(&worker).unwrap().is_running());
    }
}

#[tokio::test]
async fn an_old_copy_that_nobody_tells_is_refused_by_its_peers_and_ends() {
    let mut cluster = Cluster::start(3);
    cluster.oracle.allow(3_000);
    cluster.seen(2_000).await;
    // The supervisor is gone as well, so that only its peers can tell the old copy.
    cluster.serves_local = None;
    let launch = cluster.next_launch(2);
    let bind_address = free_address();
    let mut assignment = launch.assignment.clone();
    assignment.workers[2].address = bind_address.clone();
    let newer = squall_proto::Launch {
        assignment,
        bind_address,
        ..launch
    };
    let registry = cluster.oracle.registry();
    let _newer = crate::kit::Node::start(newer, &registry);
    let reason = cluster.nodes.get_mut(&2).unwrap().ended().await.to_string();
    assert!(
        reason.starts_with("superseded: a newer copy runs: epoch 1, incarnation 4"),
        "{reason}"
    );
}

#[tokio::test]
async fn tuples_flow_on_while_the_supervisor_is_away() {
    let mut cluster = Cluster::start(3);
    cluster.oracle.allow(2_000);
    cluster.seen(2_000).await;
    cluster.serves_local = None;
    cluster.oracle.allow(6_000);
    cluster.seen(6_000).await;
    let n_hellos = cluster.supervisor.hellos().len();
    let address = cluster.supervisor_address.clone();
    cluster.serves_local = Some(cluster.supervisor.serve(&address));
    until("they come back", || {
        cluster.supervisor.hellos().len() == n_hellos + 3
    })
    .await;
    cluster
        .supervisor
        .order(|order| order.phase = Phase::Inactive);
    cluster
        .supervisor
        .order(|order| order.phase = Phase::Active);
    finish(&cluster, 7_000).await;
    assert_eq!(cluster.oracle.n_spouts_opened(), 1);
    assert_eq!(cluster.oracle.n_lost(), 0);
}

#[tokio::test]
async fn tuples_flow_on_while_nimbus_is_away_and_a_restarted_source_waits_for_it() {
    let mut cluster = Cluster::start(3);
    cluster.oracle.allow(2_000);
    cluster.seen(2_000).await;
    let kept = cluster.nimbus.clone();
    until("a checkpoint is kept", || {
        !kept.kept.lock().unwrap().entries.is_empty()
    })
    .await;
    cluster.serves_checkpoints = None;
    cluster.oracle.allow(4_000);
    cluster.seen(4_000).await;
    cluster.kill(0);
    cluster.launch(0);
    let opened = cluster.oracle.clone();
    until("the source is opened again", || {
        opened.n_spouts_opened() == 2
    })
    .await;
    cluster.oracle.allow(6_000);
    assert_eq!(cluster.oracle.resumed().len(), 1);
    assert_eq!(cluster.oracle.n_seen(), 4_000);
    let address = cluster.nimbus_address.clone();
    cluster.serves_checkpoints = Some(cluster.nimbus.serve(&address));
    finish(&cluster, 6_000).await;
    let resumed = cluster.oracle.resumed();
    assert!(resumed[1] > 0 && resumed[1] <= 2_000, "{resumed:?}");
}
