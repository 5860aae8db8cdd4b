//! From submit to kill, with nothing in the way.

use std::fs;

use anyhow::{Context, Result, ensure};

use squall_e2e::cluster::{Cluster, Described, Failed};
use squall_e2e::{program, until, until_asked};

use crate::numbers::{NAME, Numbers};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_submitted_runs_on_several_machines_and_loses_nothing() -> Result<()> {
    let cluster = Cluster::start(&["east", "west"]).await?;
    let numbers = Numbers {
        n: 20_000,
        rate_per_sec: 10_000,
    };
    let submitted = cluster.submit(&numbers.topology(&cluster), &["--workers", "2"])?;
    ensure!(
        submitted
            .stderr
            .contains("numbers-1 runs: 2 of 2 workers ready"),
        "{submitted:?}"
    );

    // Workers report each for itself: what one has done the other tells a moment later.
    let described = cluster
        .until_described("all numbers are counted, written and acked", NAME, |now| {
            let done = [
                now.acked("in"),
                executed(now, "count"),
                executed(now, "out"),
            ];
            Ok(done.iter().all(|done| *done >= numbers.n))
        })
        .await?;
    let spout = described.component("in").context("the spout")?;
    ensure!(
        (spout.acked, spout.emitted, spout.pending) == (numbers.n, numbers.n, 0),
        "{spout:?}"
    );
    ensure!(spout.failed == Failed::default(), "{spout:?}");
    for bolt in ["count", "out"] {
        ensure!(executed(&described, bolt) == numbers.n, "{described:?}");
    }
    let mut hosts: Vec<&str> = described
        .plan
        .workers
        .iter()
        .map(|placed| placed.supervisor.as_str())
        .collect();
    hosts.sort_unstable();
    ensure!(
        hosts == ["east", "west"],
        "both machines have a worker: {hosts:?}"
    );

    let recorded = Numbers::recorded(&cluster)?;
    numbers.check(&recorded)?;
    ensure!(
        recorded.n_lines == numbers.n,
        "{} lines for {} numbers",
        recorded.n_lines,
        numbers.n
    );

    let pids = cluster.worker_pids()?;
    ensure!(pids.len() == 2, "{pids:?}");
    cluster.squall(&["kill", NAME, "--wait", "5s", "--yes"])?;
    until_asked("the topology is forgotten", || {
        Ok(cluster.list()?.is_empty())
    })
    .await?;
    for pid in pids {
        cluster.until_gone(pid).await?;
    }
    let unknown = cluster.run(&["describe", NAME])?;
    ensure!(unknown.status.code() == Some(1), "{unknown:?}");
    cluster.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_of_ones_own_is_the_worker_and_builds_its_topology_again() -> Result<()> {
    let bin = program("word-count")?;
    let bin = bin.to_str().context("text")?;
    let cluster = Cluster::start(&["east", "west"]).await?;
    let words = cluster.folder().join("words");
    let lines: String = (0..500).map(|n| format!("the quick {n}\n")).collect();
    fs::write(&words, lines)?;
    let words = words.to_str().context("text")?.to_owned();
    cluster.squall(&[
        "submit",
        "word-count",
        "--bin",
        bin,
        "--workers",
        "2",
        "--wait",
        "60s",
        "--",
        "--lines",
        &words,
    ])?;
    // The author's own bolt, and a ready-made one behind it.
    let done = |now: &Described| {
        [
            now.acked("in"),
            executed(now, "split"),
            executed(now, "count"),
        ]
    };
    let described = cluster
        .until_described("all words are counted", "word-count", |now| {
            let wanted = [500, 500, 1500];
            Ok(done(now)
                .iter()
                .zip(wanted)
                .all(|(done, wanted)| *done >= wanted))
        })
        .await?;
    ensure!(done(&described) == [500, 500, 1500], "{described:#?}");
    cluster.squall(&["kill", "word-count", "--wait", "0s", "--yes"])?;
    until_asked("it is gone", || Ok(cluster.list()?.is_empty())).await?;
    until("no worker is left", || {
        Ok(cluster.worker_pids()?.is_empty())
    })
    .await?;
    cluster.end().await
}

fn executed(now: &Described, bolt: &str) -> u64 {
    now.component(bolt).map_or(0, |bolt| bolt.executed)
}
