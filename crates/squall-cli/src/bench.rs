//! `bench`: how fast ordinary topologies run, through the same path as `run`.
//!
//! Each case runs twice, acked and unacked, and each time first at full speed for throughput, then at a
//! fixed rate for latency. Over several processes there is one case, acked, on a cluster of its own. What is lost is
//! found by arithmetic: the source says how many records it emitted, the sink how many came. Each run of each adds to
//! a row of the report (`row.rs`), which shows medians.

mod beat;
mod board;
mod case;
mod chain;
mod cluster;
mod compare;
mod components;
mod earlier;
mod figures;
mod goals;
mod host;
mod idle;
mod latencies;
mod load;
mod machine;
mod measure;
mod mode;
mod noise;
mod processes;
mod quantity;
mod report;
mod rig;
mod row;
mod run;
mod section;
mod sink;
mod source;
mod speed;
mod spread;
mod stopwatch;
mod switches;
mod targets;
mod truth;
mod words;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};

use squall::{Program, Result, console};

use squall_core::Registry;

use board::Board;
use case::Case;
use earlier::Earlier;
use machine::Machine;
use noise::Noise;
use report::Report;
use rig::Rig;

/// Before figures are taken.
const WARM_UP: Duration = Duration::from_secs(1);
/// What runs when nothing else is asked for.
const MAIN_CASES: [Case; 3] = [Case::PassThrough, Case::PassThroughHop, Case::WordCount];
/// Over how many processes word-count runs when everything does.
const TWO: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);
/// The most processes: as many as a supervisor has slots.
const MAX_PROCESSES: u32 = 64;

/// Measure throughput, CPU time and latency of small topologies on this machine
///
/// `pass-through` sends numbers from a source over a bolt to a sink, all on one thread;
/// `pass-through-hop` has the source on a thread of its own; `word-count` splits ten fixed sentences of
/// eight words and counts by word. Build with `--release`, and leave the machine alone meanwhile.
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
    case: Option<Case>,
    /// Run all cases, word-count over two processes too, and say which targets were reached
    #[arg(long, conflicts_with_all = ["case", "processes"])]
    all: bool,
    /// Spread word-count over this many workers
    #[arg(long, value_name = "N", default_value_t = NonZeroU32::MIN, value_parser = processes)]
    processes: NonZeroU32,
    /// How long each measurement takes, in seconds, after a second of warm-up
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
    /// How many times everything is measured; figures are then medians, with the smallest and the largest
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: u32,
    /// Put beside the figures those that an earlier bench has printed with `-o json`
    ///
    /// The verdict knows the spread of both: it wants `--repeat 3` or more, then and now. It has no part in the exit
    /// status, which is about loss alone.
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
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
    let machine = Machine::here();
    let earlier = args.compare.as_deref().map(Earlier::read).transpose()?;
    if let Some(earlier) = &earlier {
        for difference in machine.differences(&earlier.machine) {
            console::say(format_args!("not as in the earlier bench: {difference}"));
        }
    }
    let mut rig = Rig {
        program,
        span: Duration::from_secs(u64::from(args.seconds)),
        report: Report::new(machine),
        noise: Noise::default(),
    };
    // Round by round: a machine that slows down does so for all rows.
    for n in 1..=args.repeat {
        if args.repeat > 1 {
            console::say(format_args!("round {n} of {}", args.repeat));
        }
        round(args, &mut rig)?;
    }
    let mut report = rig.report;
    if let Some(earlier) = &earlier {
        report.compare(earlier);
    }
    if args.all {
        report.judge();
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

/// Registers what a bench's workers run. Their registry has it, others have not: it is of no use to anybody.
pub(crate) fn components(registry: &mut Registry) {
    components::register(registry, &Board::shared());
}

/// Measures everything once.
fn round(args: &BenchArgs, rig: &mut Rig<'_>) -> Result<()> {
    if args.processes.get() > 1 {
        let case = args.case.unwrap_or(Case::WordCount);
        return over_processes(case, args.processes, rig);
    }
    let cases = match (args.case, args.all) {
        (Some(case), _) => vec![case],
        (None, true) => Case::value_variants().to_vec(),
        (None, false) => MAIN_CASES.to_vec(),
    };
    for case in cases {
        in_one_process(case, rig)?;
    }
    if args.all {
        over_processes(Case::WordCount, TWO, rig)?;
    }
    Ok(())
}

fn over_processes(case: Case, n: NonZeroU32, rig: &mut Rig<'_>) -> Result<()> {
    if case != Case::WordCount {
        let name = case.name();
        return Err(format!("`{name}` has one process; `--case word-count` has several").into());
    }
    console::say(format_args!("{} over {n} processes, acked …", case.name()));
    processes::measure(&case.chain(), n, rig)
}

fn in_one_process(case: Case, rig: &mut Rig<'_>) -> Result<()> {
    let (name, chain) = (case.name(), case.chain());
    match case {
        Case::PassThrough | Case::PassThroughHop | Case::WordCount => {
            for acked in [true, false] {
                let kind = if acked { "acked" } else { "unacked" };
                console::say(format_args!("{name} {kind} …"));
                speed::measure(&chain, acked, rig)?;
            }
            Ok(())
        }
        Case::Idle => {
            console::say(format_args!("{name} …"));
            idle::measure(&chain, rig)
        }
    }
}

fn processes(text: &str) -> Result<NonZeroU32, String> {
    let n = text.parse().ok();
    let n = n.filter(|n: &NonZeroU32| n.get() <= MAX_PROCESSES);
    n.ok_or_else(|| format!("a number from 1 to {MAX_PROCESSES}"))
}
