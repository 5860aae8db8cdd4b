//! `bench`: how fast ordinary topologies run, through the same path as `run`.
//!
//! Each case runs twice, acked and unacked, and each time first at full speed for throughput, then at a
//! fixed rate for latency. What is lost is found by arithmetic: the source says how many records it
//! emitted, the sink how many came.

mod board;
mod case;
mod measure;
mod report;
mod sink;
mod source;
mod words;

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use squall::{Program, Result, console};

use case::Case;
use report::Report;

/// Measure throughput, CPU time and latency of small topologies on this machine
///
/// `pass-through` sends numbers from a source over a bolt to a sink, all on one thread;
/// `pass-through-hop` has the source on a thread of its own; `word-count` splits ten fixed sentences of
/// eight words and counts by word. Build with `--release`, and leave the machine alone meanwhile.
#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    /// Run this case alone
    #[arg(long = "case", value_name = "NAME", value_enum)]
    case: Option<Case>,
    /// How long each measurement takes, in seconds, after a second of warm-up
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
    /// How to print the figures
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Table,
    Json,
}

/// Runs the cases one after the other; fails when something was lost.
pub(crate) fn bench(args: &BenchArgs, program: &Program) -> Result<ExitCode> {
    if cfg!(debug_assertions) {
        console::say("this is a debug build: its figures say nothing about a release build");
    }
    let cases = args
        .case
        .map_or_else(|| Case::value_variants().to_vec(), |case| vec![case]);
    let mut report = Report::default();
    for case in cases {
        for acked in [true, false] {
            let kind = if acked { "acked" } else { "unacked" };
            console::say(format_args!("{} {kind} …", case.name()));
            report.push(measure::measure(case, acked, args.seconds, program)?);
        }
    }
    match args.output {
        Format::Table => console::data(&report),
        Format::Json => console::data(serde_json::to_string(&report)?),
    }
    Ok(if report.is_complete() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
