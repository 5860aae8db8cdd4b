//! The command line.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::job::Job;

/// Measure other engines in turn with Squall
///
/// Builds what it needs, runs each job on each engine, and prints a table of medians, ranges and ratios. Leave the
/// machine alone meanwhile: a round takes about four minutes, with Flink five.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    /// The program `squall` to measure [default: this clone's, built with --release]
    #[arg(long, value_name = "PATH")]
    pub(crate) squall: Option<PathBuf>,
    /// How long each measurement takes, in seconds, after a warm-up
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// How many rounds are run
    #[arg(long, value_name = "N", default_value = "3")]
    pub(crate) repeat: NonZeroU32,
    /// Run this job alone; may be given more than once
    #[arg(long = "job", value_name = "NAME", value_enum)]
    jobs: Vec<Job>,
    /// Measure Apache Flink too, with the jars of this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) flink_jars: Option<PathBuf>,
    /// What timely and renoir allocate with
    #[arg(long, value_enum, default_value = "mimalloc")]
    pub(crate) allocator: Allocator,
    /// How to print what was found
    #[arg(short, long, value_enum, default_value = "table")]
    pub(crate) output: Format,
}

/// Where the memory of timely and renoir comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Allocator {
    /// The one that Squall's own program has
    Mimalloc,
    /// What a program of theirs has that says nothing of it
    System,
}

/// How a report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Markdown,
    Json,
}

impl Args {
    /// Returns how long is measured.
    pub(crate) fn span(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds))
    }

    /// Returns the jobs to run, in the order of their declaration.
    pub(crate) fn jobs(&self) -> impl Iterator<Item = Job> {
        let all = Job::value_variants().iter().copied();
        all.filter(|job| self.jobs.is_empty() || self.jobs.contains(job))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_jobs_run_unless_some_are_named() {
        let jobs = |args: &[&str]| {
            let args = Args::try_parse_from([&["peers"], args].concat()).unwrap();
            args.jobs().collect::<Vec<_>>()
        };
        assert_eq!(jobs(&[]), Job::value_variants());
        let some = ["--job", "pass-through", "--job", "word-count"];
        assert_eq!(jobs(&some), [Job::WordCount, Job::PassThrough]);
    }

    #[test]
    fn what_would_measure_nothing_is_refused() {
        for args in [["--seconds", "0"], ["--repeat", "0"], ["--job", "none"]] {
            let args = [&["peers"], &args[..]].concat();
            assert!(Args::try_parse_from(&args).is_err(), "{args:?}");
        }
    }
}
