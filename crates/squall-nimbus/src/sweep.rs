//! Removes binaries that no topology refers to any more.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use squall_daemon::shutdown::Scope;
use squall_store::blob::{BlobHash, BlobStore, Mark};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, interval};
use tracing::{info, warn};

use crate::leader::LeaderHandle;

/// How many times in the time for which binaries are kept it is looked.
const LOOKS: u32 = 4;

/// Looks now and then, until the scope drains. Whoever has uploaded a binary has at least `keep` to refer to it.
pub(crate) async fn sweep(blobs: BlobStore, leader: LeaderHandle, keep: Duration, scope: Scope) {
    let mut looks = interval(keep / LOOKS);
    let mut marks: VecDeque<(Instant, Mark)> = VecDeque::new();
    loop {
        tokio::select! {
            () = scope.draining() => return,
            _ = looks.tick() => {}
        }
        let now = Instant::now();
        marks.push_back((now, blobs.mark()));
        let mut before = None;
        while let Some((at, mark)) = marks.front().copied() {
            if now.duration_since(at) < keep {
                break;
            }
            before = Some(mark);
            marks.pop_front();
        }
        if let Some(before) = before {
            remove(&blobs, &leader, before).await;
        }
    }
}

async fn remove(blobs: &BlobStore, leader: &LeaderHandle, before: Mark) {
    let desired = leader.desired();
    let records = desired.topologies.values();
    let hashes = records.map(|record| BlobHash::new(*record.topology.binary_sha256.as_bytes()));
    let referenced: BTreeSet<BlobHash> = hashes.collect();
    let blobs = blobs.clone();
    match spawn_blocking(move || blobs.remove_unreferenced(&referenced, before)).await {
        Ok(Ok(removed)) if removed.n_blobs > 0 => {
            info!(
                n_binaries = removed.n_blobs,
                n_bytes = removed.n_bytes,
                "old binaries removed"
            );
        }
        Ok(Ok(_)) => {}
        Ok(Err(error)) => warn!(%error, "old binaries can't be removed"),
        Err(error) => warn!(%error, "old binaries can't be removed"),
    }
}
