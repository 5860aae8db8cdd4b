//! Settings and numbers of tasks within what the engine can do.

use squall_core::{ByteSize, Grouping, HumanDuration, KEY_GROUPS, Settings, TopologySpec};

use crate::declare::Point;
use crate::path::Path;
use crate::report::Reporter;

/// The most tasks of a topology.
pub const MAX_TASKS: u32 = 65_536;
/// The most workers of a topology.
pub const MAX_WORKERS: u32 = 4096;

/// Reports settings out of their range.
pub(super) fn check(spec: &TopologySpec, reporter: &mut Reporter<'_>) {
    let at = Path::default().key("settings");
    for key in zeros(&spec.settings) {
        let message = format!("`{key}` must be more than 0");
        reporter.error(&at.key(key), Point::Value, message, None);
    }
    let Settings {
        workers,
        restart_backoff: first,
        restart_backoff_cap: cap,
        ..
    } = spec.settings;
    if workers > MAX_WORKERS {
        let message = format!("a topology has at most {MAX_WORKERS} workers");
        reporter.error(&at.key("workers"), Point::Value, message, None);
    }
    if first > cap {
        let message =
            format!("the first restart waits {first}, longer than the longest wait, {cap}");
        let help = Some("raise `restart_backoff_cap` or lower `restart_backoff`".to_owned());
        reporter.error(&at.key("restart_backoff"), Point::Value, message, help);
    }
    tasks(spec, reporter);
    keyed(spec, reporter);
    ticks(spec, reporter);
}

/// Returns the keys whose value is zero and mustn't be.
fn zeros(settings: &Settings) -> Vec<&'static str> {
    let Settings {
        workers,
        message_timeout,
        max_spout_pending,
        max_spout_pending_bytes,
        max_held_bytes,
        max_tuple_bytes,
        edge_bytes,
        edge_batches,
        // A drain that waits for nothing is a choice.
        drain_timeout: _,
        restart_backoff,
        restart_backoff_cap,
        seed: _,
    } = settings;
    let duration = |value: &HumanDuration| *value == HumanDuration::default();
    let size = |value: &ByteSize| *value == ByteSize::default();
    let table = [
        ("workers", *workers == 0),
        ("message_timeout", duration(message_timeout)),
        ("max_spout_pending", *max_spout_pending == 0),
        ("max_spout_pending_bytes", size(max_spout_pending_bytes)),
        ("max_held_bytes", size(max_held_bytes)),
        ("max_tuple_bytes", size(max_tuple_bytes)),
        ("edge_bytes", size(edge_bytes)),
        ("edge_batches", *edge_batches == 0),
        ("restart_backoff", duration(restart_backoff)),
        ("restart_backoff_cap", duration(restart_backoff_cap)),
    ];
    let zeros = table.into_iter().filter(|(_, is_zero)| *is_zero);
    zeros.map(|(key, _)| key).collect()
}

/// Reports the component with which the topology gets too many tasks.
fn tasks(spec: &TopologySpec, reporter: &mut Reporter<'_>) {
    let root = Path::default();
    let (spouts, bolts) = (root.key("spouts"), root.key("bolts"));
    let spouts = spec
        .spouts
        .iter()
        .map(|(id, s)| (&spouts, id, s.parallelism));
    let bolts_of = spec.bolts.iter().map(|(id, s)| (&bolts, id, s.parallelism));
    let mut n_tasks = 0u64;
    for (section, id, parallelism) in spouts.chain(bolts_of) {
        n_tasks += u64::from(parallelism.get());
        if n_tasks > u64::from(MAX_TASKS) {
            let path = section.key(id.as_str()).key("parallelism");
            let message = format!("with this the topology has more than {MAX_TASKS} tasks");
            reporter.error(&path, Point::Value, message, None);
            return;
        }
    }
}

/// Reports keyed bolts with more tasks than there are key groups: the rest would never get a tuple.
fn keyed(spec: &TopologySpec, reporter: &mut Reporter<'_>) {
    for (id, bolt) in &spec.bolts {
        let is_keyed = bolt.inputs.iter().any(|input| {
            matches!(
                input.grouping,
                Grouping::Fields(_) | Grouping::PartialKey(_)
            )
        });
        let n_tasks = bolt.parallelism.get();
        if is_keyed && u64::from(n_tasks) > u64::from(KEY_GROUPS) {
            let path = Path::default().key("bolts").key(id.as_str());
            let message = format!("{n_tasks} tasks can't share {KEY_GROUPS} groups of keys");
            let help = Some(format!(
                "a bolt with a fields or partial-key grouping has at most {KEY_GROUPS} tasks"
            ));
            reporter.error(&path.key("parallelism"), Point::Value, message, help);
        }
    }
}

fn ticks(spec: &TopologySpec, reporter: &mut Reporter<'_>) {
    for (id, bolt) in &spec.bolts {
        if bolt.tick == Some(HumanDuration::default()) {
            let path = Path::default().key("bolts").key(id.as_str()).key("tick");
            let help = Some("leave it away for no ticks".to_owned());
            reporter.error(&path, Point::Value, "a tick of 0 would never end", help);
        }
    }
}
