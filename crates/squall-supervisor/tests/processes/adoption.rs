//! A supervisor that is killed and started again finds its workers, and nothing is started twice.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::Signal;
use squall_core::HumanDuration;
use squall_daemon::shutdown::{Shutdown, ShutdownBounds};
use squall_proto::{SlotState, SupervisorStatus, TopologyOrder};
use squall_supervisor::{FailPoint, FailPoints, StartError, Supervisor};

use crate::kit::{Behaviour, Kit, Running, first, free_ports, is_alive, signal, until};

#[tokio::test]
async fn workers_outlive_a_killed_supervisor_and_are_adopted() {
    let mut kit = Kit::new().await;
    // Workers find it again at the same port.
    let ports = free_ports();
    kit.config.port = ports[0];
    kit.config.slot_ports = ports[1..].to_vec();
    kit.config.supervisor_id = Some("killed".to_owned());
    let mut supervisor = kit.start_process();
    let id = squall_core::SupervisorId::new("killed");
    kit.nimbus
        .order(vec![kit.order(&id, ports[1], 5, Behaviour::Run)]);
    let (worker, running) = kit.ready(5).await;
    let pid = running.pid.get();
    for _ in 0..2 {
        drop(supervisor);
        assert!(is_alive(pid));
        kit.nimbus.forget();
        supervisor = kit.start_process();
        let (again, running) = kit.ready(5).await;
        assert_eq!(running.pid.get(), pid, "the same process");
        assert_eq!((again.fence, again.n_restarts), (worker.fence, 0));
        assert_eq!(kit.processes(), [pid]);
        // Nimbus never heard that it was anything but ready.
        let first_heard = kit.nimbus.first_status().unwrap();
        let state = &first(&first_heard).unwrap().state;
        assert!(
            matches!(state, SlotState::Running(running) if running.ready),
            "{state:?}"
        );
    }
    // An adopted worker's end is noticed as well.
    signal(pid, Signal::KILL);
    let (after, running) = kit.restarted(worker.fence.incarnation).await;
    assert_eq!(after.fence.incarnation, worker.fence.incarnation + 1);
    assert_eq!(kit.processes(), [running.pid.get()]);
    drop(supervisor);
}

#[tokio::test]
async fn an_adopted_worker_is_started_again_without_nimbus() {
    let mut kit = Kit::new().await;
    let supervisor = kit.start().await;
    let pid = kit.run_worker(&supervisor, 5).await;
    supervisor.crash().await;
    let nimbus = std::mem::replace(&mut kit.config.nimbus, vec!["127.0.0.1:1".to_owned()]);
    let supervisor = kit.start().await;
    signal(pid, Signal::KILL);
    until("another process", || {
        kit.processes().first().is_some_and(|other| *other != pid)
    })
    .await;
    let processes = kit.processes();
    supervisor.crash().await;
    kit.config.nimbus = nimbus;
    kit.nimbus.forget();
    let supervisor = kit.start().await;
    assert_eq!([kit.ready(5).await.1.pid.get()], *processes);
    supervisor.end().await;
}

#[tokio::test]
async fn a_worker_that_ended_meanwhile_waits_for_nimbus_to_want_it() {
    let kit = Kit::new().await;
    let supervisor = kit.start().await;
    let pid = kit.run_worker(&supervisor, 5).await;
    let incarnation = kit.ready(5).await.0.fence.incarnation;
    supervisor.crash().await;
    signal(pid, Signal::KILL);
    until("its end", || !is_alive(pid)).await;
    kit.nimbus.forget();
    let supervisor = kit.start().await;
    let (worker, _) = kit.restarted(incarnation).await;
    assert_eq!(worker.fence.incarnation, incarnation + 1);
    supervisor.end().await;
}

/// Kills a supervisor when it has stored an order that its worker has to end for, and the worker hasn't ended;
/// the next one hears the same order from nimbus.
async fn killed_while_a_worker_ends(next: impl Fn(&Kit, &Running) -> Vec<TopologyOrder>) -> Kit {
    let mut kit = Kit::new().await;
    let supervisor = kit.start().await;
    let port = supervisor.slot_ports[0];
    let order = kit.order(&supervisor.id, port, 5, Behaviour::Stubborn);
    kit.nimbus.order(vec![order]);
    let pid = kit.ready(5).await.1.pid.get();
    kit.nimbus.order(next(&kit, &supervisor));
    let ends = |status: &SupervisorStatus| match first(status)?.state {
        SlotState::Stopping { .. } => Some(()),
        _ => None,
    };
    kit.nimbus.until("a worker that has to end", ends).await;
    supervisor.crash().await;
    assert!(is_alive(pid), "it has ended already");
    kit.config.term_grace = HumanDuration::from_millis(100);
    kit.nimbus.forget();
    kit
}

#[tokio::test]
async fn a_worker_that_had_to_end_when_its_supervisor_was_killed_ends() {
    let kit = killed_while_a_worker_ends(|_, _| Vec::new()).await;
    let supervisor = kit.start().await;
    kit.emptied().await;
    assert!(kit.processes().is_empty());
    supervisor.end().await;
}

#[tokio::test]
async fn a_worker_that_was_to_be_replaced_when_its_supervisor_was_killed_is() {
    let moved = |kit: &Kit, supervisor: &Running| {
        vec![kit.order(&supervisor.id, supervisor.slot_ports[0], 6, Behaviour::Run)]
    };
    let kit = killed_while_a_worker_ends(moved).await;
    let supervisor = kit.start().await;
    let pid = kit.ready(6).await.1.pid.get();
    assert_eq!(kit.processes(), [pid]);
    supervisor.end().await;
}

#[tokio::test]
async fn a_worker_whose_process_was_never_noted_down_is_found() {
    let mut kit = Kit::new().await;
    // The start is noted down before it happens, but its process never is.
    kit.config.fail_points = FailPoints::new(|point, path| {
        let record = written(point, path);
        if record.is_some_and(|record| !record["process"].is_null()) {
            return Err(io::Error::other("crash"));
        }
        Ok(())
    });
    let supervisor = kit.start().await;
    let pid = kit.run_worker(&supervisor, 5).await;
    let port = supervisor.slot_ports[0];
    supervisor.crash().await;
    let path = kit.slot_dir(port).join("slot.json");
    let record: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert!(
        record["launch"].is_object() && record["process"].is_null(),
        "{record}"
    );

    kit.config.fail_points = FailPoints::default();
    kit.nimbus.forget();
    let supervisor = kit.start().await;
    assert_eq!(kit.ready(5).await.1.pid.get(), pid);
    supervisor.end().await;
}

#[tokio::test]
async fn a_start_that_can_not_be_noted_down_does_not_happen() {
    for at in [FailPoint::Written, FailPoint::Renamed] {
        let mut kit = Kit::new().await;
        let n_crashes = Arc::new(AtomicUsize::new(0));
        kit.config.fail_points = FailPoints::new({
            let n_crashes = n_crashes.clone();
            move |point, path| {
                let record = written(point, path).filter(|_| point == at);
                let starts = record.is_some_and(|record| record["launch"].is_object());
                if starts && n_crashes.fetch_add(1, Ordering::SeqCst) == 0 {
                    return Err(io::Error::other("no space"));
                }
                Ok(())
            }
        });
        let supervisor = kit.start().await;
        let pid = kit.run_worker(&supervisor, 5).await;
        let (worker, _) = kit.ready(5).await;
        assert_eq!(worker.n_restarts, 1, "{at:?}");
        let reason = worker.last_exit.unwrap();
        assert_eq!(
            reason.as_str(),
            "the slot's record can't be stored: no space"
        );
        assert_eq!(kit.processes(), [pid]);
        supervisor.end().await;
    }
}

#[tokio::test]
async fn a_slot_whose_record_is_lost_gets_no_twin() {
    let kit = Kit::new().await;
    let supervisor = kit.start().await;
    let pid = kit.run_worker(&supervisor, 5).await;
    let incarnation = kit.ready(5).await.0.fence.incarnation;
    let record = kit.slot_dir(supervisor.slot_ports[0]).join("slot.json");
    supervisor.crash().await;
    fs::write(record, "{").unwrap();
    kit.nimbus.forget();
    let supervisor = kit.start().await;
    let (worker, running) = kit.ready(5).await;
    assert!(!is_alive(pid));
    assert_ne!(running.pid.get(), pid);
    assert_eq!(kit.processes(), [running.pid.get()]);
    assert!(
        worker.fence.incarnation >= incarnation,
        "never a lower fence"
    );
    supervisor.end().await;
}

#[tokio::test]
async fn a_supervisor_stays_who_it_is() {
    let mut kit = Kit::new().await;
    let first = start(&kit).await.unwrap();
    let (id, ports) = (first.id().clone(), first.slot_ports().to_vec());
    let address = first.address().clone();
    let error = start(&kit).await.unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    drop(first);
    let again = start(&kit).await.unwrap();
    assert_eq!((again.id(), again.slot_ports()), (&id, ports.as_slice()));
    assert_eq!(*again.address(), address);
    drop(again);
    kit.config.supervisor_id = Some("another".to_owned());
    let error = start(&kit).await.unwrap_err();
    assert!(error.to_string().contains(id.as_str()), "{error}");
}

#[tokio::test]
async fn a_slot_is_not_given_up_while_its_worker_runs() {
    let mut kit = Kit::new().await;
    let supervisor = kit.start().await;
    kit.run_worker(&supervisor, 5).await;
    let other = supervisor.slot_ports[1];
    supervisor.crash().await;
    kit.config.slot_ports = vec![other];
    let error = start(&kit).await.unwrap_err();
    assert!(error.to_string().contains("but its worker runs"), "{error}");
}

/// Returns the slot's record that is just being written; `None` if the file is another one.
fn written(point: FailPoint, path: &Path) -> Option<serde_json::Value> {
    let path = match point {
        _ if !path.ends_with("slot.json") => return None,
        FailPoint::Written => path.with_file_name("slot.json.new"),
        FailPoint::Renamed => path.to_owned(),
    };
    let content = fs::read(path).unwrap();
    Some(serde_json::from_slice(&content).unwrap())
}

async fn start(kit: &Kit) -> Result<Supervisor, StartError> {
    let shutdown = Shutdown::new(ShutdownBounds::default());
    Supervisor::start(kit.config.clone(), shutdown.scope().clone()).await
}
