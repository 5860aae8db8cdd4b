//! What operators ask, from the upload to the end.

use std::time::Duration;

use squall_proto::{Phase, RefusalCode, TopologyState, wire};
use tonic::Code;

use crate::harness::{Bench, handshake, program, submission};
use crate::supervisor::{Supervisor, hello};

#[tokio::test(flavor = "multi_thread")]
async fn a_topology_runs_from_its_upload_to_its_end() {
    let mut bench = Bench::new().await;
    let a = Supervisor::start(bench.coordination().await, hello("a")).await;
    let b = Supervisor::start(bench.coordination().await, hello("b")).await;
    let mut operator = bench.operator().await;

    let refusal = operator.submit(submission("words", 2)).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::UnknownBlob);
    let mut dry = submission("words", 2);
    dry.dry_run = true;
    let dry = operator.submit(dry).await.unwrap();
    assert_eq!(dry.topology, None);
    assert!(!operator.upload(&program()).await.unwrap());
    assert!(
        operator.upload(&program()).await.unwrap(),
        "it is known by now"
    );
    let planned = operator.submit(submission("words", 2)).await.unwrap();
    assert_eq!(planned.topology.unwrap().as_str(), "words-1");
    assert_eq!(planned.plan, dry.plan);
    let addresses = planned
        .plan
        .assignment
        .workers
        .iter()
        .map(|w| w.address.to_string());
    assert_eq!(
        addresses.collect::<Vec<_>>(),
        ["host-a:6701", "host-b:6701"]
    );
    let reason = planned.plan.reasons[0].reason.as_str();
    assert_eq!(
        reason,
        "new: machine host-a had no worker of the topology yet (2 machines with a free slot)"
    );

    let order = a.phase(Phase::Active).await;
    b.phase(Phase::Active).await;
    assert_eq!(order.topologies[0].topology.n_workers.get(), 2);
    assert_eq!(order.leader_epoch, 1);
    operator
        .until("two ready workers", |list| list[0].n_workers_ready == 2)
        .await;
    let list = operator.list().await;
    assert_eq!(
        (list[0].state, list[0].phase),
        (TopologyState::Active, Phase::Active)
    );
    assert_eq!((list[0].n_tasks, list[0].n_tasks_unplaced), (4, 0));
    let description = operator.describe("words").await.unwrap();
    assert_eq!(description.plan, planned.plan);
    assert_eq!(
        description.counters.components[0].executed, 200,
        "the sum of two workers"
    );
    assert_eq!(description.workers.len(), 2);

    operator
        .kill("words", Duration::from_secs(30))
        .await
        .unwrap();
    operator.until("nothing", <[_]>::is_empty).await;
    a.until("an empty order", |order| order.topologies.is_empty())
        .await;
    let refusal = operator.describe("words").await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::UnknownTopology);
    bench.stop().await;
    assert_eq!(a.refused().await.message.as_str(), "nimbus is stopping");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topology_pauses_spreads_and_leaves_a_machine() {
    let mut bench = Bench::new().await;
    let a = Supervisor::start(bench.coordination().await, hello("a")).await;
    let mut operator = bench.operator().await;
    operator.run("words", 2).await;
    a.phase(Phase::Active).await;
    let set_active = |active| wire::SetActiveRequest {
        name: "words".to_owned(),
        active,
    };
    operator.nimbus.set_active(set_active(false)).await.unwrap();
    a.phase(Phase::Inactive).await;
    operator.nimbus.set_active(set_active(true)).await.unwrap();
    a.phase(Phase::Active).await;

    let b = Supervisor::start(bench.coordination().await, hello("b")).await;
    let rebalance = wire::RebalanceRequest {
        name: "words".to_owned(),
        n_workers: 2,
        wait_ms: 10_000,
        ..wire::RebalanceRequest::default()
    };
    operator.nimbus.rebalance(rebalance).await.unwrap();
    b.phase(Phase::Active).await;
    let drain = |undo| wire::DrainRequest {
        supervisor_id: "b".to_owned(),
        undo,
    };
    let drained = operator
        .nimbus
        .drain(drain(false))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(drained.n_workers, 1);
    b.until("an empty order", |order| order.topologies.is_empty())
        .await;
    let supervisors = operator.supervisors().await;
    let seen: Vec<_> = supervisors
        .iter()
        .map(|s| (s.supervisor.as_str(), s.draining, s.alive))
        .collect();
    assert_eq!(seen, [("a", false, true), ("b", true, true)]);
    assert_eq!(supervisors[0].slots.len(), 4);
    assert_eq!(supervisors[0].disk_free_bytes, 1 << 30);
    let refusal = operator.nimbus.drain(wire::DrainRequest {
        supervisor_id: "c".to_owned(),
        undo: false,
    });
    assert_eq!(refusal.await.unwrap_err().code(), Code::NotFound);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hello_agrees_on_a_protocol_or_says_who_has_to_upgrade() {
    let bench = Bench::new().await;
    let mut operator = bench.operator().await;
    let request = wire::HelloRequest::from(handshake());
    let answer = operator
        .nimbus
        .hello(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.protocol, 1);
    assert_eq!(answer.handshake.unwrap().cluster_id.len(), 32);
    let mut newer = request;
    let handshake = newer.handshake.as_mut().unwrap();
    (handshake.protocol_min, handshake.protocol_max) = (9, 9);
    let status = operator.nimbus.hello(newer).await.unwrap_err();
    let refusal = squall_proto::Refusal::from(status);
    assert_eq!(refusal.code, RefusalCode::WrongProtocol);
    assert!(refusal.action.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_refused_and_counted_and_nothing_is_lost() {
    let bench = Bench::new().await;
    let a = Supervisor::start(bench.coordination().await, hello("a")).await;
    let mut operator = bench.operator().await;
    operator.run("words", 1).await;
    let submit = |name: &str| wire::SubmitRequest {
        name: name.to_owned(),
        ..wire::SubmitRequest::from(submission("other", 1))
    };
    for name in ["", "a/b", "a\nb", "..", &"x".repeat(1000)] {
        let status = operator.nimbus.submit(submit(name)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{name:?}");
    }
    let large = wire::SubmitRequest {
        spec_json: vec![b' '; 100 << 20].into(),
        ..submit("other")
    };
    let status = operator.nimbus.submit(large).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    let status = operator.nimbus.kill(wire::KillRequest {
        name: "words".to_owned(),
        wait_ms: u64::MAX,
    });
    assert_eq!(status.await.unwrap_err().code(), Code::InvalidArgument);
    // Five names, what is too large, which no service sees, and the wait.
    assert_eq!(
        bench
            .metric("squall_nimbus_refusals_total{service=\"nimbus\"}")
            .await,
        7
    );
    let n_connections = bench.metric("squall_nimbus_connections_accepted_total");
    assert_eq!(n_connections.await, 2, "a supervisor's and an operator's");
    a.phase(Phase::Active).await;
    assert_eq!(operator.list().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_spec_says_what_is_wrong_with_it() {
    let bench = Bench::new().await;
    let mut operator = bench.operator().await;
    operator.upload(&program()).await.unwrap();
    let mut submit = submission("words", 1);
    submit.spec_json = submit.spec_json.slice(..40);
    let refusal = operator.submit(submit).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::BadSpec);
    let mut submit = submission("words", 1);
    submit.spec_json = String::from_utf8(submit.spec_json.to_vec())
        .unwrap()
        .replace("\"component\": \"in\"", "\"component\": \"inn\"")
        .into_bytes()
        .into();
    let refusal = operator.submit(submit).await.unwrap_err();
    let expected = "unknown component `inn` (at `bolts.count.inputs[0].from`)";
    assert_eq!(refusal.message.as_str(), expected);
    assert!(operator.list().await.is_empty());
}
