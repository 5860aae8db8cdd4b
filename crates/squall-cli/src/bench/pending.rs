//! How much memory a pending tuple takes, beyond its values: in its tree's ledger, and where it waits.
//!
//! What an allocator has been given back it may keep, so each measurement has a process of its own, with an allocator
//! that doesn't.

use std::mem::size_of;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use squall::Result;
use squall_core::{AckToken, Registry, Value};

use super::board::Board;
use super::chain::{Chain, Stage};
use super::components;
use super::earlier::Earlier;
use super::feed::N_VALUES;
use super::hoard::{self, Gate};
use super::measure;
use super::mode::{Mode, Pace};
use super::quantity::Quantity;
use super::resident::resident_bytes;
use super::rig::{Rig, key};
use super::row::Sample;
use super::section::Section;

/// How many are pending at the end.
const N_PENDING: u32 = 1_000_000;
/// From how many on it is measured: what a topology takes at all isn't the tuples', nor is the room that a table has
/// left over when it has grown to twice its size. None grows from here to the end.
const N_FROM: u32 = 600_000;
/// How long it may take until so many are.
const PATIENCE: Duration = Duration::from_secs(60);
/// The tuples in between come within some 50 ms.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How often it is tried: on a busy machine nobody may get to look in between.
const MAX_TRIES: u32 = 5;
/// Who keeps the tuples, and the setting of the row.
const KEEPERS: [(Stage, &str); 2] = [(Stage::Keep, KEPT), (Stage::Stuck, QUEUED)];
/// The setting of the row whose bolt keeps tokens.
pub(super) const KEPT: &str = "kept by a bolt";
/// The setting of the row whose bolt doesn't read.
pub(super) const QUEUED: &str = "in a queue";

/// Has other processes measure, one for each row.
///
/// # Errors
/// A process can't be started, or fails; the error has its last words.
pub(super) fn measure(chain: &Chain, rig: &mut Rig<'_>) -> Result<()> {
    for (_, setting) in KEEPERS {
        let mut child = Command::new(std::env::current_exe()?);
        child.args(["bench", "--case", chain.name, "--alone", setting]);
        // Else what was freed when a table grew stays, and is filled with tuples that seem to take nothing.
        child.env("MIMALLOC_PURGE_DELAY", "0");
        let output = child.args(["-o", "json"]).stdin(Stdio::null()).output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().last().unwrap_or("no word of it").to_owned();
            return Err(format!("memory wasn't measured: {last}").into());
        }
        for row in Earlier::parse(&String::from_utf8(output.stdout)?)?.rows {
            for sample in row.runs {
                rig.add(row.section, row.key.clone(), sample);
            }
        }
    }
    Ok(())
}

/// Measures one row in this very process.
///
/// # Errors
/// There is no such row, or the topology can't be run.
pub(super) fn measure_here(setting: &str, chain: &Chain, rig: &mut Rig<'_>) -> Result<()> {
    let keeper = KEEPERS.into_iter().find(|(_, name)| *name == setting);
    let (stage, _) = keeper.ok_or("there is no such row")?;
    let chain = Chain {
        bolts: vec![stage],
        max_spout_pending: Some(N_PENDING),
        ..chain.clone()
    };
    let mut piled_up = None;
    for _ in 0..MAX_TRIES {
        piled_up = pile_up(&chain, rig)?;
        if piled_up.is_some() {
            break;
        }
    }
    let (per_tuple, ledger_bytes) = piled_up.ok_or("the machine was too busy to look at memory")?;
    let values = if stage == Stage::Stuck {
        N_VALUES * size_of::<Value>()
    } else {
        0
    };
    let token = if stage == Stage::Keep {
        size_of::<AckToken>()
    } else {
        0
    };
    let bytes = per_tuple - values as f64;
    let sample = Sample::from([
        (Quantity::BytesPerPending, bytes),
        (Quantity::TokenBytes, token as f64),
        (Quantity::LedgerBytes, ledger_bytes),
    ]);
    rig.add(Section::Pending, key(&chain, true, setting), sample);
    Ok(())
}

/// Runs a topology until so many are pending. Returns how much memory each further one took, and how much of it each
/// entry of the ledger may take, in bytes; `None` when nobody looked in between.
fn pile_up(chain: &Chain, rig: &Rig<'_>) -> Result<Option<(f64, f64)>> {
    let (board, gate) = (Board::shared(), Gate::default());
    let mut registry = Registry::new();
    components::register(&mut registry, &board);
    hoard::register(&mut registry, usize::try_from(N_PENDING)?, &gate);
    let mode = Mode {
        acked: true,
        pace: Pace::Full,
        warm_up: Duration::ZERO,
        span: Duration::ZERO,
        processes: 1,
        host: None,
    };
    let local = measure::start(chain, &mode, &Arc::new(registry), rig.program)?;
    let bound = local.running().memory_bound();
    let ledger_bytes = bound.ledgers_bytes as f64 / f64::from(N_PENDING);
    let begun = local.clock().now();
    // How many were pending, and how much memory there was.
    let mut seen: Vec<(u64, Result<u64>)> = Vec::new();
    let mut is_over = false;
    local.watch(LOOK_EVERY, None, |local| {
        let n_pending = local.running().snapshot().pending();
        let wanted = if seen.is_empty() { N_FROM } else { N_PENDING };
        if !is_over && n_pending >= u64::from(wanted) {
            seen.push((n_pending, resident_bytes()));
        }
        let is_late = local.clock().now().since(begun) > PATIENCE;
        if !is_over && (seen.len() == 2 || is_late) {
            is_over = true;
            local.running().force();
            gate.open();
        }
    })?;
    let mut seen = seen.into_iter();
    let (Some((n_first, first)), Some((n_last, last))) = (seen.next(), seen.next()) else {
        return Err("so many never were pending".into());
    };
    if n_first >= n_last {
        return Ok(None);
    }
    let bytes = last?.saturating_sub(first?) as f64;
    Ok(Some((bytes / (n_last - n_first) as f64, ledger_bytes)))
}
