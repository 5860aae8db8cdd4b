//! `schema`: what a topology file of this program may hold, for editors.

use std::process::ExitCode;

use clap::Args;

use squall_core::Result;

use crate::app::Program;
use crate::console;

/// Print the JSON Schema of topology files, this program's components included
///
/// An editor with a YAML language server then completes and checks while you type. Save the schema
/// beside the topology and begin the file with `# yaml-language-server: $schema=schema.json`.
#[derive(Args, Debug)]
pub(super) struct SchemaArgs {}

pub(super) fn schema(program: &Program) -> Result<ExitCode> {
    let schema = squall_plan::topology_schema(program.registry());
    console::data(serde_json::to_string_pretty(&schema)?);
    Ok(ExitCode::SUCCESS)
}
