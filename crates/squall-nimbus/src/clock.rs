//! The time by which nimbus decides: the same as its timers'.

use std::time::{SystemTime, UNIX_EPOCH};

use squall_core::{Clock, Moment};
use tokio::time::Instant;

/// Tells tokio's time. Its moments count from when it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimerClock {
    origin: Instant,
}

impl TimerClock {
    /// Makes a clock that stands at [`Moment::ZERO`] now.
    pub(crate) fn new() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
}

impl Clock for TimerClock {
    fn now(&self) -> Moment {
        Moment::ZERO + self.origin.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn unix_ms(&self) -> u64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}
