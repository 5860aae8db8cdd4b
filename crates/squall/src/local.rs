//! A topology in this process: started, watched, drained.
//!
//! What `run` does, for commands of a program's own ([`crate::App::command`]) that bring their own
//! store, options or display.

mod health;
mod progress;
mod signals;
mod spawner;
mod state;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use squall_core::{CheckpointStore, Clock, Fence, Registry};
use squall_plan::Declared;
use squall_runtime::{Options, RunError, Running, Services, StartError, SystemClock};

use crate::console;

use spawner::TokioSpawner;

pub use health::{shortfall, troubles, whereabouts};
pub use progress::{Progress, Totals};
pub use signals::heed;
pub use state::{Resumed, StateError, StateFile};

/// A running topology. Dropping it forces it to end.
pub struct Local {
    running: Arc<Running>,
    clock: Arc<dyn Clock>,
}

/// Starts a checked topology on threads of its own; asynchronous work goes to `tokio`.
///
/// # Errors
/// [`StartError`]; nothing runs.
pub fn start(
    declared: &Declared,
    registry: &Arc<Registry>,
    checkpoints: Arc<dyn CheckpointStore>,
    tokio: &Handle,
    options: &Options,
) -> Result<Local, StartError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let services = Services {
        clock: clock.clone(),
        spawner: Arc::new(TokioSpawner::new(tokio.clone())),
        checkpoints,
        // One process has the state file at a time: its lock is the fence.
        fence: Fence::default(),
    };
    let (spec, signatures) = (&declared.spec, &declared.signatures);
    let running = squall_runtime::start(spec, signatures, registry, services, options)?;
    Ok(Local {
        running: Arc::new(running),
        clock,
    })
}

impl Local {
    /// Returns the running topology itself.
    #[must_use]
    pub const fn running(&self) -> &Arc<Running> {
        &self.running
    }

    /// Returns the clock that the topology runs by.
    #[must_use]
    pub const fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Drains at SIGINT or SIGTERM, and forces the end at the second one, from now on.
    pub fn heed_signals(&self, tokio: &Handle) {
        let (drained, forced) = (self.running.clone(), self.running.clone());
        let drain = move || {
            console::say("draining: what is pending goes on to its end; once more to end at once");
            drained.drain();
        };
        let force = move || {
            console::say("ending at once");
            forced.force();
        };
        tokio.spawn(heed(drain, force));
    }

    /// Waits until the topology has ended, draining it after `limit`; calls `report` every `period`.
    ///
    /// # Errors
    /// [`RunError`] when it could not go on.
    pub fn watch(
        &self,
        period: Duration,
        limit: Option<Duration>,
        mut report: impl FnMut(&Local),
    ) -> Result<(), RunError> {
        let mut limit = limit.map(|limit| self.clock.now() + limit);
        let mut next_report = self.clock.now() + period;
        loop {
            let until = limit.map_or(next_report, |limit| limit.min(next_report));
            let wait = until.since(self.clock.now());
            if let Some(outcome) = self.running.wait(Some(wait)) {
                return outcome;
            }
            let now = self.clock.now();
            if limit.is_some_and(|limit| limit <= now) {
                limit = None;
                self.running.drain();
            }
            if next_report <= now {
                next_report = now + period;
                report(self);
            }
        }
    }
}
