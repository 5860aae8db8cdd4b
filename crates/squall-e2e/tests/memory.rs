//! Behind a sink that stands still the whole program stays within the bound that it printed.

use std::fs;

use anyhow::{Context, Result, ensure};

use squall_e2e::{Process, until};

/// As much as the spout can make, with bounds in bytes that are reached before those in numbers.
const TOPOLOGY: &str = r"
name: stalled
settings: { edge_bytes: 16MiB, edge_batches: 100000, max_spout_pending: 200000, max_spout_pending_bytes: 32MiB, max_held_bytes: 1MiB }
spouts:
  lines: { type: generate, config: { fields: { line: access-log }, replay: { max_items: 200000, max_bytes: 32MiB } } }
bolts:
  stall: { type: drill, dedicated: true, config: { fields: [line], action: block, wait: 1h }, inputs: [lines] }
";

/// What the program takes without a tuple: its code, threads and tables.
const PROGRAM_MIB: u64 = 48;

#[tokio::test]
async fn a_stalled_sink_keeps_the_program_within_the_printed_bound() -> Result<()> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("stalled.yaml"), TOPOLOGY)?;
    let mut run = Process::start(&["run", "stalled.yaml"], folder.path(), "talk.txt")?;
    until("nothing is emitted any more", || {
        ensure!(run.is_running()?, "ended by itself: {}", run.said()?);
        Ok(run.said()?.contains("emitted 0/s"))
    })
    .await?;
    let said = run.said()?;
    let (_, bound) = said.split_once("at most ").context(said.clone())?;
    let (bound, _) = bound.split_once("MiB of tuples").context(said.clone())?;
    let bound: u64 = bound.parse()?;
    let resident = run.resident_mib()?;
    // Far more was there to be emitted, and what was is really there.
    ensure!(
        resident > 30 && resident <= bound + PROGRAM_MIB,
        "{resident} MiB, {said}"
    );
    println!("{resident} MiB, the bound is {bound} MiB");
    Ok(())
}
