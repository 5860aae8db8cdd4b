//! What `squall demo -o json` prints, and whether its ranking is right.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::squall;

/// The demo's summary; all of its fields, and no others.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the demo documents them")]
pub struct Summary {
    pub put: u64,
    pub processed: u64,
    pub distinct: u64,
    pub lost: u64,
    pub duplicates: u64,
    pub acked: u64,
    pub failed: u64,
    pub replayed: u64,
    pub dead_lettered: u64,
    pub shards_read: u64,
    pub shards_finished: u64,
    pub matches_truth: bool,
    pub top: Vec<Count>,
    pub elapsed_s: f64,
}

/// How often a key came.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Count {
    pub key: String,
    pub count: u64,
}

impl Summary {
    /// Runs `squall demo -o json` with `args` in `folder`, to its end.
    ///
    /// # Errors
    /// If it fails, or prints something else than a summary.
    pub fn of_demo(args: &[&str], folder: &Path) -> Result<Self> {
        let ran = Command::new(squall()?)
            .args(["demo", "-o", "json"])
            .args(args)
            .current_dir(folder)
            .output()?;
        let said = String::from_utf8_lossy(&ran.stderr);
        let printed = String::from_utf8_lossy(&ran.stdout);
        ensure!(ran.status.success(), "{}: {said}{printed}", ran.status);
        serde_json::from_str(&printed).with_context(|| format!("no summary: {printed}"))
    }

    /// Checks what holds for each demo that went well, with faults and a reshard on the way.
    ///
    /// # Errors
    /// If it doesn't.
    pub fn check(&self, n_put: u64) -> Result<()> {
        let Self {
            put,
            processed,
            distinct,
            lost,
            duplicates,
            ..
        } = *self;
        ensure!((put, distinct, lost) == (n_put, n_put, 0), "{self:?}");
        ensure!(processed == distinct + duplicates, "{self:?}");
        ensure!(self.matches_truth, "{self:?}");
        // Two shards, one of them split: its end was reached, and its two children were read.
        ensure!(
            (self.shards_read, self.shards_finished) == (4, 1),
            "{self:?}"
        );
        // Of one event in a hundred the first attempt fails; half of that is far outside of chance.
        ensure!(
            self.failed >= n_put / 200 && self.failed <= n_put / 50,
            "{self:?}"
        );
        ensure!(
            self.replayed == self.failed && self.dead_lettered == 0,
            "{self:?}"
        );
        ensure!(self.acked == processed, "{self:?}");
        Ok(())
    }
}

/// Checks a top 10 against counts of all keys. Keys with equal counts may stand in any order.
///
/// # Errors
/// If it isn't the top 10.
pub fn check_top(top: &[Count], counts: &BTreeMap<String, u64>) -> Result<()> {
    for Count { key, count } in top {
        ensure!(
            counts.get(key) == Some(count),
            "{key}: {count} but {:?}",
            counts.get(key)
        );
    }
    let mut best: Vec<u64> = counts.values().copied().collect();
    best.sort_unstable_by(|one, other| other.cmp(one));
    best.truncate(10);
    let shown: Vec<u64> = top.iter().map(|each| each.count).collect();
    ensure!(
        shown == best,
        "the top 10 has the counts {shown:?}, the keys have {best:?}"
    );
    let keys: std::collections::BTreeSet<_> = top.iter().map(|each| &each.key).collect();
    ensure!(keys.len() == top.len(), "a key stands twice in {top:?}");
    Ok(())
}
