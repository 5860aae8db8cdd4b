//! The bounds that a worker lives within.

use std::time::Duration;

/// Bounds on waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How long a worker that is told to end lets its tuple trees finish: less than the 5 s that supervisors
    /// give between SIGTERM and SIGKILL. Default 3 s.
    pub(crate) drain_within: Duration,
    /// How long, after that, its tasks may take to end, and their last words to go out. Default 500 ms.
    pub(crate) leave_within: Duration,
    /// How often it is looked whether everything is ready or has drained, while that is waited for: readiness
    /// counts towards the time to recover. Default 20 ms.
    pub(crate) quick_look: Duration,
    /// How often, once that has taken longer than [`Limits::quick_for`]. Default 200 ms.
    pub(crate) slow_look: Duration,
    /// Default 5 s.
    pub(crate) quick_for: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            drain_within: Duration::from_secs(3),
            leave_within: Duration::from_millis(500),
            quick_look: Duration::from_millis(20),
            slow_look: Duration::from_millis(200),
            quick_for: Duration::from_secs(5),
        }
    }
}
