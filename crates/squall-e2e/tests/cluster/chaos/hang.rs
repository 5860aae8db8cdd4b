//! A worker that stands still.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::Instant;

use squall_e2e::cluster::Cluster;
use squall_e2e::{Signal, is_stopped, until};

use super::flow::Flow;
use super::{ALLOWED, RATE, SEEN_WITHIN, SILENCE, TIMEOUT, alone, truth};
use crate::numbers::{NAME, Numbers, SPOUT_TASK, Shape};

/// How often the supervisor looks.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_hangs_is_killed_and_started_again() -> Result<()> {
    let _alone = alone().await;
    let cluster = Cluster::start(&["east", "west"]).await?;
    let numbers = Numbers {
        n: u64::from(RATE) * 20,
        rate_per_sec: RATE,
    };
    let shape = Shape {
        message_timeout: TIMEOUT,
        ..Shape::default()
    };
    cluster.submit(&numbers.shaped(&cluster, &shape), &["--workers", "2"])?;
    let flow = Flow::watch(&cluster, &numbers, &shape)?;
    flow.until_seen(u64::from(RATE) * 2).await?;

    // The one that only reads: the spout goes on as far as it may.
    let before = cluster.describe(NAME)?;
    let spouts = before.worker_with(SPOUT_TASK).context("the spout's")?;
    let mut workers = before.workers.iter();
    let victim = workers
        .find(|worker| worker.worker != spouts.worker)
        .context("another")?;
    let pid = victim.pid.context("it runs")?;
    cluster.signal(victim, Signal::STOP)?;
    let fault = Instant::now();
    until("it stands still", || Ok(is_stopped(pid))).await?;
    let highest = flow.highest_after(fault).await?;
    let n_seen = flow.last()?.n_seen;
    ensure!(n_seen < numbers.n, "it was not in the middle: {n_seen}");

    cluster.until_gone(pid).await?;
    let killed = fault.elapsed();
    let bound = SILENCE + LOOKS_EVERY;
    // It had been heard of up to a report's time before it was stopped.
    ensure!(
        killed + LOOKS_EVERY >= SILENCE && killed <= bound + ALLOWED,
        "{victim:?} was killed after {killed:?}"
    );
    let after = cluster
        .until_described("it runs again", NAME, |now| {
            let mut workers = now.workers.iter();
            let again = workers.find(|worker| worker.worker == victim.worker);
            Ok(
                again.is_some_and(|again| again.pid.is_some_and(|new| new != pid))
                    && now.is_ready(),
            )
        })
        .await?;
    let again = fault.elapsed();
    ensure!(again <= bound + ALLOWED * 2, "it ran again after {again:?}");
    let mut workers = after.workers.iter();
    let again_as = workers
        .find(|worker| worker.worker == victim.worker)
        .context("it runs")?;
    ensure!(
        again_as.placement_epoch == victim.placement_epoch
            && again_as
                .last_exit
                .as_ref()
                .is_some_and(|exit| exit.contains("said nothing for 10 s")),
        "{again_as:?}"
    );

    let back = flow.until_back(fault, Duration::ZERO).await?;
    flow.until_seen(numbers.n).await?;
    let seen = flow.all_seen_after(fault, &highest)?;
    ensure!(
        seen <= SEEN_WITHIN + ALLOWED,
        "all were seen after {seen:?}"
    );
    truth::told(&cluster, 2).await?;
    let repeats = truth::none_lost(&cluster, &numbers, &shape, 1)?;
    println!(
        "hang: lost 0, twice {repeats}, killed after {} ms, ran again after {} ms, flow back after {} ms, all seen \
         after {} ms",
        killed.as_millis(),
        again.as_millis(),
        back.as_millis(),
        seen.as_millis()
    );
    cluster.end().await
}
