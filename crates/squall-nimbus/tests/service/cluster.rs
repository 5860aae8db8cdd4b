//! Supervisors' streams: who may attend, and what they are told.

use squall_proto::{Phase, RefusalCode, SupervisorReport, SupervisorStatus};

use crate::harness::Bench;
use crate::supervisor::{Supervisor, attend, hello};

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_begins_with_a_hello_of_this_cluster_and_of_no_newer_leader() {
    let bench = Bench::new().await;
    let mut client = bench.coordination().await;
    let first = SupervisorReport::Status(SupervisorStatus::default());
    let refusal = attend(&mut client, first).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::BadField);

    let mut stranger = hello("a");
    stranger.handshake.cluster = Some("00112233445566778899aabbccddeeff".parse().unwrap());
    let refusal = attend(&mut client, SupervisorReport::Hello(stranger))
        .await
        .unwrap_err();
    assert_eq!(refusal.code, RefusalCode::WrongCluster);

    let mut newer = hello("a");
    newer.leader_epoch = 2;
    let refusal = attend(&mut client, SupervisorReport::Hello(newer))
        .await
        .unwrap_err();
    assert_eq!(refusal.code, RefusalCode::StaleEpoch);

    let mut other = hello("a");
    other.handshake.protocols = 7..=9;
    let refusal = attend(&mut client, SupervisorReport::Hello(other))
        .await
        .unwrap_err();
    assert_eq!(refusal.code, RefusalCode::WrongProtocol);
    let refusals = bench
        .metric("squall_nimbus_refusals_total{service=\"coordination\"}")
        .await;
    assert_eq!(refusals, 4);
    assert!(bench.operator().await.supervisors().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_answer_is_an_order_with_everything() {
    let bench = Bench::new().await;
    let mut operator = bench.operator().await;
    operator.run("words", 3).await;
    let mut client = bench.coordination().await;
    let (_sender, mut orders) = attend(&mut client, SupervisorReport::Hello(hello("a")))
        .await
        .unwrap();
    let order = orders.message().await.unwrap().unwrap();
    let order = squall_proto::SupervisorOrder::try_from(order).unwrap();
    assert_eq!(order.topologies.len(), 1);
    assert_eq!(order.topologies[0].phase, Phase::Starting);
    assert_eq!(order.slots_of(&"a".into()).count(), 3);
    assert!(order.handshake.cluster.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_stream_of_a_supervisor_replaces_the_older() {
    let bench = Bench::new().await;
    let mut operator = bench.operator().await;
    operator.run("words", 2).await;
    let old = Supervisor::start(bench.coordination().await, hello("a")).await;
    old.phase(Phase::Active).await;
    let new = Supervisor::start(bench.coordination().await, hello("a")).await;
    let refusal = old.refused().await;
    assert!(
        refusal.message.as_str().contains("replaced"),
        "{}",
        refusal.message
    );
    new.phase(Phase::Active).await;
    assert_eq!(operator.supervisors().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_hello_ends_a_stream() {
    let bench = Bench::new().await;
    let mut client = bench.coordination().await;
    let (sender, mut orders) = attend(&mut client, SupervisorReport::Hello(hello("a")))
        .await
        .unwrap();
    orders.message().await.unwrap().unwrap();
    sender
        .send(SupervisorReport::Hello(hello("a")))
        .await
        .unwrap();
    let status = orders.message().await.unwrap_err();
    assert_eq!(
        squall_proto::Refusal::from(status).code,
        RefusalCode::BadField
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_that_never_reads_gets_the_latest_order_when_it_does() {
    let bench = Bench::new().await;
    let mut client = bench.coordination().await;
    let (sender, mut orders) = attend(&mut client, SupervisorReport::Hello(hello("a")))
        .await
        .unwrap();
    let mut operator = bench.operator().await;
    operator.upload(&crate::harness::program()).await.unwrap();
    for n in 0..4 {
        operator
            .submit(crate::harness::submission(&format!("t{n}"), 1))
            .await
            .unwrap();
        sender
            .send(SupervisorReport::Status(SupervisorStatus::default()))
            .await
            .unwrap();
    }
    let mut n_orders = 0;
    loop {
        n_orders += 1;
        let order = orders.message().await.unwrap().unwrap();
        if order.topologies.len() == 4 {
            break;
        }
    }
    assert!(n_orders <= 5);
}
