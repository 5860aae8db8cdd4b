//! Processes that die at the worst moment: between what they have done and what they say of it. Only in builds with
//! the feature `faults`, which compiles fail points in.

use std::fs;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, ensure};

use squall_e2e::cluster::{Cluster, Described};
use squall_e2e::{squall, until};

use crate::numbers::{NAME, Numbers, SPOUT_TASK};
use crate::tapped::{MAX_UNCHECKPOINTED, Tapped};

const NUMBERS: Tapped = Tapped(Numbers {
    n: 12_000,
    rate_per_sec: 2_000,
});

/// Waits until all numbers are written, checks that none is lost, and ends the cluster. Returns how many were
/// written again.
async fn end_of(cluster: Cluster) -> Result<u64> {
    let after = NUMBERS.until_quiet(&cluster).await?;
    let recorded = NUMBERS.check(&cluster)?;
    let n_twice = recorded.n_lines - NUMBERS.0.n;
    let failed = after.component("in").context("the spout")?.failed;
    ensure!(n_twice <= MAX_UNCHECKPOINTED + failed.lost, "{n_twice}");
    cluster.end().await?;
    Ok(n_twice)
}

fn flows(now: &Described) -> Result<bool> {
    Ok(now.is_ready() && now.acked("in") >= 2_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submit_that_was_stored_and_not_answered_is_found_by_who_asked() -> Result<()> {
    let mut cluster = Cluster::start(&["east", "west"]).await?;
    fs::write(
        cluster.folder().join("topology.yaml"),
        NUMBERS.topology(&cluster),
    )?;
    cluster.arm("submit-stored")?;
    let mut submit = Command::new(squall()?);
    submit
        .args(["submit", "topology.yaml", "--workers", "2", "--wait", "60s"])
        .current_dir(cluster.folder())
        .env("SQUALL_NIMBUS", cluster.address());
    let submitting = thread::spawn(move || submit.output());
    cluster.until_reached("submit-stored").await?;
    let nimbus = cluster.nimbus()?;
    until("nimbus is dead", || Ok(!nimbus.is_running()?)).await?;
    cluster.start_nimbus().await?;
    until("the submit has ended", || Ok(submitting.is_finished())).await?;
    let submitted = submitting.join().ok().context("no panic")??;
    let said = String::from_utf8(submitted.stderr)?;
    ensure!(
        submitted.status.success() && said.contains("numbers-1 is submitted"),
        "{}: {said}",
        submitted.status
    );
    ensure!(cluster.list()?.len() == 1, "it was submitted twice");

    // Who doesn't wait and asks again hears that it is his own.
    let again = cluster.run(&["submit", "topology.yaml", "--workers", "2"])?;
    let said = String::from_utf8(again.stderr)?;
    ensure!(
        again.status.code() == Some(1)
            && said.contains("runs already: numbers-1, with this very spec and program")
            && said.contains("if an earlier submit got no answer, this is what it did"),
        "{}: {said}",
        again.status
    );
    let n_twice = end_of(cluster).await?;
    println!("lost 0, {n_twice} written again");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_that_dies_while_it_fetches_or_names_a_file_starts_its_worker_after_all()
-> Result<()> {
    for place in [
        "binary-fetched",
        "Written-launch",
        "Renamed-launch",
        "Renamed-slot.json",
    ] {
        let mut cluster = Cluster::start(&["east"]).await?;
        cluster.arm(place)?;
        fs::write(
            cluster.folder().join("topology.yaml"),
            NUMBERS.topology(&cluster),
        )?;
        cluster.squall(&["submit", "topology.yaml", "--workers", "2"])?;
        cluster.until_reached(place).await?;
        let supervisor = cluster.supervisor("east")?;
        until("the supervisor is dead", || Ok(!supervisor.is_running()?)).await?;
        cluster.start_supervisor("east", &[]).await?;
        let now = cluster.until_described("numbers flow", NAME, flows).await?;
        let mut pids: Vec<u32> = now.workers.iter().filter_map(|worker| worker.pid).collect();
        let mut running = cluster.worker_pids()?;
        pids.sort_unstable();
        running.sort_unstable();
        ensure!(pids == running, "{place}: {pids:?} of {running:?}");
        let n_twice = end_of(cluster).await?;
        println!("{place}: lost 0, {n_twice} written again");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_right_before_it_saves_goes_on_from_what_was_saved() -> Result<()> {
    let cluster = Cluster::start(&["east", "west"]).await?;
    cluster.submit(&NUMBERS.topology(&cluster), &["--workers", "2"])?;
    let before = cluster.until_described("numbers flow", NAME, flows).await?;
    let spout = before
        .worker_with(SPOUT_TASK)
        .context("the spout's worker")?;
    cluster.arm("checkpoint-due")?;
    cluster.until_reached("checkpoint-due").await?;
    let after = cluster
        .until_described("the worker is back", NAME, |now| {
            let again = now.worker_with(SPOUT_TASK);
            Ok(now.is_ready() && again.is_some_and(|again| again.incarnation > spout.incarnation))
        })
        .await?;
    let again = after.worker_with(SPOUT_TASK).context("it is back")?;
    ensure!(
        again
            .last_exit
            .as_ref()
            .is_some_and(|exit| exit.contains("SIGABRT")),
        "{again:?}"
    );
    let n_twice = end_of(cluster).await?;
    println!("lost 0, {n_twice} written again");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_was_stored_and_not_answered_is_read_again() -> Result<()> {
    let mut cluster = Cluster::start(&["east", "west"]).await?;
    cluster.submit(&NUMBERS.topology(&cluster), &["--workers", "2"])?;
    let before = cluster.until_described("numbers flow", NAME, flows).await?;
    cluster.arm("checkpoints-stored")?;
    cluster.until_reached("checkpoints-stored").await?;
    let nimbus = cluster.nimbus()?;
    until("nimbus is dead", || Ok(!nimbus.is_running()?)).await?;
    cluster.start_nimbus().await?;
    let after = cluster.until_described("numbers flow", NAME, flows).await?;
    let pids = |now: &Described| {
        now.workers
            .iter()
            .map(|worker| worker.pid)
            .collect::<Vec<_>>()
    };
    ensure!(
        pids(&before) == pids(&after),
        "a worker has died: {after:#?}"
    );
    let n_twice = end_of(cluster).await?;
    println!("lost 0, {n_twice} written again");
    Ok(())
}
