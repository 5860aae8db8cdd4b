//! Nimbus's disk is full, and has room again.

use std::fs;

use anyhow::{Result, ensure};

use squall_e2e::cluster::{Cluster, Described, disk};

use crate::numbers::{NAME, Numbers};

/// The size of the disk, in MiB: the state of a small cluster takes 2.
const DISK_MIB: u32 = 24;
/// A topology whose spec needs fresh room, whatever pages its store had free.
fn large() -> String {
    let words: Vec<String> = (0..20_000).map(|n| format!("word-{n}")).collect();
    let words = words.join(", ");
    format!(
        "name: large
spouts:
  in: {{ type: generate, config: {{ count: 1, fields: {{ word: {{ choice: {{ of: [{words}] }} }} }} }} }}
bolts:
  count: {{ type: count, inputs: [{{ from: in, grouping: {{ fields: [word] }} }}] }}
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_the_submit_and_nothing_else_and_needs_no_restart() -> Result<()> {
    let mut cluster = Cluster::start_on(&["east", "west"], &[], Some(DISK_MIB)).await?;
    let numbers = Numbers {
        n: 1_000_000,
        rate_per_sec: 1_000,
    };
    cluster.submit(&numbers.topology(&cluster), &["--workers", "2"])?;
    fs::write(cluster.folder().join("large.yaml"), large())?;
    let acked = |n: u64| move |now: &Described| Ok(now.acked("in") >= n);
    cluster
        .until_described("numbers flow", NAME, acked(1_000))
        .await?;
    let (pid, pids) = (cluster.nimbus()?.pid(), cluster.worker_pids()?);
    let folder = cluster.nimbus_folder()?;
    println!("{} bytes fill the disk", disk::fill(&folder)?);

    for _ in 0..2 {
        let refused = cluster.run(&["submit", "large.yaml"])?;
        let said = String::from_utf8(refused.stderr)?;
        ensure!(
            refused.status.code() == Some(1),
            "{}: {said}",
            refused.status
        );
        ensure!(
            said.contains("nimbus can't store anything now") && said.contains("free room"),
            "{said}"
        );
        let health = cluster.page("/healthz")?;
        ensure!(health.starts_with("HTTP/1.1 503"), "{health}");
        ensure!(cluster.list()?.len() == 1, "half of it is there");
    }
    let n_reports = cluster.metric("squall_nimbus_reports_total")?;
    ensure!(
        cluster.metric("squall_nimbus_failed_commits_total")? >= 2,
        "not counted"
    );
    let n_acked = cluster.describe(NAME)?.acked("in");
    cluster
        .until_described("numbers flow on", NAME, acked(n_acked + 3_000))
        .await?;
    ensure!(
        cluster.metric("squall_nimbus_reports_total")? > n_reports,
        "no report was taken"
    );
    cluster.until_alive(&["east", "west"]).await?;

    disk::free(&folder)?;
    cluster.squall(&["submit", "large.yaml", "--wait", "60s"])?;
    let health = cluster.page("/healthz")?;
    ensure!(health.starts_with("HTTP/1.1 200"), "{health}");
    ensure!(cluster.nimbus()?.pid() == pid, "nimbus was restarted");
    let left = cluster.worker_pids()?;
    ensure!(
        pids.iter().all(|pid| left.contains(pid)),
        "a worker has died"
    );
    cluster.end().await
}
