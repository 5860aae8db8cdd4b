//! `squall run` ends in the middle, badly or well, and is started again: nothing is lost, and what was
//! checkpointed doesn't come again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value as Json;
use tempfile::TempDir;

use squall_core::CheckpointStore;
use squall_e2e::{Process, root, until};
use squall_kinesis::dev::{Admin, Endpoint, EndpointOptions, PutEntry};
use squall_kinesis::{Connection, Sequence};
use squall_store::FileStore;

/// Laid over the click stream: reads slowly enough to be stopped in the middle, and writes down each record
/// that it has processed.
const OVERLAY: &str = r#"
spouts:
  clicks:
    config:
      endpoint_url: "${ENDPOINT}"
      page_records: 100
      poll_interval: 250ms
      tip_interval: 250ms
      checkpoint_interval: 300ms
bolts:
  record: { type: jsonl, config: { path: out.jsonl }, inputs: [clicks] }
"#;

const N_PUT: u32 = 4000;
/// How many are processed before the first run is stopped.
const N_BEFORE: usize = 1300;
const SIGKILL: i32 = 9;

/// A shard and a sequence number.
type Place = (String, String);

/// One line of the record, as far as it matters here.
#[derive(Deserialize)]
struct Line {
    shard_id: String,
    sequence: String,
    data: String,
}

impl Line {
    fn place(&self) -> Place {
        (self.shard_id.clone(), self.sequence.clone())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_goes_on_behind_its_checkpoint_and_loses_nothing() -> Result<()> {
    let mut stage = Stage::set().await?;
    let mut first = stage.run("first.txt")?;
    stage.await_the_middle(&mut first).await?;
    let status = first.kill()?;
    ensure!(
        status.signal() == Some(SIGKILL),
        "{status}: {}",
        first.said()?
    );
    let before = stage.lines()?;
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
    for Line {
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
    let mut first = stage.run("first.txt")?;
    stage.await_the_middle(&mut first).await?;
    let status = first.terminate().await?;
    ensure!(status.success(), "{status}: {}", first.said()?);
    let before = stage.lines()?;
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

/// A Kinesis endpoint, what was put there, and the folder that `squall` runs in.
struct Stage {
    endpoint: Endpoint,
    admin: Admin,
    folder: TempDir,
    put: BTreeMap<Place, String>,
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
        let (folder, put) = (tempfile::tempdir()?, BTreeMap::new());
        let mut stage = Self {
            endpoint,
            admin,
            folder,
            put,
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

    /// Starts the click stream of this repository.
    fn run(&self, talk: &str) -> Result<Process> {
        let overlay = OVERLAY.replace("${ENDPOINT}", &self.endpoint.url());
        fs::write(self.folder.path().join("overlay.yaml"), overlay)?;
        let topology = root().join("topologies/clickstream/topology.yaml");
        let topology = topology.to_str().context("a path that is text")?;
        Process::start(
            &["run", topology, "-f", "overlay.yaml"],
            self.folder.path(),
            talk,
        )
    }

    async fn await_the_middle(&self, run: &mut Process) -> Result<()> {
        until("a third is processed and saved", || {
            ensure!(run.is_running()?, "ended by itself: {}", run.said()?);
            Ok(self.lines()?.len() >= N_BEFORE && self.state().exists())
        })
        .await
    }

    /// Runs the click stream again until all that was put is processed, and ends it. Returns the record.
    async fn run_to_the_end(&self) -> Result<Vec<Line>> {
        let mut run = self.run("second.txt")?;
        until("all is processed", || {
            ensure!(run.is_running()?, "ended by itself: {}", run.said()?);
            let processed: BTreeSet<Place> = self.lines()?.iter().map(Line::place).collect();
            Ok(self.put.keys().all(|place| processed.contains(place)))
        })
        .await?;
        let status = run.terminate().await?;
        let said = run.said()?;
        ensure!(status.success(), "{status}: {said}");
        ensure!(said.contains("resuming clicks"), "{said}");
        self.lines()
    }

    /// Checks that what was recorded is what was put.
    fn check_record(&self, lines: &[Line]) -> Result<()> {
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

    /// Reads the record; a line that is half written is left out.
    fn lines(&self) -> Result<Vec<Line>> {
        let path = self.folder.path().join("out.jsonl");
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text = fs::read(path)?;
        let lines = text.split(|byte| *byte == b'\n');
        Ok(lines
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect())
    }

    fn state(&self) -> PathBuf {
        self.folder
            .path()
            .join(Path::new(".squall/clickstream.redb"))
    }

    /// Reads how far each shard was saved.
    async fn checkpoints(&self) -> Result<BTreeMap<String, Sequence>> {
        let mut saved = BTreeMap::new();
        for (key, entry) in FileStore::open(self.state())?
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
