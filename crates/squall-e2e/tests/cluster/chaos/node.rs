//! A machine that is gone: its supervisor and all its workers at once.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::Instant;

use squall_e2e::cluster::Cluster;
use squall_e2e::{Signal, is_gone};

use super::flow::Flow;
use super::{ALLOWED, FLOW_WITHIN, PLACED_WITHIN, RATE, SEEN_WITHIN, TIMEOUT, alone, truth};
use crate::numbers::{NAME, Numbers, Shape};

#[tokio::test(flavor = "multi_thread")]
async fn the_tasks_of_a_lost_machine_go_on_elsewhere() -> Result<()> {
    let _alone = alone().await;
    let mut cluster = Cluster::start(&["east", "west", "north"]).await?;
    let numbers = Numbers {
        n: u64::from(RATE) * 25,
        rate_per_sec: RATE,
    };
    let shape = Shape {
        n_spouts: 3,
        n_bolts: 3,
        message_timeout: TIMEOUT,
        ..Shape::default()
    };
    cluster.submit(&numbers.shaped(&cluster, &shape), &["--workers", "3"])?;
    let flow = Flow::watch(&cluster, &numbers, &shape)?;
    flow.until_seen(u64::from(RATE) * 2).await?;

    let before = cluster.describe(NAME)?;
    let victims: Vec<_> = { before.workers.iter() }
        .filter(|worker| worker.supervisor == "west")
        .collect();
    ensure!(!victims.is_empty(), "nothing runs there: {before:#?}");
    cluster.kill_supervisor("west")?;
    for victim in &victims {
        cluster.signal(victim, Signal::KILL)?;
    }
    let fault = Instant::now();
    for victim in &victims {
        cluster.until_gone(victim.pid.context("a process")?).await?;
    }
    let highest = flow.highest_after(fault).await?;
    let n_seen = flow.last()?.n_seen;
    ensure!(n_seen < numbers.n, "it was not in the middle: {n_seen}");

    let placed = cluster
        .until_described("the tasks have another place", NAME, |now| {
            let mut places = now.plan.workers.iter();
            Ok(places.all(|placed| placed.supervisor != "west"))
        })
        .await?;
    let placed_after = fault.elapsed();
    ensure!(
        placed_after <= PLACED_WITHIN + ALLOWED,
        "placed elsewhere after {placed_after:?}"
    );
    for worker in { before.workers.iter() }.filter(|worker| worker.supervisor != "west") {
        let mut places = placed.plan.workers.iter();
        ensure!(
            places.any(|placed| placed.worker == worker.worker
                && placed.placement_epoch == worker.placement_epoch),
            "{worker:?} was moved: {placed:#?}"
        );
        ensure!(
            !is_gone(worker.pid.context("a process")?),
            "{worker:?} was disturbed"
        );
    }
    let back = flow.until_back(fault, Duration::ZERO).await?;
    ensure!(
        back <= placed_after + FLOW_WITHIN,
        "the flow was back after {back:?}, placed after {placed_after:?}"
    );
    flow.until_seen(numbers.n).await?;
    let seen = flow.all_seen_after(fault, &highest)?;
    ensure!(
        seen <= SEEN_WITHIN + ALLOWED,
        "all were seen after {seen:?}"
    );
    truth::told(&cluster, 3).await?;
    let known = cluster.supervisors()?;
    let west = known.iter().find(|known| known.id == "west");
    ensure!(west.is_none_or(|west| west.state != "alive"), "{known:?}");
    let repeats = truth::none_lost(&cluster, &numbers, &shape, 1)?;
    println!(
        "node loss: lost 0, twice {repeats}, placed elsewhere after {} ms, flow back after {} ms, all seen after {} ms",
        placed_after.as_millis(),
        back.as_millis(),
        seen.as_millis()
    );
    cluster.end().await
}
