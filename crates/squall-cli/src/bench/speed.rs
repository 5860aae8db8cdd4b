//! How fast a topology is in this process: at full speed for throughput, then at a rate for latency.

use squall::Result;

use super::chain::Chain;
use super::mode::Pace;
use super::rig::Rig;
use super::section::Section;

/// The rate at which latency is measured.
const RATE_PER_SEC: u64 = 10_000;

/// Measures a topology at full speed and at a rate, as long each.
///
/// # Errors
/// The topology can't be run, or for too short a time.
pub(super) fn measure(chain: &Chain, acked: bool, rig: &mut Rig<'_>) -> Result<()> {
    let full = rig.run(chain, acked, Pace::Full)?;
    rig.add(Section::Throughput, chain, acked, full.throughput(chain));
    let paced = rig.run(chain, acked, Pace::PerSec(RATE_PER_SEC))?;
    let latency = paced.latency(RATE_PER_SEC);
    rig.add(Section::Latency, chain, acked, latency);
    Ok(())
}
