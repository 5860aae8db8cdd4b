//! What all commands that talk to a cluster have in common: where nimbus is, how to print, how to say what
//! went wrong. For commands, not for topologies.

mod plan;

use clap::{Args, ValueEnum};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::Value as Json;

use squall_client::{Nimbus, Trouble, addresses};
use squall_core::{ComponentError, Result};
use squall_proto::TopologyName;

use crate::console;

pub use plan::{plan_json, show_plan};

/// Which cluster.
#[derive(Args, Clone, Debug)]
pub struct NimbusArgs {
    /// Where nimbus is; several with commas in between are tried in turn
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "SQUALL_NIMBUS",
        default_value = "127.0.0.1:6627"
    )]
    nimbus: String,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

impl NimbusArgs {
    /// Connects.
    ///
    /// # Errors
    /// What went wrong, and what to do about it.
    pub async fn connect(&self) -> Result<Nimbus> {
        let addresses = addresses(&self.nimbus).map_err(explain)?;
        Nimbus::connect(&addresses).await.map_err(explain)
    }
}

/// Says what went wrong and what to do about it.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
#[must_use]
pub fn explain(trouble: Trouble) -> ComponentError {
    match trouble.action() {
        Some(action) => advise(&trouble, action),
        None => trouble.to_string().into(),
    }
}

/// Makes an error of what went wrong and what to do about it.
pub(crate) fn advise(
    what: impl std::fmt::Display,
    action: impl std::fmt::Display,
) -> ComponentError {
    format!("{what}\n  what to do: {action}").into()
}

/// Reads a topology's name from the command line.
///
/// # Errors
/// Why it is none.
pub fn topology_name(name: &str) -> Result<TopologyName, String> {
    name.parse().map_err(|error| format!("{error}"))
}

/// Prints a table, or the same as JSON.
pub fn show(format: Format, table: &Table, json: &Json) {
    match format {
        Format::Table => console::data(table),
        Format::Json => console::data(json),
    }
}

/// Begins a table.
#[must_use]
pub fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header);
    table
}
