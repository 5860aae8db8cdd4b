//! `graph`: a topology as a drawing.

use std::process::ExitCode;

use clap::{ArgMatches, Args, FromArgMatches, ValueEnum};

use squall_core::Result;

use crate::app::{Program, target};
use crate::console;

/// Draw a topology
#[derive(Args, Debug)]
pub(super) struct GraphArgs {
    /// The language of the drawing
    #[arg(long, value_enum, default_value = "mermaid")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Graphviz: `… graph FILE --format dot | dot -Tsvg > graph.svg`
    Dot,
    /// Mermaid, as Markdown pages show it
    Mermaid,
}

pub(super) fn graph(matches: &ArgMatches, program: &Program) -> Result<ExitCode> {
    let declared = target::find(matches, program)?;
    let args = GraphArgs::from_arg_matches(target::options(matches))?;
    let text = match args.format {
        Format::Dot => squall_plan::to_dot(&declared.spec),
        Format::Mermaid => squall_plan::to_mermaid(&declared.spec),
    };
    console::data(text.trim_end());
    Ok(ExitCode::SUCCESS)
}
