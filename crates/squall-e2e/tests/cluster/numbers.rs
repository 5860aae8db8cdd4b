//! A topology that numbers its tuples and writes them down, so that what it lost and what came twice can be
//! told by arithmetic.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

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

/// How the numbers are spread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// How many tasks make them.
    pub(crate) n_spouts: u32,
    /// How many tasks count them, and how many write them down.
    pub(crate) n_bolts: u32,
    /// The topology's time-out.
    pub(crate) message_timeout: Duration,
    /// How many trees each spout's task has pending at most.
    pub(crate) max_spout_pending: u64,
    /// How many rows each spout's task may be ahead of its checkpoint.
    pub(crate) max_uncheckpointed: u64,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            n_spouts: 1,
            n_bolts: 2,
            message_timeout: Duration::from_secs(30),
            max_spout_pending: 10_000,
            max_uncheckpointed: 100_000,
        }
    }
}

impl Shape {
    /// Returns how many numbers may come twice because of one fault: of each of the spout's tasks those that its
    /// checkpoint doesn't know to be done, or those that were under way.
    pub(crate) fn max_repeats(&self) -> u64 {
        let of_each = self.max_uncheckpointed.max(self.max_spout_pending);
        u64::from(self.n_spouts) * of_each
    }
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
    /// Writes the topology: the spout goes on after a restart where it was.
    pub(crate) fn topology(&self, cluster: &Cluster) -> String {
        self.shaped(cluster, &Shape::default())
    }

    /// Writes the topology of another shape.
    pub(crate) fn shaped(&self, cluster: &Cluster, shape: &Shape) -> String {
        let (n, rate, folder) = (self.n, self.rate_per_sec, cluster.folder().display());
        let Shape {
            n_spouts, n_bolts, ..
        } = shape;
        let (timeout, pending) = (shape.message_timeout.as_secs(), shape.max_spout_pending);
        let ahead = shape.max_uncheckpointed;
        format!(
            "name: {NAME}
settings: {{ message_timeout: {timeout}s, max_spout_pending: {pending} }}
spouts:
  in:
    type: generate
    parallelism: {n_spouts}
    config: {{ count: {n}, rate_per_sec: {rate}, resume: true, max_uncheckpointed: {ahead} }}
bolts:
  count: {{ type: count, parallelism: {n_bolts}, inputs: [{{ from: in, grouping: {{ fields: [n] }} }}] }}
  out:
    type: jsonl
    parallelism: {n_bolts}
    config: {{ path: '{folder}/out-{{task}}.jsonl' }}
    inputs: [count]
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

    /// Reads a line of the record; `None` where it is none.
    pub(crate) fn number(line: &[u8]) -> Option<u64> {
        let line: Line = serde_json::from_slice(line).ok()?;
        line.key.parse().ok()
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
