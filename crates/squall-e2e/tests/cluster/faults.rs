//! Workers that are killed while numbers flow.

use anyhow::{Context, Result, ensure};

use squall_e2e::cluster::{Cluster, Described};
use squall_e2e::{Signal, until};

use crate::numbers::{NAME, Numbers, SPOUT_TASK};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_comes_back_and_every_number_is_seen() -> Result<()> {
    let cluster = Cluster::start(&["east", "west"]).await?;
    let numbers = Numbers {
        n: 30_000,
        rate_per_sec: 3_000,
    };
    cluster.submit(&numbers.topology(&cluster), &["--workers", "2"])?;

    // First one that only reads, then the spout's own.
    for of_spout in [false, true] {
        let before = cluster
            .until_described("numbers flow", NAME, |now| {
                Ok(now.is_ready() && now.acked("in") >= 3_000)
            })
            .await?;
        let spouts = before
            .worker_with(SPOUT_TASK)
            .context("the spout's worker")?;
        let mut workers = before.workers.iter();
        let victim = workers.find(|worker| (worker.worker == spouts.worker) == of_spout);
        let victim = victim.context("a worker")?;
        cluster.signal(victim, Signal::KILL)?;
        let recorded = Numbers::recorded(&cluster)?;
        let n_seen = recorded.times.len() as u64;
        ensure!(
            (1..numbers.n).contains(&n_seen),
            "it was not in the middle: {n_seen} were seen"
        );

        let after = cluster
            .until_described("the worker is back", NAME, |now| {
                let mut workers = now.workers.iter();
                let again = workers.find(|worker| worker.worker == victim.worker);
                Ok(
                    again.is_some_and(|again| again.pid.is_some() && again.pid != victim.pid)
                        && now.is_ready(),
                )
            })
            .await?;
        let mut workers = after.workers.iter();
        let again = workers
            .find(|worker| worker.worker == victim.worker)
            .context("it is back")?;
        ensure!(
            again.incarnation > victim.incarnation,
            "{victim:?}, {again:?}"
        );
        ensure!(
            again.placement_epoch == victim.placement_epoch,
            "it has not moved: {again:?}"
        );
        ensure!(
            again
                .last_exit
                .as_ref()
                .is_some_and(|exit| exit.contains("SIGKILL")),
            "{again:?}"
        );
        let others = |described: &Described| {
            let others = described
                .workers
                .iter()
                .filter(|worker| worker.worker != victim.worker);
            others
                .map(|worker| (worker.worker, worker.pid))
                .collect::<Vec<_>>()
        };
        ensure!(
            others(&before) == others(&after),
            "others were disturbed: {after:#?}"
        );
    }
    until("every number was seen", || {
        Ok(numbers.are_all_in(&Numbers::recorded(&cluster)?))
    })
    .await?;
    // Its last instance goes on where the first was: it acks what was left.
    let acked = |now: &Described| {
        let spout = now.component("in");
        Ok(spout.is_some_and(|spout| spout.pending == 0 && spout.acked > 0))
    };
    cluster
        .until_described("nothing is pending", NAME, acked)
        .await?;
    let recorded = Numbers::recorded(&cluster)?;
    numbers.check(&recorded)?;
    println!(
        "{} lines for {} numbers, lost 0",
        recorded.n_lines, numbers.n
    );
    cluster.end().await
}
