//! Removes binaries that no topology refers to any more.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use squall_daemon::shutdown::Scope;
use squall_store::blob::{BlobHash, BlobStore, Mark, Removed};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, interval};
use tracing::{info, warn};

use crate::leader::LeaderHandle;

/// How many times in the time for which binaries are kept it is looked.
const LOOKS: u32 = 4;

/// Looks now and then, until the scope drains. Whoever has uploaded a binary has at least `keep` to refer to it,
/// and one that is referred to no more is kept as long: its topology may be submitted again.
pub(crate) async fn sweep(blobs: BlobStore, leader: LeaderHandle, keep: Duration, scope: Scope) {
    let mut looks = interval(keep / LOOKS);
    let mut marks: VecDeque<(Instant, Mark)> = VecDeque::new();
    loop {
        tokio::select! {
            () = scope.draining() => return,
            _ = looks.tick() => {}
        }
        let now = Instant::now();
        let mut before = None;
        while let Some((at, mark)) = marks.front().copied() {
            if now.duration_since(at) < keep {
                break;
            }
            before = Some(mark);
            marks.pop_front();
        }
        let mark = look(&blobs, &leader, before).await;
        marks.extend(mark.map(|mark| (Instant::now(), mark)));
    }
}

/// Keeps what is referred to young, and removes what has been of no use since `before`. Returns the mark of this
/// look.
async fn look(blobs: &BlobStore, leader: &LeaderHandle, before: Option<Mark>) -> Option<Mark> {
    let desired = leader.desired();
    let records = desired.topologies.values();
    let hashes = records.map(|record| BlobHash::new(*record.topology.binary_sha256.as_bytes()));
    let referenced: BTreeSet<BlobHash> = hashes.collect();
    let blobs = blobs.clone();
    let look = move || {
        let mark = blobs.mark();
        for hash in &referenced {
            // Whoever asks for a blob makes it young.
            let _n_bytes = blobs.size(*hash);
        }
        let removed = match before {
            Some(before) => blobs.remove_unreferenced(&referenced, before),
            None => Ok(Removed::default()),
        };
        (mark, removed)
    };
    let (mark, removed) = match spawn_blocking(look).await {
        Ok(looked) => looked,
        Err(error) => {
            warn!(%error, "old binaries can't be removed");
            return None;
        }
    };
    match removed {
        Ok(removed) if removed.n_blobs > 0 => {
            info!(
                n_binaries = removed.n_blobs,
                n_bytes = removed.n_bytes,
                "old binaries removed"
            );
        }
        Ok(_) => {}
        Err(error) => warn!(%error, "old binaries can't be removed"),
    }
    Some(mark)
}
