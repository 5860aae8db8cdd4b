//! Room on a disk.

use std::path::Path;

/// Returns how many bytes an unprivileged process can still store beside this file or directory.
pub(crate) fn free_bytes(path: &Path) -> Option<u64> {
    let room = rustix::fs::statvfs(path).ok()?;
    Some(room.f_bavail.saturating_mul(room.f_frsize))
}
