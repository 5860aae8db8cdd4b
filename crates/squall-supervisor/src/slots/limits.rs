//! The bounds that a slot works within.

use std::time::Duration;

/// Bounds on waits and restarts, the same for all slots of a supervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a new worker may take until it calls its supervisor. Default 30 s.
    pub start_timeout: Duration,
    /// How long a worker may say nothing before it is killed. Default 10 s.
    pub silence: Duration,
    /// How long a worker that has to end may let its pending tuple trees finish. Default 10 s.
    pub drain_timeout: Duration,
    /// How long a worker may take to end after SIGTERM before SIGKILL follows. Default 5 s.
    pub term_grace: Duration,
    /// The wait before a worker is started again; doubled for each further exit in a row. Default 200 ms.
    pub backoff: Duration,
    /// The longest such wait. Default 10 s.
    pub backoff_cap: Duration,
    /// For how long a worker must have been ready for its exit not to count as one of a row. Default 1 s.
    pub steady_after: Duration,
    /// How many exits in a row are borne: one more and the slot has failed. Default 5.
    pub max_early_exits: u32,
    /// How many exits within [`Limits::window`] are borne, steady or not. Default 30.
    pub max_exits: u32,
    /// See [`Limits::max_exits`]. Default 5 min.
    pub window: Duration,
    /// The wait between attempts once the slot has failed. Default 60 s.
    pub failed_retry: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            start_timeout: Duration::from_secs(30),
            silence: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(10),
            term_grace: Duration::from_secs(5),
            backoff: Duration::from_millis(200),
            backoff_cap: Duration::from_secs(10),
            steady_after: Duration::from_secs(1),
            max_early_exits: 5,
            max_exits: 30,
            window: Duration::from_secs(300),
            failed_retry: Duration::from_secs(60),
        }
    }
}
