//! What a topology costs that has next to nothing to do.

use squall::Result;

use super::chain::Chain;
use super::mode::Pace;
use super::rig::{Rig, key};
use super::section::Section;

/// The setting of the row whose source emits nothing.
pub(super) const NOTHING: &str = "nothing";
/// The setting of the row with a record each second.
pub(super) const ONE_PER_SEC: &str = "1/s";

/// Measures a topology whose source emits nothing, and one whose sources emit a record each second.
///
/// # Errors
/// The topology can't be run.
pub(super) fn measure(chain: &Chain, rig: &mut Rig<'_>) -> Result<()> {
    for (setting, pace) in [(NOTHING, Pace::Never), (ONE_PER_SEC, Pace::PerSec(1))] {
        let run = rig.run(chain, true, pace)?;
        rig.add(Section::Idle, key(chain, true, setting), run.idleness());
    }
    Ok(())
}
