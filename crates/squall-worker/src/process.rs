//! A worker as a process: what `<binary> worker --launch FILE` does, from the first line to the exit status.
//!
//! It runs in the directory that its supervisor gave it: there its log is, and the reason of its end.

use std::any::Any;
use std::io;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use squall_core::Registry;
use squall_daemon::logging::{LogConfig, LogError, LogFormat, LogOutput, RotatingFile, Rotation};
use squall_daemon::shutdown::{Cause, Ended, Manner, Shutdown, ShutdownBounds, Signals};
use squall_proto::Launch;
use squall_proto::worker_dir::LOG_FILE;
use squall_runtime::SystemClock;
use thiserror::Error;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::oneshot;
use tracing::{error, info};

use crate::blueprint::{Blueprint, BlueprintError, Rebuild};
use crate::exit::ExitReason;
use crate::launch::{LaunchFileError, read_launch};
use crate::worker::{Host, StartError, Worker};

/// What is logged unless `RUST_LOG` says otherwise.
const LOG_FILTER: &str = "info";
/// Threads for the asynchronous work of components. Tasks have threads of their own.
const N_IO_THREADS: usize = 2;
/// How many cores share a thread for links and reports. More such threads wake each other for every frame.
const CORES_A_LINK_THREAD: usize = 4;
/// The most of these threads.
const MAX_LINK_THREADS: usize = 4;
/// How long the process may take to end: supervisors kill it 5 s after SIGTERM. Within the first bound the
/// worker drains and winds up by itself.
const BOUNDS: ShutdownBounds = ShutdownBounds {
    drain: Duration::from_millis(4200),
    force: Duration::from_millis(300),
};

/// Why a worker could not begin.
#[derive(Debug, Error)]
enum Trouble {
    #[error(transparent)]
    Launch(#[from] LaunchFileError),
    #[error("{LOG_FILE} can't be written: {0}")]
    LogFile(#[source] io::Error),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Blueprint(#[from] BlueprintError),
    #[error("the system gives no threads: {0}")]
    Threads(#[source] io::Error),
    #[error("signals can't be taken: {0}")]
    Signals(#[source] io::Error),
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Runs the worker that a launch file describes until it ends; blocks. `rebuild` builds the binary's own
/// topologies again.
///
/// Exit status: 0 for who ended as it was told, 1 for a failure, 3 for who was superseded, 101 for a panic. The
/// file `exit-reason` in the current directory says more.
#[must_use = "the exit status is what `main` returns"]
pub fn main(launch_file: &Path, registry: &Arc<Registry>, rebuild: Rebuild<'_>) -> ExitCode {
    let ran = catch_unwind(AssertUnwindSafe(|| run(launch_file, registry, rebuild)));
    let reason = match ran {
        Ok(Ok(reason)) => reason,
        Ok(Err(trouble)) => ExitReason::failed(trouble),
        Err(panic) => ExitReason::Panicked {
            why: said(panic.as_ref()),
        },
    };
    match reason {
        ExitReason::Failed { .. } | ExitReason::Panicked { .. } => {
            error!(%reason, "worker has ended");
        }
        ExitReason::Drained | ExitReason::Clean { .. } | ExitReason::Superseded { .. } => {
            info!(%reason, "worker has ended");
        }
    }
    if let Err(error) = reason.write(Path::new(".")) {
        error!(%error, "the reason of the end can't be written down");
    }
    reason.exit_code()
}

fn run(
    launch_file: &Path,
    registry: &Arc<Registry>,
    rebuild: Rebuild<'_>,
) -> Result<ExitReason, Trouble> {
    let launch = read_launch(launch_file)?;
    start_log()?;
    log_panics();
    info!(
        topology_id = %launch.topology.id, worker_id = %launch.worker,
        epoch = launch.fence.placement_epoch, incarnation = launch.fence.incarnation,
        address = %launch.bind_address, "worker started"
    );
    let blueprint = Blueprint::new(&launch, registry, rebuild)?;
    let (links, components) = (
        threads("squall-link", n_link_threads())?,
        threads("squall-io", N_IO_THREADS)?,
    );
    let serving = serve(launch, blueprint, registry, components.handle());
    let reason = links.block_on(serving);
    // What didn't end in time ends with the process.
    links.shutdown_background();
    components.shutdown_background();
    reason
}

fn n_link_threads() -> usize {
    let n_cores = available_parallelism().map_or(1, NonZero::get);
    (n_cores / CORES_A_LINK_THREAD).clamp(1, MAX_LINK_THREADS)
}

fn threads(name: &str, n_threads: usize) -> Result<Runtime, Trouble> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(n_threads)
        .thread_name(name)
        .enable_all()
        .build()
        .map_err(Trouble::Threads)
}

/// Runs the worker in a tree of tasks of its own, which SIGTERM drains and a second one ends.
async fn serve(
    launch: Launch,
    blueprint: Blueprint,
    registry: &Arc<Registry>,
    components: &Handle,
) -> Result<ExitReason, Trouble> {
    let signals = Signals::listen().map_err(Trouble::Signals)?;
    let shutdown = Shutdown::new(BOUNDS);
    let scope = shutdown.scope().clone();
    let host = Host {
        scope: scope.clone(),
        clock: Arc::new(SystemClock::new()),
        seed: fastrand::u64(..),
        components: components.clone(),
    };
    let worker = Worker::start(launch, blueprint, registry, host).await?;
    let (tell, reason) = oneshot::channel();
    scope.clone().spawn("run", async move {
        let reason = worker.run().await;
        scope.end_process(reason.to_string());
        drop(tell.send(reason));
    });
    let ended = shutdown.run(signals).await;
    Ok(reason_of(&ended, reason.await.ok()))
}

/// Puts together how the process ended and what the worker says itself. That a vital part of it has failed is
/// why all else ended.
fn reason_of(ended: &Ended, said: Option<ExitReason>) -> ExitReason {
    match (&ended.cause, said) {
        (Cause::Failed { task, reason }, _) => ExitReason::failed(format!("{task}: {reason}")),
        (_, Some(reason)) => reason,
        (Cause::Signal(_), None) if ended.manner != Manner::Drained => {
            ExitReason::failed(format!("it didn't end in time: {:?}", ended.still_running))
        }
        (cause, None) => ExitReason::failed(format!("it ended without a reason: {cause}")),
    }
}

fn start_log() -> Result<(), Trouble> {
    let file = RotatingFile::open(LOG_FILE, Rotation::default()).map_err(Trouble::LogFile)?;
    let filter = std::env::var("RUST_LOG")
        .ok()
        .filter(|filter| !filter.is_empty());
    let config = LogConfig {
        filter: filter.unwrap_or_else(|| LOG_FILTER.to_owned()),
        format: LogFormat::Text,
        output: LogOutput::File(file),
    };
    Ok(config.start()?)
}

/// Has panics logged as well as printed: components' are caught, and only the log has their time and place.
fn log_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string);
        let thread = std::thread::current();
        let why = said(panic.payload());
        error!(error = %why, place, thread = thread.name(), "panic");
        print(panic);
    }));
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests {
    use squall_daemon::shutdown::Signal;

    use super::*;

    fn ended(cause: Cause, manner: Manner) -> Ended {
        Ended {
            cause,
            manner,
            still_running: vec!["run".to_owned()],
        }
    }

    #[test]
    fn the_first_cause_is_the_reason() {
        let told = ended(Cause::Signal(Signal::Terminate), Manner::Drained);
        let reason = reason_of(&told, Some(ExitReason::Drained));
        assert_eq!(reason, ExitReason::Drained);
        let port = Cause::Failed {
            task: "worker/exchange".to_owned(),
            reason: "the port is gone".to_owned(),
        };
        // The worker saw only that it was to end.
        let reason = reason_of(&ended(port, Manner::Drained), Some(ExitReason::Drained));
        assert_eq!(
            reason,
            ExitReason::failed("worker/exchange: the port is gone")
        );
        let stuck = ended(Cause::Signal(Signal::Terminate), Manner::Abandoned);
        let reason = reason_of(&stuck, None).to_string();
        assert_eq!(reason, "failed: it didn't end in time: [\"run\"]");
    }
}
