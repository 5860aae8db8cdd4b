//! `bench`: how fast ordinary topologies run, through the same path as `run`.
//!
//! A case (`case.rs`) is a chain of components (`chain.rs`) that is run at full speed for throughput or at a rate for
//! latency, in this process (`measure.rs`) or over workers of a small cluster (`processes.rs`). What is lost is found
//! by arithmetic (`truth.rs`): the source says how many records it emitted, the sink how many came. Each run adds to a
//! row of the report (`row.rs`), which shows medians.

mod args;
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
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use tempfile::TempDir;

use squall::{Program, Result, console};

use squall_core::Registry;

use args::Format;
use board::Board;
use case::Case;
use earlier::Earlier;
use machine::Machine;
use noise::Noise;
use report::Report;
use rig::Rig;
use rounds::Rounds;

pub(crate) use args::BenchArgs;

/// Before figures are taken.
const WARM_UP: Duration = Duration::from_secs(1);
/// Runs the cases one after the other; fails when something was lost.
pub(crate) fn bench(args: &BenchArgs, program: &Program) -> Result<ExitCode> {
    let rounds = args.rounds()?;
    let machine = Machine::here();
    let earlier = args.compare.as_deref().map(Earlier::read).transpose()?;
    if let Some(earlier) = &earlier {
        for difference in machine.differences(&earlier.machine) {
            console::say(format_args!("not as in the earlier bench: {difference}"));
        }
    }
    if cfg!(debug_assertions) {
        console::say("this is a debug build: its figures say nothing about a release build");
    }
    // The folder goes with the function.
    let (input, _folder) = input(args, &rounds)?;
    let mut rig = Rig {
        program,
        input,
        span: Duration::from_secs(u64::from(args.seconds)),
        report: Report::new(machine),
        noise: Noise::default(),
    };
    let measured = match &args.alone {
        Some(row) => {
            let chain = Case::PendingTuples.chain(&rig.input);
            pending::measure_here(row, &chain, &mut rig)
        }
        None => rounds.run(args.repeat, &mut rig),
    };
    // What was measured before something went wrong is said all the same.
    let mut report = rig.report;
    if let Some(earlier) = &earlier {
        report.compare(earlier);
    }
    if args.all {
        report.judge();
    }
    match args.output {
        _ if report.rows().is_empty() => {}
        Format::Table => console::data(&report),
        Format::Json => console::data(serde_json::to_string(&report)?),
    }
    measured?;
    if let Some(path) = &args.plot {
        draw(path, &report)?;
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

/// Draws the curve to a file.
fn draw(path: &Path, report: &Report) -> Result<()> {
    let points = curve::points(Case::Curve.name(), report.rows());
    let title = "word-count: latency against throughput";
    fs::write(path, plot::svg(title, &points)?)
        .map_err(|error| format!("{} can't be written: {error}", path.display()))?;
    Ok(())
}
