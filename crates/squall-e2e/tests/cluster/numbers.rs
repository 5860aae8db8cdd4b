//! A topology that numbers its tuples and writes them down, so that what it lost and what came twice can be
//! told by arithmetic.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use squall_e2e::cluster::Cluster;

/// The name of the topology.
pub(crate) const NAME: &str = "numbers";
/// The task of the spout: ids begin with the spouts.
pub(crate) const SPOUT_TASK: u32 = 0;

/// Generated numbers, counted one by one and written down by two tasks.
pub(crate) struct Numbers {
    /// How many there are.
    pub(crate) n: u64,
    /// How many are made a second.
    pub(crate) rate_per_sec: u32,
}

/// What was written down.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    /// How often each number was.
    pub(crate) times: BTreeMap<u64, u64>,
    /// How many lines there are.
    pub(crate) n_lines: u64,
}

/// A line of the record.
#[derive(Debug, Deserialize)]
struct Line {
    /// What was counted, as text.
    key: String,
    count: u64,
}

impl Numbers {
    /// Writes the topology.
    pub(crate) fn topology(&self, cluster: &Cluster) -> String {
        let (n, rate, folder) = (self.n, self.rate_per_sec, cluster.folder().display());
        format!(
            "name: {NAME}
spouts:
  in: {{ type: generate, config: {{ count: {n}, rate_per_sec: {rate} }} }}
bolts:
  count: {{ type: count, parallelism: 2, inputs: [{{ from: in, grouping: {{ fields: [n] }} }}] }}
  out: {{ type: jsonl, parallelism: 2, config: {{ path: '{folder}/out-{{task}}.jsonl' }}, inputs: [count] }}
"
        )
    }

    /// Reads what was written down so far; half a line at the end of a killed worker's writing is no line.
    pub(crate) fn recorded(cluster: &Cluster) -> Result<Recorded> {
        let mut recorded = Recorded::default();
        for entry in fs::read_dir(cluster.folder())? {
            let path = entry?.path();
            if path.extension().is_none_or(|is| is != "jsonl") {
                continue;
            }
            for line in fs::read(&path)?.split(|byte| *byte == b'\n') {
                if let Ok(line) = serde_json::from_slice::<Line>(line) {
                    ensure!(line.count > 0, "{line:?}");
                    *recorded.times.entry(line.key.parse()?).or_default() += 1;
                    recorded.n_lines += 1;
                }
            }
        }
        Ok(recorded)
    }

    /// Tells whether every number was written down.
    pub(crate) fn are_all_in(&self, recorded: &Recorded) -> bool {
        recorded.times.len() as u64 == self.n
    }

    /// Checks that all that was written down are the numbers, and each of them is there.
    pub(crate) fn check(&self, recorded: &Recorded) -> Result<()> {
        let lost = (0..self.n).filter(|n| !recorded.times.contains_key(n));
        let lost: Vec<u64> = lost.collect();
        let first = lost.iter().take(10).collect::<Vec<_>>();
        ensure!(
            lost.is_empty(),
            "{} are lost, first of them {first:?}",
            lost.len()
        );
        let sum: u64 = recorded.times.keys().sum();
        ensure!(
            sum == self.n * (self.n - 1) / 2,
            "there are others among them: they add up to {sum}"
        );
        let last = recorded.times.keys().next_back().context("no number")?;
        ensure!(*last == self.n - 1, "{last} is none of them");
        Ok(())
    }
}
