//! Fences on the wire. What a fence is stands in `squall_core`.

use squall_core::Fence;

use crate::check;
use crate::field::{At, FieldError};
use crate::wire;

impl TryFrom<wire::Fence> for Fence {
    type Error = FieldError;

    fn try_from(wire: wire::Fence) -> Result<Self, FieldError> {
        Ok(Self {
            placement_epoch: check::number("placement_epoch", wire.placement_epoch, 1..=u64::MAX)?,
            incarnation: wire.incarnation,
        })
    }
}

impl From<Fence> for wire::Fence {
    fn from(fence: Fence) -> Self {
        Self {
            placement_epoch: fence.placement_epoch,
            incarnation: fence.incarnation,
        }
    }
}

/// Takes the fence of a worker that has been started: its incarnation isn't 0.
pub(crate) fn started(field: &str, wire: Option<wire::Fence>) -> Result<Fence, FieldError> {
    let fence: Fence = check::required(field, wire)?;
    check::number("incarnation", fence.incarnation, 1..=u64::MAX).at(field)?;
    Ok(fence)
}
