//! Shutdowns, in virtual time.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::shutdown::{Cause, Ended, Manner, Scope, Shutdown, ShutdownBounds, Signal, Signals};

const SECOND: Duration = Duration::from_secs(1);

fn shutdown() -> (Shutdown, Scope, mpsc::Sender<Signal>, Signals) {
    let shutdown = Shutdown::new(ShutdownBounds::default());
    let scope = shutdown.scope().clone();
    let (signals, received) = mpsc::channel(4);
    (shutdown, scope, signals, Signals::from_channel(received))
}

/// Ends after some time of draining.
async fn drain_for(scope: Scope, time: Duration) {
    scope.draining().await;
    drop(timeout(time, pending::<()>()).await);
}

fn ended(manner: Manner, still_running: &[&str]) -> Ended {
    Ended {
        cause: Cause::Signal(Signal::Terminate),
        manner,
        still_running: still_running.iter().copied().map(str::to_owned).collect(),
    }
}

#[tokio::test(start_paused = true)]
async fn drains_at_the_first_signal_and_waits_for_everybody() {
    let (shutdown, scope, signals, received) = shutdown();
    scope.spawn("short", drain_for(scope.clone(), SECOND));
    let child = scope.child("grpc");
    child.spawn("long", drain_for(child.clone(), 20 * SECOND));
    scope.spawn("over", async {});
    signals.send(Signal::Terminate).await.unwrap();
    let start = Instant::now();
    let end = shutdown.run(received).await;
    assert_eq!(end, ended(Manner::Drained, &[]));
    assert!(end.is_clean());
    assert_eq!(start.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_and_the_bound_force_what_does_not_drain() {
    for (second_signal, after) in [(true, 0), (false, 30)] {
        let (shutdown, scope, signals, received) = shutdown();
        let stubborn = scope.clone();
        scope.spawn("stubborn", async move { stubborn.forced().await });
        signals.send(Signal::Terminate).await.unwrap();
        if second_signal {
            signals.send(Signal::Interrupt).await.unwrap();
        }
        let start = Instant::now();
        let end = shutdown.run(received).await;
        assert_eq!(end, ended(Manner::Forced, &[]));
        assert!(!end.is_clean());
        assert_eq!(start.elapsed().as_secs(), after);
    }
}

#[tokio::test(start_paused = true)]
async fn what_never_ends_is_named_and_aborted() {
    let (shutdown, scope, signals, received) = shutdown();
    let dropped = Arc::new(AtomicBool::new(false));
    let sets = SetOnDrop(Arc::clone(&dropped));
    scope.child("links").spawn("worker-3", async move {
        let _sets = sets;
        pending::<()>().await;
    });
    let thread = scope.track("disk thread");
    scope.spawn("good", drain_for(scope.clone(), SECOND));
    signals.send(Signal::Terminate).await.unwrap();
    let start = Instant::now();
    let end = shutdown.run(received).await;
    let names = ["links/worker-3", "disk thread"];
    assert_eq!(end, ended(Manner::Abandoned, &names));
    assert_eq!(start.elapsed().as_secs(), 35);
    tokio::task::yield_now().await;
    assert!(dropped.load(Ordering::Relaxed));
    drop(thread);
    assert!(scope.running(10).is_empty());
}

struct SetOnDrop(Arc<AtomicBool>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_vital_task_that_fails_panics_or_ends_takes_the_process_along() {
    type Task = fn() -> Result<(), String>;
    let tasks: [(Task, &str); 3] = [
        (|| Err("the port is gone".to_owned()), "the port is gone"),
        (|| panic!("as the test wants it"), "it panicked"),
        (|| Ok(()), "it ended before it was asked to"),
    ];
    for (task, expected) in tasks {
        let (shutdown, scope, _signals, received) = shutdown();
        scope.spawn("bystander", drain_for(scope.clone(), SECOND));
        let grpc = scope.child("grpc");
        grpc.spawn_vital("serve", async move {
            tokio::task::yield_now().await;
            task()
        });
        let end = shutdown.run(received).await;
        let cause = Cause::Failed {
            task: "grpc/serve".to_owned(),
            reason: expected.to_owned(),
        };
        assert_eq!((end.cause.clone(), end.manner), (cause, Manner::Drained));
        assert!(!end.is_clean());
    }
}

#[tokio::test(start_paused = true)]
async fn a_vital_task_may_end_when_it_is_asked_to_and_others_may_panic() {
    let (shutdown, scope, _signals, received) = shutdown();
    let serves = scope.clone();
    scope.spawn_vital("serve", async move {
        serves.draining().await;
        Ok::<_, String>(())
    });
    scope.spawn("clumsy", async { panic!("as the test wants it") });
    tokio::task::yield_now().await;
    scope.end_process("nothing left to do");
    let end = shutdown.run(received).await;
    let reason = "nothing left to do".to_owned();
    assert_eq!(end.cause, Cause::Asked { reason });
    assert!(end.is_clean());
}

#[tokio::test(start_paused = true)]
async fn a_scope_ends_alone_with_those_below_it() {
    let (shutdown, scope, signals, received) = shutdown();
    let topology = scope.child("topology");
    let worker = topology.child("worker");
    let namesake = scope.child("topology-2");
    for part in [&scope, &topology, &worker, &namesake] {
        part.spawn("task", drain_for(part.clone(), SECOND));
    }
    let names = ["topology/task", "topology/worker/task"];
    assert_eq!(topology.running(10), names);
    assert_eq!(topology.running(1), names[..1]);
    topology.drain();
    topology.ended().await;
    assert!(worker.is_draining() && !namesake.is_draining() && !scope.is_draining());
    assert_eq!(scope.running(10), ["task", "topology-2/task"]);
    signals.send(Signal::Interrupt).await.unwrap();
    assert_eq!(shutdown.run(received).await.manner, Manner::Drained);
}

#[tokio::test]
async fn the_signals_of_the_system_drain_and_force() {
    use rustix::process::{Signal as Sent, getpid, kill_process};

    let shutdown = Shutdown::new(ShutdownBounds::default());
    let signals = Signals::listen().unwrap();
    let stubborn = shutdown.scope().clone();
    shutdown.scope().spawn("stubborn", async move {
        kill_process(getpid(), Sent::TERM).unwrap();
        stubborn.draining().await;
        kill_process(getpid(), Sent::INT).unwrap();
        stubborn.forced().await;
    });
    let end = timeout(20 * SECOND, shutdown.run(signals)).await.unwrap();
    assert_eq!(end, ended(Manner::Forced, &[]));
}
