//! The demo as a user runs it, checked by counting again what it recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use squall_e2e::{Summary, check_top};

const N_EVENTS: u64 = 5000;

/// One line of `--record`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Processed {
    shard: String,
    sequence: String,
    attempt: u64,
    data: String,
}

#[test]
fn the_demo_loses_nothing_and_its_record_proves_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let record = folder.path().join("record.jsonl");
    let record_arg = record.to_str().context("a path that is text")?;
    let args = ["--events", "5000", "--seed", "7", "--record", record_arg];
    let summary = Summary::of_demo(&args, folder.path())?;
    summary.check(N_EVENTS)?;

    let mut places = BTreeSet::new();
    let mut shards = BTreeSet::new();
    let mut counts = BTreeMap::new();
    let (mut n_lines, mut n_retried) = (0, 0);
    for line in fs::read_to_string(&record)?.lines() {
        let event: Processed = serde_json::from_str(line)?;
        n_lines += 1;
        n_retried += u64::from(event.attempt > 1);
        // The referrer is the second text in quotation marks of a combined log line.
        let referrer = event.data.split('"').nth(3).context("no referrer")?;
        shards.insert(event.shard.clone());
        if places.insert((event.shard, event.sequence)) {
            *counts.entry(referrer.to_owned()).or_insert(0) += 1;
        }
    }
    ensure!(n_lines == summary.processed, "{n_lines} lines, {summary:?}");
    ensure!(
        places.len() as u64 == N_EVENTS,
        "{} events, {summary:?}",
        places.len()
    );
    ensure!(shards.len() as u64 == summary.shards_read, "{shards:?}");
    ensure!(
        n_retried == summary.replayed,
        "{n_retried} retried, {summary:?}"
    );
    check_top(&summary.top, &counts)?;
    // Nothing of the run is left behind.
    let left: Vec<_> = fs::read_dir(folder.path())?.collect::<Result<_, _>>()?;
    ensure!(left.len() == 1, "{left:?}");
    Ok(())
}
