//! `supervisors` and `drain`: the machines.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value as Json, json};
use squall::{Program, Result, console};
use squall_core::{ByteSize, SupervisorId};
use squall_proto::{SupervisorInfo, supervisor_id};

use super::confirm::ConfirmArgs;
use super::{Format, NimbusArgs, ago, block_on, explain, show, table};

/// List the supervisors of a cluster
#[derive(Args, Debug)]
pub(crate) struct SupervisorsArgs {
    #[command(flatten)]
    nimbus: NimbusArgs,
    /// How to print
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

/// Take a supervisor out of use: its workers move elsewhere, and it gets no new ones
#[derive(Args, Debug)]
pub(crate) struct DrainArgs {
    /// The supervisor, as `squall supervisors` names it
    #[arg(value_name = "SUPERVISOR", value_parser = id)]
    supervisor: SupervisorId,
    /// Use it again instead
    #[arg(long)]
    undo: bool,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    nimbus: NimbusArgs,
}

/// Prints one line for each supervisor.
pub(crate) fn supervisors(args: &SupervisorsArgs, program: &Program) -> Result<ExitCode> {
    block_on(program, async {
        let mut nimbus = args.nimbus.connect().await?;
        let supervisors = nimbus.supervisors().await.map_err(explain)?;
        if supervisors.is_empty() && args.output == Format::Table {
            console::say("no supervisor has called; `squall supervisor` starts one");
            return Ok(ExitCode::SUCCESS);
        }
        let mut rows = table([
            "id",
            "address",
            "state",
            "slots used",
            "cores",
            "disk free",
            "heard",
        ]);
        for each in &supervisors {
            rows.add_row([
                each.supervisor.to_string(),
                each.address.to_string(),
                state(each).to_owned(),
                format!("{} of {}", n_used(each), each.slots.len()),
                each.resources.n_cores.to_string(),
                ByteSize(each.disk_free_bytes >> 20 << 20).to_string(),
                heard(each),
            ]);
        }
        let all: Vec<Json> = supervisors.iter().map(to_json).collect();
        show(args.output, &rows, &json!(all));
        Ok(ExitCode::SUCCESS)
    })
}

/// Empties a supervisor.
pub(crate) fn drain(args: &DrainArgs, program: &Program) -> Result<ExitCode> {
    let supervisor = &args.supervisor;
    block_on(program, async {
        let mut nimbus = args.nimbus.connect().await?;
        let asks = format!("moving all workers away from `{supervisor}`");
        if !args.undo && !args.confirm.confirm(&asks)? {
            return Ok(ExitCode::FAILURE);
        }
        let n_workers = nimbus
            .drain(supervisor.clone(), args.undo)
            .await
            .map_err(explain)?;
        console::say(match args.undo {
            true => format!("{supervisor} takes workers again"),
            false => format!(
                "{supervisor} takes no new workers; {} to move",
                console::counted(n_workers.into(), "worker")
            ),
        });
        Ok(ExitCode::SUCCESS)
    })
}

fn id(text: &str) -> Result<SupervisorId, String> {
    supervisor_id(text).map_err(|error| error.to_string())
}

const fn state(each: &SupervisorInfo) -> &'static str {
    match (each.alive, each.draining) {
        (false, _) => "lost",
        (true, true) => "draining",
        (true, false) => "alive",
    }
}

/// Says when it was last heard of.
fn heard(each: &SupervisorInfo) -> String {
    match each.age_ms {
        0 => "not since nimbus started".to_owned(),
        age_ms => format!("{} ago", ago(Duration::from_millis(age_ms))),
    }
}

fn n_used(each: &SupervisorInfo) -> usize {
    each.slots
        .iter()
        .filter(|slot| slot.worker.is_some())
        .count()
}

fn to_json(each: &SupervisorInfo) -> Json {
    let slot = |slot: &squall_proto::SlotStatus| {
        let worker = slot.worker.as_ref();
        json!({
            "port": slot.port,
            "topology": worker.map(|worker| worker.topology.to_string()),
            "worker": worker.map(|worker| worker.worker.0),
        })
    };
    json!({
        "id": each.supervisor.to_string(),
        "address": each.address.to_string(),
        "state": state(each),
        "engine_version": each.handshake.engine_version,
        "target": each.handshake.target,
        "cores": each.resources.n_cores,
        "memory_bytes": each.resources.memory_bytes,
        "disk_free_bytes": each.disk_free_bytes,
        "age_ms": each.age_ms,
        "slots": each.slots.iter().map(slot).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use squall_proto::{Handshake, Resources};

    use super::*;

    #[test]
    fn one_that_nimbus_has_not_heard_was_not_heard_just_now() {
        let mut each = SupervisorInfo {
            supervisor: "east".into(),
            address: "127.0.0.1:7000".parse().unwrap(),
            handshake: Handshake::ours("here", None, None),
            resources: Resources {
                n_cores: NonZeroU32::MIN,
                memory_bytes: 0,
            },
            slots: Vec::new(),
            draining: false,
            alive: true,
            age_ms: 0,
            disk_free_bytes: 0,
        };
        assert_eq!(heard(&each), "not since nimbus started");
        each.age_ms = 3_000;
        assert_eq!(heard(&each), "3 s ago");
    }
}
