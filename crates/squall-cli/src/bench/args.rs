//! What a user asks of a bench.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use squall::Result;

use super::case::Case;
use super::rounds::Rounds;

/// What runs when nothing else is asked for.
const MAIN_CASES: [Case; 3] = [Case::PassThrough, Case::PassThroughHop, Case::WordCount];
/// Over how many processes word-count runs when everything does.
const TWO: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);
/// The most processes: as many as a supervisor has slots.
const MAX_PROCESSES: u32 = 64;

/// Measure throughput, CPU time and latency of small topologies on this machine
///
/// Each case is a small topology; without `--case`, the first three are measured, acked and unacked. Build with
/// `--release`, and leave the machine alone meanwhile.
///
/// With `--processes`, `word-count` runs acked over as many workers of a small cluster on this machine: each word
/// goes to the worker that counts it.
///
/// Latency is taken from when a record was due until it was acked or, unacked, at the sink. Beside it stands how late
/// the idle machine itself is; where that is more than half a millisecond, the row reads noisy.
#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    /// Run this case alone
    #[arg(long = "case", value_name = "NAME", value_enum)]
    pub(super) case: Option<Case>,
    /// Run all cases, word-count over two processes too, and say which targets were reached
    #[arg(long, conflicts_with_all = ["case", "processes"])]
    pub(super) all: bool,
    /// Spread word-count over this many workers
    #[arg(long, value_name = "N", default_value_t = NonZeroU32::MIN, value_parser = processes)]
    pub(super) processes: NonZeroU32,
    /// How long each measurement takes, in seconds, after a second of warm-up
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(super) seconds: u32,
    /// How many times everything is measured; figures are then medians, with the smallest and the largest
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) repeat: u32,
    /// Put beside the figures those that an earlier bench has printed with `-o json`
    ///
    /// The verdict knows the spread of both: it wants `--repeat 5` or more, then and now. It has no part in the exit
    /// status, which is about loss alone.
    #[arg(long, value_name = "FILE")]
    pub(super) compare: Option<PathBuf>,
    /// Count the words of this text in file-word-count, rather than those of one made up
    #[arg(long, value_name = "FILE")]
    pub(super) input: Option<PathBuf>,
    /// Draw the curve to this file, as SVG
    #[arg(long, value_name = "FILE")]
    pub(super) plot: Option<PathBuf>,
    /// Measure this row of pending-tuples in this very process, and nothing else
    #[arg(long, value_name = "ROW", hide = true)]
    pub(super) alone: Option<String>,
    /// How to print the figures
    #[arg(short, long, value_enum, default_value = "table")]
    pub(super) output: Format,
}

/// How figures are printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Format {
    Table,
    Json,
}

impl BenchArgs {
    /// Says what is to be measured.
    ///
    /// # Errors
    /// Wishes that don't go together.
    pub(super) fn rounds(&self) -> Result<Rounds> {
        let over_processes = self.processes.get() > 1;
        let cases = match self.case {
            Some(case) if over_processes && case != Case::WordCount => {
                let name = case.name();
                let why = format!("`{name}` has one process; `--case word-count` has several");
                return Err(why.into());
            }
            _ if over_processes => Vec::new(),
            Some(case) => vec![case],
            None if self.all => Case::value_variants().to_vec(),
            None => MAIN_CASES.to_vec(),
        };
        if self.plot.is_some() && !cases.contains(&Case::Curve) {
            Err("`--plot` draws the curve: add `--case curve`, or `--all`")?;
        }
        let processes = over_processes.then_some(self.processes);
        Ok(Rounds {
            cases,
            processes: processes.or(self.all.then_some(TWO)),
        })
    }
}

fn processes(text: &str) -> Result<NonZeroU32, String> {
    let n = text.parse().ok();
    let n = n.filter(|n: &NonZeroU32| n.get() <= MAX_PROCESSES);
    n.ok_or_else(|| format!("a number from 1 to {MAX_PROCESSES}"))
}
