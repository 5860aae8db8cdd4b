//! `rebalance`: spread a topology anew.

use std::num::NonZeroU32;
use std::process::ExitCode;

use clap::Args;
use squall::{Program, Result, console};
use squall_core::{ComponentId, HumanDuration};
use squall_proto::{Rebalance, TopologyName};

use super::confirm::ConfirmArgs;
use super::{Format, NimbusArgs, block_on, explain, show_plan, topology_name};

/// Spread a topology over other numbers of workers and tasks: it drains, moves and goes on
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  squall rebalance clickstream --workers 4 --parallelism count=8
  squall rebalance clickstream --workers 4 --dry-run      only show where the workers would go")]
pub(crate) struct RebalanceArgs {
    /// The topology's name
    #[arg(value_name = "NAME", value_parser = topology_name)]
    name: TopologyName,
    /// How many workers it is to have; without it as many as before
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroU32>,
    /// Give a component another number of tasks; may be given several times
    #[arg(long, value_name = "COMPONENT=N", value_parser = parallelism)]
    parallelism: Vec<(ComponentId, NonZeroU32)>,
    /// How long pending tuples may take before it moves, up to 1h
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    wait: HumanDuration,
    /// Only show where the workers would go
    #[arg(long)]
    dry_run: bool,
    /// How to print where they go
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    nimbus: NimbusArgs,
}

/// Spreads a topology anew.
pub(crate) fn rebalance(args: &RebalanceArgs, program: &Program) -> Result<ExitCode> {
    let name = args.name.as_str();
    block_on(program, async {
        let mut nimbus = args.nimbus.connect().await?;
        let asks = format!("pausing `{name}` to move it");
        if !args.dry_run && !args.confirm.confirm(&asks)? {
            return Ok(ExitCode::FAILURE);
        }
        let rebalance = Rebalance {
            name: args.name.clone(),
            n_workers: args.workers,
            parallelism: args.parallelism.iter().cloned().collect(),
            wait: args.wait.0,
            dry_run: args.dry_run,
        };
        let planned = nimbus.rebalance(rebalance).await.map_err(explain)?;
        show_plan(args.output, &planned.plan);
        if let (Some(id), false) = (planned.topology, args.dry_run) {
            console::say(format_args!(
                "{id} drains for up to {}, then moves",
                args.wait
            ));
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn parallelism(text: &str) -> Result<(ComponentId, NonZeroU32), String> {
    let wanted = || format!("`{text}` isn't COMPONENT=N with N from 1, such as count=8");
    let (component, n) = text.split_once('=').ok_or_else(wanted)?;
    let n = n.parse().map_err(|_| wanted())?;
    if component.is_empty() {
        return Err(wanted());
    }
    Ok((component.into(), n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parallelism_is_a_component_and_a_number() {
        let (component, n) = parallelism("count=8").unwrap();
        assert_eq!((component.as_str(), n.get()), ("count", 8));
        for wrong in ["count", "count=", "count=0", "=3", "count=-1"] {
            assert!(
                parallelism(wrong).unwrap_err().contains("COMPONENT=N"),
                "{wrong}"
            );
        }
    }
}
