//! `run`: a topology in this process, until it ends.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgMatches, Args, FromArgMatches, ValueEnum};
use serde::Serialize;

use squall_core::{CheckpointStore, HumanDuration, Result};
use squall_plan::Layout;
use squall_runtime::{MemoryBound, Options, TopologySnapshot};

use crate::app::{Program, target};
use crate::console::{self, counted};
use crate::local::{self, Progress, StateFile, Totals};

/// How often a line says how the run is getting on.
const REPORT_PERIOD: Duration = Duration::from_secs(5);

/// Run a topology in this process until its spouts finish, or Ctrl-C drains it
#[derive(Args, Debug)]
#[command(after_help = "\
Exit status:
  0  every message was acked, and no task was down at the end
  1  a message was never acked (it failed for good, or its retry was still to come), a task was
     down, or the run could not go on
  2  wrong usage or an invalid topology: nothing was started")]
pub(super) struct RunArgs {
    /// Drain after this long: 30s, 5m
    #[arg(long = "for", value_name = "DURATION")]
    limit: Option<HumanDuration>,
    /// Forget where the sources were, and start over
    #[arg(long)]
    fresh: bool,
    /// Where state files live [default: .squall]
    #[arg(long, value_name = "DIR", env = "SQUALL_STATE")]
    state: Option<PathBuf>,
    /// How to print the summary: text on stderr, or JSON on stdout
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// What is said at the end.
#[derive(Serialize)]
struct Summary<'s> {
    topology: &'s str,
    #[serde(flatten)]
    totals: Totals,
    elapsed_s: f64,
    /// Why the run ended, or what it left undone, where it ended badly.
    error: Option<String>,
}

pub(super) fn run(matches: &ArgMatches, program: &Program) -> Result<ExitCode> {
    let declared = target::find(matches, program)?;
    let args = RunArgs::from_arg_matches(target::options(matches))?;
    let state = open_state(&args, &declared.spec.name, program)?;
    let layout = Layout::new(&declared.spec, &declared.signatures, true);
    let bound = MemoryBound::new(&layout, &declared.spec.settings);
    console::say(format_args!("memory bound: {bound}"));
    let (registry, options) = (program.registry(), &Options::default());
    let local = local::start(&declared, registry, state.clone(), program.tokio(), options)?;
    local.heed_signals(program.tokio());

    let mut before: Option<Progress> = None;
    let limit = args.limit.map(|limit| limit.0);
    let outcome = local.watch(REPORT_PERIOD, limit, |local| {
        let snapshot = local.running().snapshot();
        let progress = Progress::since(before.as_ref(), &snapshot);
        console::say(progress);
        for trouble in local::troubles(&snapshot) {
            console::say(format_args!("        {trouble}"));
        }
        if !progress.still_for.is_zero() {
            console::say(standstill(&progress, &snapshot));
        }
        before = Some(progress);
    });
    let snapshot = local.running().snapshot();
    let errors = match outcome {
        Ok(()) => local::shortfall(&snapshot),
        // The rest is undone because of it.
        Err(error) => vec![error.to_string()],
    };
    summarise(&args, &snapshot, &errors)?;
    if state.exists() {
        let location = state.location();
        console::say(format_args!(
            "checkpoints are in {location}: the next run resumes there"
        ));
    }
    Ok(if errors.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Finds the topology's state and says what it resumes from.
fn open_state(args: &RunArgs, topology: &str, program: &Program) -> Result<Arc<StateFile>> {
    let state = StateFile::new(args.state.as_deref(), topology);
    if args.fresh {
        state.remove()?;
    }
    let resumed = state.resume(program.tokio())?;
    let age = resumed
        .age
        .map_or_else(String::new, |age| format!(", {} old", console::rough(age)));
    for (source, n_shards) in &resumed.n_shards {
        console::say(format_args!(
            "resuming {source} from the checkpoints in {} ({}{age}; `--fresh` to start over)",
            state.location(),
            counted(*n_shards, "shard"),
        ));
    }
    Ok(Arc::new(state))
}

/// Says where the tuples are that don't get on.
fn standstill(progress: &Progress, snapshot: &TopologySnapshot) -> String {
    let secs = progress.still_for.as_secs();
    let whereabouts = local::whereabouts(snapshot).join("; ");
    let known = if whereabouts.is_empty() { "" } else { ": " };
    format!("        nothing was acked or failed for {secs} s{known}{whereabouts}")
}

fn summarise(args: &RunArgs, snapshot: &TopologySnapshot, errors: &[String]) -> Result<()> {
    let summary = Summary {
        topology: &snapshot.topology,
        totals: Totals::of(snapshot),
        elapsed_s: snapshot.uptime.as_secs_f64(),
        error: (!errors.is_empty()).then(|| errors.join("\n")),
    };
    match args.output {
        Format::Json => console::data(serde_json::to_string(&summary)?),
        Format::Text => {
            console::say(text(&summary));
            for error in errors {
                console::say(format_args!("error: {error}"));
            }
        }
    }
    Ok(())
}

fn text(summary: &Summary<'_>) -> String {
    let Totals {
        emitted,
        acked,
        failed,
        replayed,
        pending,
        restarts,
        failed_starts,
        unacked: _,
    } = summary.totals;
    let (topology, elapsed_s) = (summary.topology, summary.elapsed_s);
    let mut text = format!(
        "{topology}: {elapsed_s:.1} s, emitted {emitted}, acked {acked}, failed {failed}, \
         replayed {replayed}, pending {pending}"
    );
    for (n, what) in [(restarts, "restarts"), (failed_starts, "failed starts")] {
        if n > 0 {
            text = format!("{text}, {what} {n}");
        }
    }
    text
}
