//! The bench, as the components know it that run in workers' processes.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Signal, getpid, getppid, kill_process};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval};

use squall_core::TaskContext;

/// How often a worker looks whether its bench is still there.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Where it is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Host {
    /// Where figures are to be left.
    pub(super) folder: PathBuf,
    /// Its process, of which the workers are children.
    pid: i32,
}

impl Host {
    /// Makes this process's own.
    pub(super) fn new(folder: PathBuf) -> Self {
        let pid = getpid().as_raw_nonzero().get();
        Self { folder, pid }
    }

    /// Has this process end soon after the bench does, however that ends: workers are made to outlive their
    /// supervisors. As long as a task of it runs.
    pub(super) fn end_with_it(&self, ctx: &TaskContext) {
        let pid = self.pid;
        ctx.spawn("watch the bench", async move {
            let mut looks = interval(LOOK_EVERY);
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            // Orphans get another parent.
            while getppid().is_some_and(|parent| parent.as_raw_nonzero().get() == pid) {
                looks.tick().await;
            }
            // Nobody is left who could be told that this failed.
            kill_process(getpid(), Signal::KILL).unwrap_or_default();
        });
    }
}
