//! What the demo comes to.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use squall::local::Totals;
use squall_runtime::TopologySnapshot;

use super::topology::Demo;
use super::truth;

/// How many keys the ranking has.
const N_TOP: usize = 10;
/// What the spout's gauge `state` shows for a shard that is done.
const FINISHED: u64 = 3;

/// The whole run in numbers.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    /// Events put to the stream.
    put: u64,
    /// Events processed, repeats included.
    processed: u64,
    /// Different events processed.
    distinct: u64,
    /// Events put and never processed.
    lost: u64,
    /// Repeats.
    duplicates: u64,
    /// Tuple trees acked.
    acked: u64,
    /// Tuple trees failed.
    failed: u64,
    /// Emits of events that had failed.
    replayed: u64,
    /// Events given up.
    dead_lettered: u64,
    /// Shards that events came from.
    shards_read: usize,
    /// Shards read to their end, all of their events done.
    shards_finished: usize,
    /// Every referrer's count, and the ranking, are as the producer knows them.
    matches_truth: bool,
    /// The topology's ranking at the end.
    top: Vec<Ranked>,
    elapsed_s: f64,
}

/// A key and how often it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Ranked {
    pub(super) key: String,
    pub(super) count: u64,
}

impl Summary {
    pub(super) fn new(snapshot: &TopologySnapshot, demo: &Demo, truth: &truth::Shared) -> Self {
        let totals = Totals::of(snapshot);
        let truth = truth.lock();
        let (processed, distinct) = (demo.tape.n_processed(), demo.tape.n_distinct());
        let top = ranking_of(snapshot);
        let matches_truth = demo.tally.counts() == truth.counts && top == rank(&truth.counts);
        Self {
            put: truth.places.len() as u64,
            processed,
            distinct,
            lost: demo.tape.n_missing(&truth.places),
            duplicates: processed.saturating_sub(distinct),
            acked: totals.acked,
            failed: totals.failed,
            replayed: totals.replayed,
            dead_lettered: metrics(snapshot, "dead").map(|(_, n)| n).sum(),
            shards_read: demo.tape.n_shards(),
            shards_finished: metrics(snapshot, "state")
                .filter(|(_, s)| *s == FINISHED)
                .count(),
            matches_truth,
            top,
            elapsed_s: snapshot.uptime.as_secs_f64(),
        }
    }

    /// Tells whether nothing was lost and every count is right.
    pub(super) const fn is_good(&self) -> bool {
        self.lost == 0 && self.matches_truth
    }
}

/// Reads the ranking that the bolt `top` shows.
pub(super) fn ranking_of(snapshot: &TopologySnapshot) -> Vec<Ranked> {
    let counts = metrics(snapshot, "top_count").map(|(key, count)| (key.to_owned(), count));
    rank(&counts.collect())
}

/// Iterates over a metric of all tasks, by label.
pub(super) fn metrics<'s>(
    snapshot: &'s TopologySnapshot,
    name: &'s str,
) -> impl Iterator<Item = (&'s str, u64)> {
    let readings = snapshot.tasks.iter().flat_map(|task| &task.metrics);
    let named = readings.filter(move |reading| reading.name == name);
    named.map(|reading| {
        (
            reading.label.as_str(),
            u64::try_from(reading.value).unwrap_or(0),
        )
    })
}

fn rank(counts: &BTreeMap<String, u64>) -> Vec<Ranked> {
    let mut ranked: Vec<_> = counts
        .iter()
        .map(|(key, count)| Ranked {
            key: key.clone(),
            count: *count,
        })
        .collect();
    // Equal counts stay in the order of their keys.
    ranked.sort_by_key(|ranked| Reverse(ranked.count));
    ranked.truncate(N_TOP);
    ranked
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>10}  top referrers", "clicks")?;
        for Ranked { key, count } in &self.top {
            writeln!(f, "{count:>10}  {key}")?;
        }
        writeln!(
            f,
            "\nput {}, processed {} ({} different), lost {}, duplicates {}",
            self.put, self.processed, self.distinct, self.lost, self.duplicates
        )?;
        writeln!(
            f,
            "acked {}, failed {}, replayed {}, dead letters {}",
            self.acked, self.failed, self.replayed, self.dead_lettered
        )?;
        writeln!(
            f,
            "{} shards read, {} of them to the end after a split; {:.1} s",
            self.shards_read, self.shards_finished, self.elapsed_s
        )?;
        f.write_str(if self.is_good() {
            "the topology's counts are those of the producer: nothing was lost"
        } else {
            "THE COUNTS DIFFER from the producer's"
        })
    }
}
