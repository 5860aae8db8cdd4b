//! A machine that stands still until its tasks have moved, and then goes on as if nothing had been.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::{Instant, interval, timeout};

use squall_e2e::cluster::{Cluster, Described, Worker};
use squall_e2e::{Signal, is_gone, is_stopped, signal, until};

use super::flow::Flow;
use super::progress::Progress;
use super::{ALLOWED, PLACED_WITHIN, RATE, SEEN_WITHIN, TIMEOUT, alone, truth};
use crate::numbers::{NAME, Numbers, Shape};

/// The old copies end within this time once they can run again.
const OLD_END_WITHIN: Duration = Duration::from_secs(10);
/// How long something is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_wakes_up_after_its_tasks_have_moved_turns_nothing_back() -> Result<()> {
    let _alone = alone().await;
    let mut cluster = Cluster::start(&["east", "west"]).await?;
    let numbers = Numbers {
        n: u64::from(RATE) * 20,
        rate_per_sec: RATE,
    };
    let shape = Shape {
        n_spouts: 2,
        message_timeout: TIMEOUT,
        ..Shape::default()
    };
    cluster.submit(&numbers.shaped(&cluster, &shape), &["--workers", "2"])?;
    let flow = Flow::watch(&cluster, &numbers, &shape)?;
    flow.until_seen(u64::from(RATE) * 2).await?;
    let mut progress = Progress::connect(&cluster, "west").await?;
    let before = watched_until(&cluster, &mut progress, "progress is saved", |_, sum| {
        sum > 0
    })
    .await?;

    let frozen: Vec<Worker> = { before.workers.iter() }
        .filter(|worker| worker.supervisor == "west")
        .cloned()
        .collect();
    ensure!(!frozen.is_empty(), "nothing runs there: {before:#?}");
    let pids: Option<Vec<u32>> = frozen.iter().map(|worker| worker.pid).collect();
    let pids = pids.context("all run")?;
    let supervisor = cluster.supervisor("west")?.pid();
    signal(supervisor, Signal::STOP)?;
    for worker in &frozen {
        cluster.signal(worker, Signal::STOP)?;
    }
    let fault = Instant::now();
    until("all of it stands still", || {
        Ok(is_stopped(supervisor) && pids.iter().all(|pid| is_stopped(*pid)))
    })
    .await?;
    let highest = flow.highest_after(fault).await?;

    let moved = |now: &Described, _| {
        now.plan
            .workers
            .iter()
            .all(|placed| placed.supervisor == "east")
    };
    watched_until(&cluster, &mut progress, "its tasks have moved", moved).await?;
    let placed = fault.elapsed();
    ensure!(
        placed <= PLACED_WITHIN + ALLOWED,
        "placed elsewhere after {placed:?}"
    );
    let at_move = progress.sum();
    // The new copies save what they do, under fences of their own.
    let goes_on = |now: &Described, sum| now.is_ready() && sum > at_move + u64::from(RATE);
    watched_until(&cluster, &mut progress, "the new copies go on", goes_on).await?;
    ensure!(pids.iter().all(|pid| is_stopped(*pid)), "they have gone on");
    let n_seen = flow.last()?.n_seen;
    ensure!(n_seen < numbers.n, "it was not in the middle: {n_seen}");

    // First the old copies alone: nobody but those who refuse them can tell them that they are old.
    for worker in &frozen {
        cluster.signal(worker, Signal::CONT)?;
    }
    let thawed = Instant::now();
    let refusal = progress
        .turn_back(frozen.first().context("a worker")?)
        .await?;
    let ended = |_: &Described, _| pids.iter().all(|pid| is_gone(*pid));
    watched_until(&cluster, &mut progress, "the old copies have ended", ended).await?;
    let old_ended = thawed.elapsed();
    ensure!(
        old_ended <= OLD_END_WITHIN + ALLOWED,
        "the old copies ended after {old_ended:?}"
    );
    let reasons = exit_reasons(&cluster, "west")?;
    let are_refused = reasons
        .iter()
        .all(|reason| reason.starts_with("superseded: "));
    ensure!(
        reasons.len() == frozen.len() && are_refused,
        "the old copies ended for {reasons:?}"
    );
    signal(supervisor, Signal::CONT)?;
    cluster.until_alive(&["east", "west"]).await?;

    let all = numbers.n;
    let seen = |_: &Described, _| flow.last().is_ok_and(|look| look.n_seen == all);
    watched_until(&cluster, &mut progress, "all numbers are seen", seen).await?;
    let saved = |_: &Described, sum| sum >= 2 * all;
    watched_until(&cluster, &mut progress, "all are saved as done", saved).await?;
    let seen = flow.all_seen_after(fault, &highest)?;
    ensure!(
        seen <= SEEN_WITHIN + ALLOWED,
        "all were seen after {seen:?}"
    );
    truth::told(&cluster, 2).await?;
    let repeats = truth::none_lost(&cluster, &numbers, &shape, 2)?;
    println!(
        "zombie: lost 0, twice {repeats}, placed elsewhere after {} ms, all seen after {} ms, old copies ended {} ms \
         after they woke up ({}), {} readings of the progress, none went back; an old copy's save: {refusal}",
        placed.as_millis(),
        seen.as_millis(),
        old_ended.as_millis(),
        reasons.join(", "),
        progress.n_reads
    );
    cluster.end().await
}

/// Reads the progress again and again until the topology, and the sum of what is saved, are as they should be.
async fn watched_until(
    cluster: &Cluster,
    progress: &mut Progress,
    what: &str,
    mut holds: impl FnMut(&Described, u64) -> bool,
) -> Result<Described> {
    let mut looks = interval(Duration::from_millis(200));
    let wait = async {
        loop {
            looks.tick().await;
            let now = cluster.describe(NAME)?;
            // Any of its workers may read; whose place has been taken is refused.
            for reader in now.workers.iter().filter(|worker| worker.pid.is_some()) {
                progress.look(reader).await?;
            }
            if holds(&now, progress.sum()) {
                return anyhow::Ok(now);
            }
        }
    };
    let waited = timeout(PATIENCE, wait).await;
    waited.with_context(|| format!("{PATIENCE:?} are not enough until {what}"))?
}

/// Reads why the workers in a supervisor's slots have ended, those that said so.
fn exit_reasons(cluster: &Cluster, supervisor: &str) -> Result<Vec<String>> {
    let mut reasons = Vec::new();
    let mut folders: Vec<PathBuf> = vec![cluster.folder().join(supervisor).join("slots")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with("exit-reason") {
                reasons.push(fs::read_to_string(path)?.trim_end().to_owned());
            }
        }
    }
    Ok(reasons)
}
