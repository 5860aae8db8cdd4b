//! `kill`, `activate` and `deactivate`.

use std::process::ExitCode;

use clap::Args;
use squall::{Program, Result, console};
use squall_core::HumanDuration;
use squall_proto::{Kill, SetActive, TopologyName};

use super::confirm::ConfirmArgs;
use super::{NimbusArgs, block_on, explain, topology_name};

/// End a topology: its spouts stop, what is pending goes on for as long as --wait says, then it is gone
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  squall kill clickstream               ask first, then let pending tuples finish for up to 30 s
  squall kill clickstream --wait 5m --yes")]
pub(crate) struct KillArgs {
    /// The topology's name
    #[arg(value_name = "NAME", value_parser = topology_name)]
    name: TopologyName,
    /// How long pending tuples may take, up to 1h
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    wait: HumanDuration,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    nimbus: NimbusArgs,
}

/// Have a topology's spouts emit again
#[derive(Args, Debug)]
pub(crate) struct ActivateArgs {
    /// The topology's name
    #[arg(value_name = "NAME", value_parser = topology_name)]
    name: TopologyName,
    #[command(flatten)]
    nimbus: NimbusArgs,
}

/// Have a topology's spouts pause; what is pending goes on
#[derive(Args, Debug)]
pub(crate) struct DeactivateArgs {
    /// The topology's name
    #[arg(value_name = "NAME", value_parser = topology_name)]
    name: TopologyName,
    #[command(flatten)]
    nimbus: NimbusArgs,
}

/// Ends a topology.
pub(crate) fn kill(args: &KillArgs, program: &Program) -> Result<ExitCode> {
    let name = args.name.as_str();
    block_on(program, async {
        let mut nimbus = args.nimbus.connect().await?;
        if !args
            .confirm
            .confirm(&format!("killing `{name}` for good"))?
        {
            return Ok(ExitCode::FAILURE);
        }
        let kill = Kill {
            name: args.name.clone(),
            wait: args.wait.0,
        };
        let id = nimbus.kill(kill).await.map_err(explain)?;
        console::say(format_args!(
            "{id} drains for up to {}, then it is gone; `squall list` shows how far it is",
            args.wait
        ));
        Ok(ExitCode::SUCCESS)
    })
}

/// Has spouts go on.
pub(crate) fn activate(args: &ActivateArgs, program: &Program) -> Result<ExitCode> {
    set_active(&args.name, &args.nimbus, true, program)
}

/// Has spouts pause.
pub(crate) fn deactivate(args: &DeactivateArgs, program: &Program) -> Result<ExitCode> {
    set_active(&args.name, &args.nimbus, false, program)
}

fn set_active(
    name: &TopologyName,
    nimbus: &NimbusArgs,
    active: bool,
    program: &Program,
) -> Result<ExitCode> {
    block_on(program, async {
        let mut nimbus = nimbus.connect().await?;
        let set = SetActive {
            name: name.clone(),
            active,
        };
        let id = nimbus.set_active(set).await.map_err(explain)?;
        console::say(match active {
            true => format!("{id} is active"),
            false => format!("{id} is inactive: its spouts pause, what is pending goes on"),
        });
        Ok(ExitCode::SUCCESS)
    })
}
