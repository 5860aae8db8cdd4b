//! `squall dev kinesis` is killed while a topology reads from it, and started again: what was put is still
//! there, and the topology goes on by itself.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use squall_e2e::{Clickstream, Process, Processed, until};
use squall_kinesis::Connection;
use squall_kinesis::dev::{Admin, PutEntry};

const SIGKILL: i32 = 9;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_outlives_its_endpoint_and_the_endpoint_keeps_what_was_put() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut endpoint, url) = serve(folder.path(), "0", "first.txt").await?;
    let admin = Admin::connect(&Connection {
        endpoint_url: Some(url.clone()),
        region: None,
    })
    .await;
    let clicks = Clickstream::new(folder.path(), &url)?;

    put(&admin, 0..300).await?;
    let mut run = clicks.run("run.txt")?;
    until("the first clicks are processed", || {
        ensure!(run.is_running()?, "ended by itself: {}", run.said()?);
        Ok(clicks.processed()?.len() >= 100)
    })
    .await?;
    put(&admin, 300..600).await?;
    let status = endpoint.kill()?;
    ensure!(status.signal() == Some(SIGKILL), "{status}");

    let port = url.rsplit(':').next().context("a URL with a port")?;
    let (_endpoint, again) = serve(folder.path(), port, "second.txt").await?;
    ensure!(again == url, "{again} instead of {url}");
    put(&admin, 600..900).await?;
    until("all clicks are processed", || {
        ensure!(run.is_running()?, "ended by itself: {}", run.said()?);
        let processed = clicks.processed()?;
        let different: BTreeSet<&str> = processed.iter().map(|click| click.data.as_str()).collect();
        Ok(different.len() == 900)
    })
    .await?;
    let status = run.terminate().await?;
    ensure!(status.success(), "{status}: {}", run.said()?);
    // Nothing failed in the topology, so nothing came twice.
    let processed = clicks.processed()?;
    let places: BTreeSet<_> = processed.iter().map(Processed::place).collect();
    ensure!(
        (processed.len(), places.len()) == (900, 900),
        "{} lines",
        processed.len()
    );
    Ok(())
}

/// Starts an endpoint that keeps its stream in `folder`; returns its URL once it serves.
async fn serve(folder: &Path, port: &str, talk: &str) -> Result<(Process, String)> {
    let args = [
        "dev",
        "kinesis",
        "--port",
        port,
        "--data-dir",
        "data",
        "--stream",
        "clicks",
        "--shards",
        "2",
    ];
    let mut endpoint = Process::start(&args, folder, talk)?;
    let mut url = None;
    until("the endpoint serves", || {
        ensure!(
            endpoint.is_running()?,
            "ended by itself: {}",
            endpoint.said()?
        );
        let said = endpoint.said()?;
        url = said
            .lines()
            .find(|line| line.starts_with("http://"))
            .map(str::to_owned);
        Ok(url.is_some())
    })
    .await?;
    Ok((endpoint, url.context("a URL")?))
}

async fn put(admin: &Admin, numbers: std::ops::Range<u32>) -> Result<()> {
    let click = |n: u32| {
        PutEntry { partition_key: n.to_string(), data: format!(
        "192.0.2.1 - - [17/May/2015:10:05:03 +0000] \"GET /{n} HTTP/1.1\" 200 1 \"http://example.com/\" \"-\""
    ).into_bytes() }
    };
    let clicks: Vec<PutEntry> = numbers.map(click).collect();
    admin.put_records("clicks", &clicks).await?;
    Ok(())
}
