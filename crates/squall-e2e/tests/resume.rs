//! `squall run` ends in the middle, badly or well, and is started again: nothing is lost, and what was
//! checkpointed doesn't come again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::os::unix::process::ExitStatusExt;

use anyhow::{Context, Result, ensure};
use serde_json::Value as Json;
use tempfile::TempDir;

use squall_core::CheckpointStore;
use squall_e2e::{Clickstream, Place, Process, Processed, until};
use squall_kinesis::dev::{Admin, Endpoint, EndpointOptions, PutEntry};
use squall_kinesis::{Connection, Sequence};
use squall_store::FileStore;

const N_PUT: u32 = 4000;
/// How many are processed before the first run is stopped.
const N_BEFORE: usize = 1300;
const SIGKILL: i32 = 9;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_goes_on_behind_its_checkpoint_and_loses_nothing() -> Result<()> {
    let mut stage = Stage::set().await?;
    let mut first = stage.clicks.run("first.txt")?;
    stage.await_the_middle(&mut first).await?;
    let status = first.kill()?;
    ensure!(
        status.signal() == Some(SIGKILL),
        "{status}: {}",
        first.said()?
    );
    let before = stage.clicks.processed()?;
    ensure!(
        before.len() < stage.put.len(),
        "it was not in the middle: {}",
        before.len()
    );
    let checkpoints = stage.checkpoints().await?;
    ensure!(checkpoints.len() == 2, "{checkpoints:?}");

    // While nobody reads, a shard is split and more is put.
    let shards = stage.admin.list_shards("clicks").await?;
    stage
        .admin
        .split_shard("clicks", &shards.first().context("a shard")?.id)
        .await?;
    stage.put(N_PUT..N_PUT + 1000).await?;

    let all = stage.run_to_the_end().await?;
    stage.check_record(&all)?;
    let after = all
        .get(before.len()..)
        .context("the second run has shortened the file")?;
    for Processed {
        shard_id, sequence, ..
    } in after
    {
        let sequence = Sequence::parse(sequence)?;
        let saved = checkpoints
            .get(shard_id)
            .is_some_and(|checkpoint| sequence <= *checkpoint);
        ensure!(
            !saved,
            "{sequence} of {shard_id} came again, and its checkpoint was saved"
        );
    }
    println!(
        "{} lines for {} records, {} before the kill",
        all.len(),
        stage.put.len(),
        before.len()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_asked_to_end_goes_on_where_it_was_and_nothing_comes_twice() -> Result<()> {
    let stage = Stage::set().await?;
    let mut first = stage.clicks.run("first.txt")?;
    stage.await_the_middle(&mut first).await?;
    let status = first.terminate().await?;
    ensure!(status.success(), "{status}: {}", first.said()?);
    let before = stage.clicks.processed()?;
    ensure!(
        before.len() < stage.put.len(),
        "it was not in the middle: {}",
        before.len()
    );

    let all = stage.run_to_the_end().await?;
    stage.check_record(&all)?;
    ensure!(
        all.len() == stage.put.len(),
        "{} lines for {} records",
        all.len(),
        stage.put.len()
    );
    Ok(())
}

/// A Kinesis endpoint, what was put there, and the click stream that reads it.
struct Stage {
    admin: Admin,
    put: BTreeMap<Place, String>,
    clicks: Clickstream,
    _endpoint: Endpoint,
    _folder: TempDir,
}

impl Stage {
    async fn set() -> Result<Self> {
        let endpoint = Endpoint::start(EndpointOptions::default()).await?;
        let connection = Connection {
            endpoint_url: Some(endpoint.url()),
            region: None,
        };
        let admin = Admin::connect(&connection).await;
        admin.create_stream("clicks", 2).await?;
        let folder = tempfile::tempdir()?;
        let mut stage = Self {
            admin,
            put: BTreeMap::new(),
            clicks: Clickstream::new(folder.path(), &endpoint.url())?,
            _endpoint: endpoint,
            _folder: folder,
        };
        stage.put(0..N_PUT).await?;
        Ok(stage)
    }

    /// Puts a click for each number.
    async fn put(&mut self, numbers: Range<u32>) -> Result<()> {
        let click = |n: u32| {
            let request = format!("[17/May/2015:10:05:03 +0000] \"GET /{n} HTTP/1.1\" 200 1");
            let data = format!(
                "192.0.2.1 - - {request} \"http://example.com/{}\" \"-\"",
                n % 7
            );
            PutEntry {
                partition_key: n.to_string(),
                data: data.into_bytes(),
            }
        };
        let clicks: Vec<PutEntry> = numbers.map(click).collect();
        let places = self.admin.put_records("clicks", &clicks).await?;
        for (place, click) in places.into_iter().zip(clicks) {
            let place = (place.shard.to_string(), place.sequence);
            self.put.insert(place, String::from_utf8(click.data)?);
        }
        Ok(())
    }

    async fn await_the_middle(&self, run: &mut Process) -> Result<()> {
        until("a third is processed and saved", || {
            ensure!(run.is_running()?, "ended by itself: {}", run.said()?);
            Ok(self.clicks.processed()?.len() >= N_BEFORE && self.clicks.state().exists())
        })
        .await
    }

    /// Runs the click stream again until all that was put is processed, and ends it. Returns the record.
    async fn run_to_the_end(&self) -> Result<Vec<Processed>> {
        let mut run = self.clicks.run("second.txt")?;
        until("all is processed", || {
            ensure!(run.is_running()?, "ended by itself: {}", run.said()?);
            let processed: BTreeSet<Place> = self
                .clicks
                .processed()?
                .iter()
                .map(Processed::place)
                .collect();
            Ok(self.put.keys().all(|place| processed.contains(place)))
        })
        .await?;
        let status = run.terminate().await?;
        let said = run.said()?;
        ensure!(status.success(), "{status}: {said}");
        ensure!(
            said.contains("resuming clicks") && said.contains(" s old; "),
            "{said}"
        );
        self.clicks.processed()
    }

    /// Checks that what was recorded is what was put.
    fn check_record(&self, lines: &[Processed]) -> Result<()> {
        for line in lines {
            let put = self.put.get(&line.place());
            ensure!(
                put == Some(&line.data),
                "{:?}: {}, but {put:?} was put",
                line.place(),
                line.data
            );
        }
        Ok(())
    }

    /// Reads how far each shard was saved.
    async fn checkpoints(&self) -> Result<BTreeMap<String, Sequence>> {
        let mut saved = BTreeMap::new();
        for (key, entry) in FileStore::open(self.clicks.state())?
            .list("clickstream/clicks/clicks/")
            .await?
        {
            let state: Json = serde_json::from_slice(&entry.value)?;
            let sequence = state
                .pointer("/checkpoint/after/sequence")
                .and_then(Json::as_str);
            if let (Some(sequence), Some((_, shard))) = (sequence, key.rsplit_once('/')) {
                saved.insert(shard.to_owned(), Sequence::parse(sequence)?);
            }
        }
        Ok(saved)
    }
}
