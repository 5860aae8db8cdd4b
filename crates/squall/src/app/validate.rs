//! `validate`: says everything that is wrong with a topology, and starts nothing.

use std::process::ExitCode;

use clap::{ArgMatches, Args};

use squall_core::Result;

use crate::app::{Program, target};
use crate::console::{self, counted};

/// Check a topology and say everything that is wrong with it
#[derive(Args, Debug)]
pub(super) struct ValidateArgs {}

pub(super) fn validate(matches: &ArgMatches, program: &Program) -> Result<ExitCode> {
    let declared = target::find(matches, program)?;
    let spec = &declared.spec;
    let spouts = spec.spouts.values().map(|spout| spout.parallelism);
    let bolts = spec.bolts.values().map(|bolt| bolt.parallelism);
    let n_tasks = spouts.chain(bolts).map(|n| u64::from(n.get())).sum();
    let parts = [
        counted(spec.spouts.len() as u64, "spout"),
        counted(spec.bolts.len() as u64, "bolt"),
        counted(n_tasks, "task"),
    ];
    let (name, parts) = (&spec.name, parts.join(", "));
    if matches.subcommand().is_some() {
        // The program's own: its name is how it was asked for.
        console::say(format_args!("{name}: valid; {parts}"));
    } else {
        let files = target::origin(matches)?;
        console::say(format_args!("{files}: valid; topology {name}, {parts}"));
    }
    Ok(ExitCode::SUCCESS)
}
