//! Processes that die or hang while numbers flow: what is lost, what comes twice and how long it takes until the
//! flow is back, held to the bounds that operators are told.
//!
//! The bounds are about timers of ours. Each test says what it allows on top of one, for machines that are busy
//! with other things, and prints what it measured.

mod daemons;
mod flow;
mod hang;
mod kills;
mod node;
mod progress;
mod truth;
mod zombie;

use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};

/// How many numbers are made a second.
pub(crate) const RATE: u32 = 5_000;
/// The topology's time-out in these tests.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);
/// A worker that says nothing is killed after this time.
pub(crate) const SILENCE: Duration = Duration::from_secs(10);
/// A lost supervisor's tasks are placed elsewhere within this time.
pub(crate) const PLACED_WITHIN: Duration = Duration::from_secs(15);
/// The flow is back within this time after a worker was killed.
pub(crate) const FLOW_WITHIN: Duration = Duration::from_secs(10);
/// Every event is seen within this time after a fault.
pub(crate) const SEEN_WITHIN: Duration = Duration::from_secs(20);
/// What is allowed on top of a bound of whole seconds: a process that starts, or that asks, has to wait for its
/// turn on a busy machine.
pub(crate) const ALLOWED: Duration = Duration::from_secs(5);

/// Has one of these tests run at a time: they measure times.
pub(crate) async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}
