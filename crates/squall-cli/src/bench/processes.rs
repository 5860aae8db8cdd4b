//! A topology over several processes, measured: at full speed, then at a rate.
//!
//! The tasks are those of the same case in one process, but spread over the workers of a cluster that lasts as
//! long as the bench. What they measure comes back in files.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use squall::{Program, Result, console};
use squall_daemon::shutdown::{Cause, Scope, Shutdown, ShutdownBounds, Signals};

use super::WARM_UP;
use super::board::Board;
use super::chain::Chain;
use super::cluster::Cluster;
use super::figures::{Figures, Span};
use super::host::Host;
use super::mode::{Mode, Pace};
use super::noise::ping_pong;
use super::rig::Rig;
use super::row::Key;
use super::run::Run;
use super::section::Section;
use super::truth::lost;

/// The rate at which latency is measured.
const RATE_PER_SEC: u64 = 20_000;
/// How much longer than what is measured a run may take: spouts begin when their workers hear that they are to.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the workers have when the bench is broken off.
const BOUNDS: ShutdownBounds = ShutdownBounds {
    drain: Duration::from_secs(10),
    force: Duration::from_secs(2),
};

/// Measures a topology with acks over so many workers, at full speed and at a rate.
///
/// # Errors
/// The cluster doesn't do what it should, or a signal came. No process is left.
pub(super) fn measure(chain: &Chain, processes: NonZeroU32, rig: &mut Rig<'_>) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mode = Mode {
        acked: true,
        pace: Pace::Full,
        warm_up: WARM_UP,
        span: rig.span,
        processes: processes.get(),
        host: None,
    };
    let (full, paced, idle_us) = run_cluster(chain, &mode, (folder.path(), rig.program))?;
    let key = |setting: String| Key {
        case: chain.name.to_owned(),
        acked: true,
        processes: processes.get(),
        parallelism: chain.parallelism(processes.get()),
        setting,
    };
    let throughput = full.throughput(chain)?;
    rig.add(Section::Throughput, key(String::new()), throughput);
    let latency = paced.latency(RATE_PER_SEC, idle_us);
    rig.add(Section::Latency, key(format!("{RATE_PER_SEC}/s")), latency);
    Ok(())
}

/// Has a cluster run both, and measures in between how late the machine is itself; in a tree of tasks of its own that a signal ends.
fn run_cluster(
    chain: &Chain,
    mode: &Mode,
    (folder, program): (&Path, &Program),
) -> Result<(Run, Run, u64)> {
    let (chain, mode, folder) = (chain.clone(), mode.clone(), folder.to_owned());
    program.tokio().block_on(async move {
        let signals = Signals::listen()?;
        let shutdown = Shutdown::new(BOUNDS);
        let scope = shutdown.scope().clone();
        let (tell, told) = oneshot::channel();
        scope.clone().spawn("measure", async move {
            let measured = tokio::select! {
                () = scope.draining() => None,
                runs = runs(&chain, &mode, (&folder, &scope)) => Some(runs),
            };
            // Who listens waits for this task.
            tell.send(measured).unwrap_or_default();
            scope.end_process("measured");
        });
        let ended = shutdown.run(signals).await;
        if let Ok(Some(runs)) = told.await {
            return runs;
        }
        Err(match ended.cause {
            Cause::Signal(signal) => format!("broken off by {signal}"),
            cause => cause.to_string(),
        }
        .into())
    })
}

async fn runs(
    chain: &Chain,
    mode: &Mode,
    (folder, scope): (&Path, &Scope),
) -> Result<(Run, Run, u64)> {
    console::say("  starting the workers …");
    let n_workers = NonZeroU32::try_from(mode.processes)?;
    let mut cluster = Cluster::start(folder, n_workers, scope).await?;
    let mut run = async |what: &str, pace| {
        let figures = folder.join(what);
        std::fs::create_dir(&figures)?;
        let mode = Mode {
            pace,
            host: Some(Host::new(figures.clone())),
            ..mode.clone()
        };
        let board = Board::Folder(figures);
        let n_sources = chain.parallelism(mode.processes) as usize;
        let all_measured = || Ok(board.n_measured()? >= n_sources);
        let within = mode.warm_up + mode.span + PATIENCE;
        let spec = chain.topology(&mode)?;
        cluster.run(&spec, within, all_measured).await?;
        outcome(chain, &mode, board.take()?)
    };
    let full = run("full", Pace::Full).await?;
    // The workers are there, with nothing to do.
    let idle = spawn_blocking(ping_pong).await??;
    let paced = run("paced", Pace::PerSec(RATE_PER_SEC)).await?;
    cluster.end().await;
    Ok((full, paced, idle.value_us(0.99)))
}

/// Puts together what the workers measured.
fn outcome(chain: &Chain, mode: &Mode, figures: Figures) -> Result<Run> {
    let n_sources = chain.parallelism(mode.processes) as usize;
    if figures.emitted.len() != n_sources {
        let found = figures.emitted.len();
        return Err(format!("{found} of {n_sources} sources left figures").into());
    }
    if figures.spans.len() != n_sources {
        Err("the run was too short to be measured")?;
    }
    let rates = figures.spans.iter().map(Span::per_sec);
    Ok(Run {
        records_per_sec: rates.sum(),
        cpu_nanos_per_sec: of_processes(&figures.spans, Span::cpu_nanos_per_sec),
        switches_per_sec: of_processes(&figures.spans, Span::switches_per_sec),
        lost: lost(chain, mode.acked, &figures)?,
        n_failed: figures.n_failed,
        latencies: figures.latencies,
    })
}

/// Returns how much of something all processes took in a second.
fn of_processes(spans: &[Span], per_sec: impl Fn(&Span) -> u64) -> u64 {
    // Of several sources in a process each has measured the whole process.
    let by_process: HashMap<u32, &Span> = spans.iter().map(|span| (span.pid, span)).collect();
    by_process.values().map(|span| per_sec(span)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_add_up_and_sources_of_one_share_its_time() {
        let span = |pid, n_records| Span {
            pid,
            n_records,
            nanos: 2_000_000_000,
            cpu_nanos: 3_000_000_000,
            n_switches: 60_000,
        };
        let spans = [span(1, 1000), span(1, 3000), span(2, 2000)];
        // 1.5 s of CPU each second in each process.
        assert_eq!(of_processes(&spans, Span::cpu_nanos_per_sec), 3_000_000_000);
        assert_eq!(of_processes(&spans, Span::switches_per_sec), 60_000);
        assert_eq!(of_processes(&[], Span::cpu_nanos_per_sec), 0);
    }
}
