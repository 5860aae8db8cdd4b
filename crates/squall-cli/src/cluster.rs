//! The operator's commands: each is a call or two to nimbus.

mod change;
mod confirm;
mod describe;
mod list;
mod logs;
mod plan;
mod rebalance;
mod supervisors;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::Value as Json;
use squall::{ComponentError, Program, Result, console};
use squall_client::{Nimbus, Trouble, addresses};
use squall_proto::TopologyName;

pub(crate) use change::{activate, deactivate, kill};
pub(crate) use describe::describe;
pub(crate) use list::list;
pub(crate) use logs::logs;
pub(crate) use plan::show_plan;
pub(crate) use rebalance::rebalance;
pub(crate) use supervisors::{drain, supervisors};

/// Which cluster.
#[derive(Args, Clone, Debug)]
pub(crate) struct NimbusArgs {
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
pub(crate) enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

impl NimbusArgs {
    /// Connects.
    pub(crate) async fn connect(&self) -> Result<Nimbus> {
        let addresses = addresses(&self.nimbus).map_err(explain)?;
        Nimbus::connect(&addresses).await.map_err(explain)
    }
}

/// Says what went wrong and what to do about it.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(crate) fn explain(trouble: Trouble) -> ComponentError {
    match trouble.action() {
        Some(action) => format!("{trouble}\n  what to do: {action}").into(),
        None => trouble.to_string().into(),
    }
}

/// Reads a topology's name from the command line.
pub(crate) fn topology_name(name: &str) -> Result<TopologyName, String> {
    name.parse().map_err(|error| format!("{error}"))
}

/// Runs a command against nimbus to its end.
pub(crate) fn block_on(
    program: &Program,
    command: impl Future<Output = Result<ExitCode>>,
) -> Result<ExitCode> {
    program.tokio().block_on(command)
}

/// Prints a table, or the same as JSON.
pub(crate) fn show(format: Format, table: &Table, json: &Json) {
    match format {
        Format::Table => console::data(table),
        Format::Json => console::data(json),
    }
}

/// Begins a table.
pub(crate) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header);
    table
}

/// Writes how long ago something was, as people say it.
pub(crate) fn ago(age: Duration) -> String {
    let secs = age.as_secs();
    match secs {
        0..120 => format!("{secs} s"),
        120..7_200 => format!("{} min", secs / 60),
        7_200..172_800 => format!("{} h", secs / 3_600),
        _ => format!("{} d", secs / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let written = [0, 119, 120, 7_199, 7_200, 172_800].map(|s| ago(Duration::from_secs(s)));
        assert_eq!(written, ["0 s", "119 s", "2 min", "119 min", "2 h", "2 d"]);
    }
}
