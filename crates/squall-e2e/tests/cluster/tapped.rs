//! The numbers with a tap beside the spout, which tells how often each was emitted: what a link or a worker has
//! doubled differs from what the spout has emitted twice.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tokio::time::Instant;

use squall_e2e::cluster::{Cluster, Described};

use crate::numbers::{NAME, Numbers, Recorded};

/// How long nothing may happen until it is believed that nothing will.
const QUIET_FOR: Duration = Duration::from_secs(3);

/// How many numbers the spout emits beyond what is saved: as many may come again after it was killed.
pub(crate) const MAX_UNCHECKPOINTED: u64 = 10_000;

/// Generated numbers that cross the link twice on their way: to be counted by key, and to be written.
pub(crate) struct Tapped(pub(crate) Numbers);

/// A line of the tap.
#[derive(Debug, Deserialize)]
struct Emitted {
    n: u64,
}

impl Tapped {
    /// Writes the topology.
    pub(crate) fn topology(&self, cluster: &Cluster) -> String {
        let Numbers { n, rate_per_sec } = &self.0;
        let folder = cluster.folder().display();
        format!(
            "name: {NAME}
settings: {{ message_timeout: 20s }}
spouts:
  in: {{ type: generate, config: {{ count: {n}, rate_per_sec: {rate_per_sec}, resume: true, max_uncheckpointed: {MAX_UNCHECKPOINTED} }} }}
bolts:
  tap: {{ type: jsonl, parallelism: 2, config: {{ path: '{folder}/tap-{{task}}.lines' }}, inputs: [in] }}
  count: {{ type: count, parallelism: 2, inputs: [{{ from: in, grouping: {{ fields: [n] }} }}] }}
  out:
    type: jsonl
    parallelism: 2
    config: {{ path: '{folder}/out-{{task}}.jsonl' }}
    inputs: [{{ from: count, grouping: shuffle }}]
"
        )
    }

    /// Waits until the spout has emitted all there is, and has heard of all of it.
    pub(crate) async fn until_quiet(&self, cluster: &Cluster) -> Result<Described> {
        let mut since: Option<(u64, Instant)> = None;
        cluster
            .until_described("all numbers are acked", NAME, |now| {
                let spout = now.component("in").context("the spout")?;
                let same = since.filter(|(emitted, _)| *emitted == spout.emitted);
                let (_, began) = *since.insert(same.unwrap_or((spout.emitted, Instant::now())));
                let is_quiet = began.elapsed() >= QUIET_FOR;
                Ok(is_quiet && now.is_ready() && spout.emitted > 0 && spout.pending == 0)
            })
            .await
    }

    /// Checks that no number is lost, and returns what was recorded.
    pub(crate) fn check(&self, cluster: &Cluster) -> Result<Recorded> {
        let recorded = Numbers::recorded(cluster)?;
        self.0.check(&recorded)?;
        Ok(recorded)
    }

    /// Checks that each number was written at most as often as it was emitted. Only where no worker has died:
    /// with it dies what its tap had not written yet.
    pub(crate) fn check_doubles(cluster: &Cluster, recorded: &Recorded) -> Result<()> {
        let mut emitted: BTreeMap<u64, u64> = BTreeMap::new();
        for entry in fs::read_dir(cluster.folder())? {
            let path = entry?.path();
            if path.extension().is_some_and(|is| is == "lines") {
                for line in fs::read_to_string(path)?.lines() {
                    let Emitted { n } = serde_json::from_str(line)?;
                    *emitted.entry(n).or_default() += 1;
                }
            }
        }
        let written = recorded.times.iter();
        let doubled = written.filter(|(n, times)| emitted.get(n) < Some(times));
        let doubled: Vec<_> = doubled.collect();
        ensure!(
            doubled.is_empty(),
            "{} were written more often than emitted, first of them {:?} (number, times)",
            doubled.len(),
            doubled.first()
        );
        Ok(())
    }
}
