//! Workers that die, hang, or never come up.

use std::fs::{self, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use squall_core::HumanDuration;
use squall_proto::{SlotState, SupervisorStatus};
use tokio::time::Instant;

use crate::kit::{Behaviour, Kit, first, free_ports, is_alive, signal, until};

#[tokio::test]
async fn a_killed_worker_is_seen_at_once_and_started_again() {
    let kit = Kit::new().await;
    let supervisor = kit.start().await;
    let mut pid = kit.run_worker(&supervisor, 5).await;
    let mut incarnation = kit.ready(5).await.0.fence.incarnation;
    for n in 1..=3 {
        signal(pid, Signal::KILL);
        let killed_at = Instant::now();
        let failed = |status: &SupervisorStatus| match first(status)?.state {
            SlotState::Failed { .. } => first(status)?.last_exit.clone(),
            _ => None,
        };
        let reason = kit.nimbus.until("the news of the exit", failed).await;
        let seen_after = killed_at.elapsed();
        assert!(seen_after < Duration::from_secs(1), "{seen_after:?}");
        assert!(
            reason.as_str().starts_with("killed by signal 9"),
            "{reason}"
        );
        let (worker, running) = kit.restarted(incarnation).await;
        let back_after = killed_at.elapsed();
        assert!(back_after < Duration::from_secs(5), "{back_after:?}");
        assert_ne!(running.pid.get(), pid);
        assert_eq!(worker.n_restarts, n);
        pid = running.pid.get();
        incarnation = worker.fence.incarnation;
        assert_eq!(kit.processes(), [pid]);
    }
    // The binary was there all the time.
    assert_eq!(kit.nimbus.n_fetches(), 1);
    supervisor.end().await;
}

#[tokio::test]
async fn a_worker_that_hangs_is_killed_and_started_again() {
    let mut kit = Kit::new().await;
    kit.config.worker_silence = HumanDuration::from_millis(1500);
    let supervisor = kit.start().await;
    let pid = kit.run_worker(&supervisor, 5).await;
    let incarnation = kit.ready(5).await.0.fence.incarnation;
    signal(pid, Signal::STOP);
    let stopped_at = Instant::now();
    let (worker, _) = kit.restarted(incarnation).await;
    assert!(!is_alive(pid));
    assert!(stopped_at.elapsed() > Duration::from_secs(1));
    let reason = worker.last_exit.unwrap();
    assert!(reason.as_str().starts_with("said nothing for"), "{reason}");
    supervisor.end().await;
}

#[tokio::test]
async fn a_supervisor_that_stood_still_does_not_blame_its_workers() {
    let mut kit = Kit::new().await;
    kit.config.worker_silence = HumanDuration::from_secs(2);
    kit.config.supervisor_id = Some("still".to_owned());
    let ports = free_ports();
    kit.config.slot_ports = ports[..1].to_vec();
    let supervisor = kit.start_process();
    let id = squall_core::SupervisorId::new("still");
    kit.nimbus
        .order(vec![kit.order(&id, ports[0], 5, Behaviour::Run)]);
    let (worker, running) = kit.ready(5).await;
    signal(supervisor.pid(), Signal::STOP);
    let stopped_at = Instant::now();
    until("the end of the pause", || {
        stopped_at.elapsed() > Duration::from_secs(5)
    })
    .await;
    kit.nimbus.forget();
    signal(supervisor.pid(), Signal::CONT);
    // Long enough for a kill, were there to be one.
    let continued_at = Instant::now();
    until("some reports", || {
        continued_at.elapsed() > Duration::from_secs(2)
    })
    .await;
    let (after, still) = kit.ready(5).await;
    assert_eq!((after.fence, still.pid), (worker.fence, running.pid));
}

#[tokio::test]
async fn a_worker_that_never_calls_is_killed() {
    let mut kit = Kit::new().await;
    kit.config.start_timeout = HumanDuration::from_millis(500);
    let supervisor = kit.start().await;
    let port = supervisor.slot_ports[0];
    kit.nimbus
        .order(vec![kit.order(&supervisor.id, port, 5, Behaviour::Mute)]);
    let killed = |status: &SupervisorStatus| first(status)?.last_exit.clone();
    let reason = kit.nimbus.until("its end", killed).await;
    assert!(reason.as_str().starts_with("said nothing for"), "{reason}");
    supervisor.end().await;
}

#[tokio::test]
async fn a_crash_loop_shows_with_the_workers_last_words() {
    let mut kit = Kit::new().await;
    kit.config.restart_backoff = HumanDuration::from_millis(10);
    let supervisor = kit.start().await;
    let port = supervisor.slot_ports[0];
    kit.nimbus
        .order(vec![kit.order(&supervisor.id, port, 5, Behaviour::Crash)]);
    let looping = |status: &SupervisorStatus| match first(status)?.state {
        SlotState::Failed {
            crash_looping: true,
        } => Some(first(status)?.clone()),
        _ => None,
    };
    let worker = kit.nimbus.until("the crash loop", looping).await;
    assert_eq!(worker.n_restarts, 6);
    let reason = worker.last_exit.unwrap();
    assert_eq!(reason.as_str(), "ended with exit status 7: about to crash");
    supervisor.end().await;
}

#[tokio::test]
async fn a_binary_that_nimbus_does_not_have_shows_why() {
    let kit = Kit::new().await;
    let supervisor = kit.start().await;
    let mut order = kit.order(&supervisor.id, supervisor.slot_ports[0], 5, Behaviour::Run);
    order.topology.binary_sha256 = squall_proto::Sha256::new([3; 32]);
    kit.nimbus.order(vec![order]);
    let failed = |status: &SupervisorStatus| first(status)?.last_exit.clone();
    let reason = kit.nimbus.until("the reason", failed).await;
    assert!(reason.as_str().contains("no blob 0303"), "{reason}");
    supervisor.end().await;
}

#[tokio::test]
async fn a_program_that_is_still_open_to_write_is_started_a_moment_later() {
    let kit = Kit::new().await;
    let supervisor = kit.start().await;
    kit.run_worker(&supervisor, 5).await;
    let before = kit.ready(5).await.0.fence.incarnation;
    let binaries = kit.config.data_dir.join("binaries");
    let program = binaries.join(kit.nimbus.binary.to_string());
    fs::set_permissions(&program, Permissions::from_mode(0o700)).unwrap();
    let writer = OpenOptions::new().append(true).open(&program).unwrap();
    let order = kit.order(&supervisor.id, supervisor.slot_ports[0], 6, Behaviour::Run);
    kit.nimbus.order(vec![order]);
    // It has its number and is being started.
    let begun = |status: &SupervisorStatus| {
        let worker = first(status)?;
        let is_begun = worker.state == SlotState::Fetching && worker.fence.incarnation > before;
        is_begun.then_some(())
    };
    kit.nimbus.until("the start", begun).await;
    let error = Command::new(&program).spawn().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ExecutableFileBusy);
    assert!(kit.processes().is_empty());
    drop(writer);
    let worker = kit.ready(6).await.0;
    assert_eq!((worker.n_restarts, worker.last_exit), (0, None));
    supervisor.end().await;
}
