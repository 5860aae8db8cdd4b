//! What nimbus orders, happens, once.

use std::fs;
use std::num::NonZeroU32;
use std::time::Duration;

use futures_util::stream;
use squall_core::Fence;
use squall_proto::{
    Cookie, Handshake, Phase, Refusal, RefusalCode, SlotState, SupervisorStatus, TailWorkerLog,
    WorkerHello, WorkerReport, wire,
};
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};

use crate::kit::{Behaviour, Kit, PATIENCE, Running, first, is_alive, until};

use wire::local_client::LocalClient;
use wire::supervisor_client::SupervisorClient;

async fn connect(supervisor: &Running) -> Channel {
    let address = format!("http://{}", supervisor.address);
    Endpoint::from_shared(address)
        .unwrap()
        .connect()
        .await
        .unwrap()
}

#[tokio::test]
async fn an_ordered_worker_is_fetched_started_and_reported() {
    let kit = Kit::new().await;
    let supervisor = kit.start().await;
    let pid = kit.run_worker(&supervisor, 5).await;
    let (worker, running) = kit.ready(5).await;
    assert_eq!(
        (worker.topology.as_str(), worker.n_restarts),
        ("clicks-1", 0)
    );
    assert_eq!((running.assignment_version, running.oldest_turn_ms), (5, 3));
    assert_eq!(kit.processes(), [pid]);
    assert_eq!(kit.nimbus.n_fetches(), 1);
    let hello = kit.nimbus.hello().unwrap();
    assert_eq!(hello.supervisor, supervisor.id);
    assert_eq!(hello.slot_ports, supervisor.slot_ports);
    assert!(kit.nimbus.status().unwrap().disk_free_bytes > 0);

    // The same order once more, and one that differs in what only the worker has to know.
    let mut order = kit.order(&supervisor.id, supervisor.slot_ports[0], 5, Behaviour::Run);
    kit.nimbus.order(vec![order.clone()]);
    order.assignment.version = 9;
    order.phase = Phase::Inactive;
    kit.nimbus.order(vec![order]);
    let heard = |status: &SupervisorStatus| match &first(status)?.state {
        SlotState::Running(running) if running.assignment_version == 9 => Some(running.pid.get()),
        _ => None,
    };
    assert_eq!(kit.nimbus.until("the new version", heard).await, pid);

    kit.nimbus.order(Vec::new());
    kit.emptied().await;
    assert!(!is_alive(pid) && kit.processes().is_empty());
    supervisor.end().await;
}

#[tokio::test]
async fn a_worker_that_moved_is_replaced_and_never_doubled() {
    let kit = Kit::new().await;
    let supervisor = kit.start().await;
    let mut last = 0;
    for epoch in 5..9 {
        let pid = kit.run_worker(&supervisor, epoch).await;
        assert_ne!(pid, last);
        assert_eq!(kit.processes(), [pid], "nobody else is in the slot");
        last = pid;
    }
    supervisor.end().await;
}

#[tokio::test]
async fn a_stale_cookie_or_fence_is_refused() {
    let kit = Kit::new().await;
    let supervisor = kit.start().await;
    let pid = kit.run_worker(&supervisor, 5).await;
    let record = fs::read(kit.slot_dir(supervisor.slot_ports[0]).join("slot.json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    let cookie: Cookie = record["launch"]["cookie"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let (worker, _) = kit.ready(5).await;

    let stale = Fence {
        incarnation: worker.fence.incarnation - 1,
        ..worker.fence
    };
    for (cookie, fence, code) in [
        (
            Cookie::new([1; 16]),
            worker.fence,
            RefusalCode::UnknownWorker,
        ),
        (cookie, stale, RefusalCode::StaleFence),
    ] {
        let hello = WorkerReport::Hello(WorkerHello {
            handshake: Handshake::ours("fake", None, None),
            cookie,
            pid: NonZeroU32::new(77).unwrap(),
            topology: worker.topology.clone(),
            worker: worker.worker,
            fence,
        });
        let reports = stream::iter([wire::WorkerReport::from(hello)]);
        let mut client = LocalClient::new(connect(&supervisor).await);
        let refused = client.attend(reports).await.map(|_| ()).unwrap_err();
        assert_eq!(Refusal::from(&refused).code, code);
    }
    assert_eq!(kit.ready(5).await.1.pid.get(), pid);
    supervisor.end().await;
}

#[tokio::test]
async fn a_deposed_leader_is_not_followed() {
    let kit = Kit::new().await;
    kit.nimbus.set_epoch(7);
    let supervisor = kit.start().await;
    let pid = kit.run_worker(&supervisor, 5).await;
    supervisor.crash().await;
    // Neither by the next supervisor process.
    kit.nimbus.set_epoch(6);
    kit.nimbus.order(Vec::new());
    let supervisor = kit.start().await;
    until("another call", || {
        kit.nimbus
            .hello()
            .is_some_and(|hello| hello.leader_epoch == 7)
    })
    .await;
    kit.nimbus.forget();
    kit.nimbus.until("two further reports", |_| Some(())).await;
    assert!(is_alive(pid));
    kit.nimbus.set_epoch(8);
    kit.emptied().await;
    until("its end", || !is_alive(pid)).await;
    supervisor.end().await;
}

#[tokio::test]
async fn a_log_is_read_and_followed() {
    let kit = Kit::new().await;
    let supervisor = kit.start().await;
    kit.run_worker(&supervisor, 5).await;
    let (worker, _) = kit.ready(5).await;
    let mut client = SupervisorClient::new(connect(&supervisor).await);
    let mut tail = TailWorkerLog {
        cluster: crate::kit::CLUSTER,
        leader_epoch: 1,
        topology: worker.topology.clone(),
        worker: worker.worker,
        component: None,
        n_lines: 10,
        follow: true,
    };
    let request = wire::TailWorkerLogRequest::from(tail.clone());
    let mut pieces = client.tail_log(request).await.unwrap().into_inner();
    let text = |piece: wire::TailLogResponse| String::from_utf8(piece.text.to_vec()).unwrap();
    let first = text(pieces.message().await.unwrap().unwrap());
    let expected = format!(
        "component_id=main incarnation {} of clicks-1\n",
        worker.fence.incarnation
    );
    assert_eq!(first, expected);
    let dir = kit
        .slot_dir(supervisor.slot_ports[0])
        .join("workers")
        .join("clicks-1.0");
    let log = dir.join("worker.log");
    fs::write(&log, format!("{expected}more\n")).unwrap();
    let more = timeout(PATIENCE, pieces.message()).await.unwrap().unwrap();
    assert_eq!(text(more.unwrap()), "more\n");

    // Once the worker is gone its log is still there; that of another isn't.
    kit.nimbus.order(Vec::new());
    kit.emptied().await;
    tail.follow = false;
    tail.component = Some("main".into());
    let request = wire::TailWorkerLogRequest::from(tail.clone());
    let mut pieces = client.tail_log(request).await.unwrap().into_inner();
    assert_eq!(text(pieces.message().await.unwrap().unwrap()), expected);
    assert!(pieces.message().await.unwrap().is_none());
    let wrong = [
        (
            TailWorkerLog {
                topology: "other-2".into(),
                ..tail.clone()
            },
            RefusalCode::UnknownWorker,
        ),
        (
            TailWorkerLog {
                cluster: squall_proto::ClusterId::new([1; 16]),
                ..tail
            },
            RefusalCode::WrongCluster,
        ),
    ];
    for (tail, code) in wrong {
        let request = wire::TailWorkerLogRequest::from(tail);
        let refused = client.tail_log(request).await.map(|_| ()).unwrap_err();
        assert_eq!(Refusal::from(&refused).code, code);
    }
    supervisor.end().await;
}

#[tokio::test]
async fn a_supervisor_that_ends_takes_its_workers_along_unless_told_not_to() {
    let mut kit = Kit::new().await;
    let supervisor = kit.start().await;
    let pid = kit.run_worker(&supervisor, 5).await;
    timeout(Duration::from_secs(10), supervisor.end())
        .await
        .expect("drained workers end soon");
    assert!(!is_alive(pid));
    assert!(kit.nimbus.status().unwrap().draining);
    kit.emptied().await;

    kit.config.leave_workers = true;
    let supervisor = kit.start().await;
    let pid = kit.ready(5).await.1.pid.get();
    supervisor.end().await;
    assert!(is_alive(pid));
}

#[tokio::test]
async fn a_stubborn_worker_is_killed_in_the_end() {
    let mut kit = Kit::new().await;
    kit.config.drain_timeout = squall_core::HumanDuration::from_millis(200);
    kit.config.term_grace = squall_core::HumanDuration::from_millis(300);
    let supervisor = kit.start().await;
    let port = supervisor.slot_ports[0];
    kit.nimbus.order(vec![kit.order(
        &supervisor.id,
        port,
        5,
        Behaviour::Stubborn,
    )]);
    let pid = kit.ready(5).await.1.pid.get();
    kit.nimbus.order(Vec::new());
    kit.emptied().await;
    assert!(!is_alive(pid));
    supervisor.end().await;
}

#[tokio::test]
async fn a_worker_that_nimbus_had_drain_is_not_asked_again() {
    let mut kit = Kit::new().await;
    kit.config.drain_timeout = squall_core::HumanDuration(10 * PATIENCE);
    let supervisor = kit.start().await;
    let port = supervisor.slot_ports[0];
    let mut order = kit.order(&supervisor.id, port, 5, Behaviour::Busy);
    kit.nimbus.order(vec![order.clone()]);
    kit.ready(5).await;
    order.phase = Phase::Draining;
    order.assignment.version = 6;
    kit.nimbus.order(vec![order]);
    let drains = |status: &SupervisorStatus| match &first(status)?.state {
        SlotState::Running(running) if running.assignment_version == 6 => Some(running.drained),
        _ => None,
    };
    assert!(!kit.nimbus.until("a draining worker", drains).await);
    kit.nimbus.order(Vec::new());
    kit.emptied().await;
    supervisor.end().await;
}
