//! Workers that are killed every few seconds for a minute.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::Instant;

use squall_e2e::cluster::{Cluster, Worker};
use squall_e2e::{Signal, is_gone, until};

use super::flow::Flow;
use super::{FLOW_WITHIN, RATE, SEEN_WITHIN, TIMEOUT, alone, truth};
use crate::numbers::{NAME, Numbers, Shape};

/// For how long workers are killed, how often at least, and how much time lies between two kills.
const KILLS_FOR: Duration = Duration::from_secs(60);
const MIN_KILLS: usize = 10;
const KILL_EVERY: Duration = Duration::from_secs(5);
/// A supervisor sees an exit within this time.
const EXIT_SEEN_WITHIN: Duration = Duration::from_millis(200);
/// What is allowed on top for a single exit: to be read from a log, every 20 ms, of a process that has to wait for
/// its turn. Half of all exits have to keep to the bound itself.
const EXIT_ALLOWED: Duration = Duration::from_millis(1_800);

/// What followed on a kill.
struct Kill {
    at: Instant,
    /// Below which numbers what was under way is.
    highest: Vec<u64>,
    exit_seen: Duration,
    flow_back: Duration,
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_killed_for_a_minute_lose_nothing() -> Result<()> {
    let _alone = alone().await;
    let mut cluster = Cluster::start(&["east", "west"]).await?;
    let numbers = Numbers {
        n: u64::from(RATE) * 75,
        rate_per_sec: RATE,
    };
    let shape = Shape {
        n_spouts: 2,
        n_bolts: 3,
        message_timeout: TIMEOUT,
        max_uncheckpointed: 20_000,
        ..Shape::default()
    };
    cluster.submit(&numbers.shaped(&cluster, &shape), &["--workers", "3"])?;
    let flow = Flow::watch(&cluster, &numbers, &shape)?;
    flow.until_seen(u64::from(RATE)).await?;

    let mut kills = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < KILLS_FOR || kills.len() < MIN_KILLS {
        let n_seen = flow.last()?.n_seen;
        ensure!(
            n_seen < numbers.n,
            "the numbers ran out after {} kills",
            kills.len()
        );
        let kill = kill(&mut cluster, &flow, kills.len() % 3).await?;
        kills.push(kill);
    }
    flow.until_seen(numbers.n).await?;

    let mut exits: Vec<_> = kills.iter().map(|kill| kill.exit_seen).collect();
    exits.sort_unstable();
    let (median, slowest) = (exits[exits.len() / 2], exits[exits.len() - 1]);
    ensure!(
        median <= EXIT_SEEN_WITHIN,
        "exits were seen after {exits:?}"
    );
    ensure!(
        slowest <= EXIT_SEEN_WITHIN + EXIT_ALLOWED,
        "exits were seen after {exits:?}"
    );
    let backs: Vec<_> = kills.iter().map(|kill| kill.flow_back).collect();
    let slowest_back = backs.iter().max().context("a kill")?;
    ensure!(
        *slowest_back <= FLOW_WITHIN,
        "the flow was back after {backs:?}"
    );
    let seen = kills
        .iter()
        .map(|kill| flow.all_seen_after(kill.at, &kill.highest));
    let seen: Vec<_> = seen.collect::<Result<_>>()?;
    let slowest_seen = seen.iter().max().context("a kill")?;
    ensure!(*slowest_seen <= SEEN_WITHIN, "all were seen after {seen:?}");

    truth::told(&cluster, 3).await?;
    let repeats = truth::none_lost(&cluster, &numbers, &shape, kills.len() as u64)?;
    println!(
        "kills: {} of {}, lost 0, twice {repeats}, exit seen in {} ms (median; slowest {}), flow back in {} ms, all \
         seen in {} ms",
        kills.len(),
        numbers.n,
        median.as_millis(),
        slowest.as_millis(),
        slowest_back.as_millis(),
        slowest_seen.as_millis()
    );
    cluster.end().await
}

/// Kills a worker and waits until the flow is back.
async fn kill(cluster: &mut Cluster, flow: &Flow, victim: usize) -> Result<Kill> {
    let now = cluster.describe(NAME)?;
    let victim = now.workers.get(victim).context("three workers")?.clone();
    let pid = victim.pid.context("it runs")?;
    cluster.signal(&victim, Signal::KILL)?;
    let at = Instant::now();
    let exit_seen = exit_seen(cluster, &victim, pid, at).await?;
    ensure!(is_gone(pid), "{pid} was killed and runs");
    Ok(Kill {
        at,
        highest: flow.highest_after(at).await?,
        exit_seen,
        flow_back: flow.until_back(at, KILL_EVERY).await?,
    })
}

/// Waits until a worker's supervisor says that it is gone; returns how long that took.
async fn exit_seen(
    cluster: &mut Cluster,
    victim: &Worker,
    pid: u32,
    killed: Instant,
) -> Result<Duration> {
    let supervisor = cluster.supervisor(&victim.supervisor)?;
    let field = format!("pid={pid} ");
    until(&format!("{victim:?} is missed"), || {
        let said = supervisor.said()?;
        Ok(said
            .lines()
            .rev()
            .any(|line| line.contains("worker is gone") && line.contains(&field)))
    })
    .await?;
    Ok(killed.elapsed())
}
