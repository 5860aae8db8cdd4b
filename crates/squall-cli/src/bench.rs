//! `bench`: how fast ordinary topologies run, through the same path as `run`.
//!
//! A case (`case.rs`) is a chain of components (`chain.rs`) that is run at full speed for throughput or at a rate for
//! latency, in this process (`measure.rs`) or over workers of a small cluster (`processes.rs`). What is lost is found
//! by arithmetic (`truth.rs`): the source says how many records it emitted, the sink how many came. Each run adds to a
//! row of the report (`row.rs`), which shows medians.

mod beat;
mod board;
mod case;
mod chain;
mod cluster;
mod compare;
mod components;
mod curve;
mod earlier;
mod feed;
mod figures;
mod goals;
mod growth;
mod hoard;
mod host;
mod idle;
mod latencies;
mod load;
mod machine;
mod measure;
mod mode;
mod noise;
mod pending;
mod plot;
mod processes;
mod quantity;
mod report;
mod resident;
mod rig;
mod rounds;
mod row;
mod run;
mod section;
mod sink;
mod slow;
mod source;
mod speed;
mod spread;
mod stopwatch;
mod switches;
mod targets;
mod text;
mod truth;
mod words;

use std::fs;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tempfile::TempDir;

use squall::{Program, Result, console};

use squall_core::Registry;

use board::Board;
use case::Case;
use earlier::Earlier;
use machine::Machine;
use noise::Noise;
use report::Report;
use rig::Rig;
use rounds::Rounds;

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
    /// Count the words of this text in file-word-count, rather than those of one made up
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Draw the curve to this file, as SVG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Measure this row of pending-tuples in this very process, and nothing else
    #[arg(long, value_name = "ROW", hide = true)]
    alone: Option<String>,
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
    let rounds = args.rounds()?;
    // The folder goes with the function.
    let (input, _folder) = input(args, &rounds)?;
    let mut rig = Rig {
        program,
        input,
        span: Duration::from_secs(u64::from(args.seconds)),
        report: Report::new(machine),
        noise: Noise::default(),
    };
    match &args.alone {
        Some(row) => {
            let chain = Case::PendingTuples.chain(&rig.input);
            pending::measure_here(row, &chain, &mut rig)?;
        }
        None => rounds.run(args.repeat, &mut rig)?,
    }
    let mut report = rig.report;
    if let Some(earlier) = &earlier {
        report.compare(earlier);
    }
    if args.all {
        report.judge();
    }
    args.plot(&report)?;
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

impl BenchArgs {
    /// Says what is to be measured.
    fn rounds(&self) -> Result<Rounds> {
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
        let processes = (over_processes).then_some(self.processes);
        Ok(Rounds {
            cases,
            processes: processes.or(self.all.then_some(TWO)),
        })
    }

    /// Draws the curve, if that is wanted.
    fn plot(&self, report: &Report) -> Result<()> {
        let Some(path) = &self.plot else {
            return Ok(());
        };
        let points = curve::points(Case::Curve.name(), report.rows());
        let title = "word-count: latency against throughput";
        fs::write(path, plot::svg(title, &points)?)
            .map_err(|error| format!("{} can't be written: {error}", path.display()))?;
        Ok(())
    }
}

/// Returns the file that words are counted in; makes one up where the user has none, in a folder that lives as long as
/// what is returned beside it.
fn input(args: &BenchArgs, rounds: &Rounds) -> Result<(PathBuf, Option<TempDir>)> {
    match &args.input {
        Some(path) => Ok((path.clone(), None)),
        None if rounds.cases.contains(&Case::FileWordCount) => {
            let folder = tempfile::tempdir()?;
            let path = folder.path().join("words.txt");
            text::write(&path)?;
            Ok((path, Some(folder)))
        }
        None => Ok((PathBuf::new(), None)),
    }
}

fn processes(text: &str) -> Result<NonZeroU32, String> {
    let n = text.parse().ok();
    let n = n.filter(|n: &NonZeroU32| n.get() <= MAX_PROCESSES);
    n.ok_or_else(|| format!("a number from 1 to {MAX_PROCESSES}"))
}
