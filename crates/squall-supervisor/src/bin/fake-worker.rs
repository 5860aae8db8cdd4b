//! A worker for the supervisor's tests: it does what the topology's spec says, a word in place of JSON. And
//! a supervisor that can be killed.

use std::fs;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::stream::unfold;
use squall_daemon::shutdown::{Shutdown, ShutdownBounds};
use squall_proto::{
    Counters, Handshake, Launch, Phase, Refusal, RefusalCode, WorkerHello, WorkerOrder,
    WorkerReport, WorkerStatus, wire,
};
use squall_supervisor::SupervisorConfig;
use tokio::select;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::interval;
use tonic::transport::Endpoint;

use wire::local_client::LocalClient;

/// How often it reports.
const REPORT_INTERVAL: Duration = Duration::from_millis(100);
/// How often it calls while nobody answers.
const CALL_INTERVAL: Duration = Duration::from_millis(50);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["worker", "--launch", file] => worker(file).await,
        ["supervisor", file] => supervisor(file).await,
        _ => ExitCode::from(64),
    }
}

/// Runs a real supervisor, with its settings in a file, until it is killed.
async fn supervisor(file: &str) -> ExitCode {
    let content = fs::read(file).unwrap_or_default();
    let Ok(config) = serde_json::from_slice::<SupervisorConfig>(&content) else {
        return ExitCode::from(65);
    };
    let shutdown = Shutdown::new(ShutdownBounds::default());
    match squall_supervisor::serve(config, shutdown.scope().clone()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(append("supervisor-error", &error.to_string()));
            ExitCode::from(66)
        }
    }
}

async fn worker(file: &str) -> ExitCode {
    let content = fs::read(file).unwrap_or_default();
    let Ok(launch) = Launch::from_file(content) else {
        return ExitCode::from(65);
    };
    let line = format!(
        "component_id=main incarnation {} of {}\n",
        launch.fence.incarnation, launch.topology.id
    );
    drop(append("worker.log", &line));
    match launch.topology.spec_json.as_ref() {
        b"crash" => {
            drop(append("output.log", "about to crash\n"));
            ExitCode::from(7)
        }
        b"mute" => std::future::pending().await,
        b"stubborn" => work(&launch, true, false).await,
        b"busy" => work(&launch, false, true).await,
        _ => work(&launch, false, false).await,
    }
}

/// `stubborn`: it ignores SIGTERM. `busy`: something is always pending.
async fn work(launch: &Launch, stubborn: bool, busy: bool) -> ExitCode {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return ExitCode::from(66);
    };
    let (orders, _) = watch::channel(None);
    let mut calls = interval(CALL_INTERVAL);
    loop {
        select! {
            _ = terminate.recv(), if !stubborn => return ExitCode::SUCCESS,
            refusal = attend(launch, &orders, busy) => {
                let gone = [RefusalCode::UnknownWorker, RefusalCode::StaleFence];
                if gone.contains(&refusal.code) {
                    drop(append("exit-reason", refusal.message.as_str()));
                    return ExitCode::from(3);
                }
            }
        }
        calls.tick().await;
    }
}

/// Attends to the supervisor until that ends.
async fn attend(
    launch: &Launch,
    orders: &watch::Sender<Option<WorkerOrder>>,
    busy: bool,
) -> Refusal {
    let address = format!("http://{}", launch.supervisor_address);
    let channel = match Endpoint::from_shared(address) {
        Ok(endpoint) => endpoint.connect().await,
        Err(error) => return Refusal::internal(error),
    };
    let Ok(channel) = channel else {
        return Refusal::unavailable("nobody is there");
    };
    let hello = WorkerHello {
        handshake: Handshake::ours("fake", None, launch.handshake.cluster),
        cookie: launch.cookie,
        pid: NonZeroU32::new(std::process::id()).unwrap_or(NonZeroU32::MIN),
        topology: launch.topology.id.clone(),
        worker: launch.worker,
        fence: launch.fence,
    };
    let state = (Some(hello), orders.subscribe(), interval(REPORT_INTERVAL));
    let version = launch.assignment.version;
    let reports = unfold(state, move |(mut hello, orders, mut ticks)| async move {
        if let Some(hello) = hello.take() {
            let report = WorkerReport::Hello(hello);
            return Some((report.into(), (None, orders, ticks)));
        }
        ticks.tick().await;
        let report = status(orders.borrow().as_ref(), version, busy);
        Some((wire::WorkerReport::from(report), (None, orders, ticks)))
    });
    let mut answers = match LocalClient::new(channel).attend(reports).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return status.into(),
    };
    loop {
        match answers.message().await {
            Ok(Some(order)) => match WorkerOrder::try_from(order) {
                Ok(order) => drop(orders.send_replace(Some(order))),
                Err(error) => return error.into(),
            },
            Ok(None) => return Refusal::unavailable("the supervisor ended the stream"),
            Err(status) => return status.into(),
        }
    }
}

fn status(order: Option<&WorkerOrder>, version: u64, busy: bool) -> WorkerReport {
    WorkerReport::Status(WorkerStatus {
        ready: true,
        drained: !busy && order.is_some_and(|order| order.phase == Phase::Draining),
        oldest_turn_ms: 3,
        assignment_version: order.map_or(version, |order| order.assignment.version),
        counters: Counters::default(),
    })
}

fn append(name: &str, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut options = fs::OpenOptions::new();
    let mut file = options.append(true).create(true).open(name)?;
    file.write_all(text.as_bytes())
}
