//! A supervisor and a nimbus that are killed and started again: the tuples don't notice.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::{Instant, interval};

use squall_e2e::cluster::{Cluster, Described};
use squall_e2e::is_gone;

use super::flow::Flow;
use super::{ALLOWED, RATE, TIMEOUT, alone, truth};
use crate::numbers::{NAME, Numbers, Shape};

/// For how long each is away.
const AWAY: Duration = Duration::from_secs(6);
/// Nimbus serves within this time after a restart.
const SERVES_WITHIN: Duration = Duration::from_secs(5);
/// Of the whole rate, what is left at least while one is away. A single second may have less, on a machine that
/// starts processes at the same time.
const MEAN: f64 = 0.9;
const WORST: f64 = 0.3;

#[tokio::test(flavor = "multi_thread")]
async fn tuples_flow_on_while_supervisor_and_nimbus_are_killed_and_started_again() -> Result<()> {
    let _alone = alone().await;
    let mut cluster = Cluster::start(&["east", "west"]).await?;
    let numbers = Numbers {
        n: u64::from(RATE) * 25,
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
    let before = cluster.describe(NAME)?;

    let pid = cluster.supervisor("west")?.pid();
    cluster.kill_supervisor("west")?;
    ensure!(is_gone(pid), "the supervisor was killed and runs");
    let killed = Instant::now();
    undisturbed_for(AWAY, &cluster, &before).await?;
    let starts = Instant::now();
    cluster.start_supervisor("west", &[]).await?;
    let after = cluster
        .until_described("its worker is known again", NAME, |now| {
            Ok(now.is_ready() && copies(now) == copies(&before))
        })
        .await?;
    let adopted = starts.elapsed();
    undisturbed_for(Duration::from_secs(1), &cluster, &before).await?;
    ensure!(copies(&after) == copies(&before), "{after:#?}");
    let by_supervisor = flow.rates(killed, starts)?;

    let pid = cluster.nimbus()?.pid();
    cluster.kill_nimbus()?;
    ensure!(is_gone(pid), "nimbus was killed and runs");
    let killed = Instant::now();
    undisturbed_for(AWAY, &cluster, &before).await?;
    let asked = cluster.run(&["list"])?;
    ensure!(!asked.status.success(), "nobody answers: {asked:?}");
    let starts = Instant::now();
    cluster.start_nimbus().await?;
    let listed = cluster.list()?;
    let serves = starts.elapsed();
    ensure!(listed.len() == 1, "{listed:?}");
    ensure!(
        serves <= SERVES_WITHIN + ALLOWED,
        "nimbus served after {serves:?}"
    );
    let by_nimbus = flow.rates(killed, starts)?;
    let n_seen = flow.last()?.n_seen;
    ensure!(n_seen < numbers.n, "it was not in the middle: {n_seen}");
    for (who, (mean, worst)) in [("supervisor", by_supervisor), ("nimbus", by_nimbus)] {
        ensure!(
            mean >= MEAN && worst >= WORST,
            "without {who} {mean:.2} of the rate, in the worst second {worst:.2}"
        );
    }

    flow.until_seen(numbers.n).await?;
    let told = truth::told(&cluster, 2).await?;
    ensure!(copies(&told) == copies(&before), "{told:#?}");
    ensure!(
        told.workers.iter().all(|worker| worker.restarts == 0),
        "{told:#?}"
    );
    // Nobody who runs tuples was disturbed: nothing may come twice.
    let repeats = truth::none_lost(&cluster, &numbers, &shape, 0)?;
    println!(
        "supervisor away {AWAY:?}: rate {:.2}, worst second {:.2}, workers adopted after {} ms; nimbus away: rate {:.2}, \
         worst second {:.2}, serves after {} ms; lost 0, twice {repeats}",
        by_supervisor.0,
        by_supervisor.1,
        adopted.as_millis(),
        by_nimbus.0,
        by_nimbus.1,
        serves.as_millis()
    );
    cluster.end().await
}

/// Which copies of which workers run, and as which processes.
fn copies(now: &Described) -> Vec<(u32, Option<u32>, u64, u64)> {
    let mut copies: Vec<_> = { now.workers.iter() }
        .map(|worker| {
            let fence = (worker.placement_epoch, worker.incarnation);
            (worker.worker, worker.pid, fence.0, fence.1)
        })
        .collect();
    copies.sort_unstable();
    copies
}

/// Looks for a time that the same workers run, and no others.
async fn undisturbed_for(time: Duration, cluster: &Cluster, before: &Described) -> Result<()> {
    let pids: Option<Vec<u32>> = before.workers.iter().map(|worker| worker.pid).collect();
    let mut pids = pids.context("all run")?;
    pids.sort_unstable();
    let (begun, mut looks) = (Instant::now(), interval(Duration::from_millis(50)));
    while begun.elapsed() < time {
        looks.tick().await;
        let mut now = cluster.worker_pids()?;
        now.sort_unstable();
        ensure!(now == pids, "{pids:?} ran, now {now:?}");
    }
    Ok(())
}
