//! What is to be so after all of it.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};

use squall_e2e::cluster::{Cluster, Described};

use crate::numbers::{NAME, Numbers, Recorded, Shape};

/// Waits until `squall list` and `describe` say what the system does: every worker is ready, and they are the
/// processes that there are, no more and no fewer.
pub(crate) async fn told(cluster: &Cluster, n_workers: u32) -> Result<Described> {
    let holds = |now: &Described| {
        let told: Option<BTreeSet<u32>> = now.workers.iter().map(|worker| worker.pid).collect();
        let are: BTreeSet<u32> = cluster.worker_pids()?.into_iter().collect();
        Ok(now.is_ready() && told.as_ref() == Some(&are) && are.len() == n_workers as usize)
    };
    let described = cluster
        .until_described("what is told is what runs", NAME, holds)
        .await?;
    let listed = cluster.list()?;
    let [summary] = listed.as_slice() else {
        anyhow::bail!("one topology runs: {listed:?}");
    };
    ensure!(
        (summary.name.as_str(), summary.state.as_str()) == (NAME, "active")
            && summary.workers == n_workers
            && summary.workers_ready == n_workers
            && summary.tasks_unplaced == 0,
        "{summary:?}"
    );
    Ok(described)
}

/// Checks that nothing is lost and that no more came twice than so many faults explain. Returns how many did.
pub(crate) fn none_lost(
    cluster: &Cluster,
    numbers: &Numbers,
    shape: &Shape,
    n_faults: u64,
) -> Result<u64> {
    let recorded: Recorded = Numbers::recorded(cluster)?;
    numbers.check(&recorded)?;
    let repeats = recorded.n_lines.checked_sub(numbers.n);
    let repeats = repeats.context("fewer lines than numbers")?;
    let bound = shape.max_repeats() * n_faults;
    ensure!(
        repeats <= bound,
        "{repeats} came twice, above the bound of {bound}"
    );
    Ok(repeats)
}
