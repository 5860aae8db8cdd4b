//! How fast a topology is in this process: at full speed for throughput, then at rates for latency.

use squall::Result;

use super::chain::{Chain, Stage};
use super::mode::Pace;
use super::rig::{Rig, key};
use super::section::Section;

/// The rate at which latency is measured whatever the machine can do.
const RATE_PER_SEC: u64 = 10_000;
/// The setting of rows at that rate.
pub(super) const AT_RATE: &str = "10000/s";
/// The setting of rows at half of full speed.
pub(super) const HALF_OF_FULL: &str = "half of full";

/// Measures a topology at full speed, at a fixed rate and at half of what full speed was, as long each.
///
/// # Errors
/// The topology can't be run, or for too short a time.
pub(super) fn measure(chain: &Chain, acked: bool, rig: &mut Rig<'_>) -> Result<()> {
    let full = rig.run(chain, acked, Pace::Full)?;
    let throughput = full.throughput(chain)?;
    rig.add(Section::Throughput, key(chain, acked, ""), throughput);
    if !acked && !chain.has(Stage::Sink) {
        // Nobody sees a record done.
        return Ok(());
    }
    rig.pace(chain, acked, (AT_RATE, RATE_PER_SEC))?;
    let half = full.records_per_sec / 2;
    rig.pace(chain, acked, (HALF_OF_FULL, half))?;
    Ok(())
}
