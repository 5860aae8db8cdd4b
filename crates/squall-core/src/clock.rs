//! Time as it is passed in. The engine has the real clock, tests one that they wind by hand.

use std::ops::Add;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A point of monotonic time: nanoseconds since the clock's own beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The clock's beginning.
    pub const ZERO: Self = Self(0);

    /// Makes the moment this many nanoseconds after the beginning.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Returns the nanoseconds since the beginning.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns the time since `earlier`, or zero if that is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    /// Saturates after 584 years.
    fn add(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)),
        )
    }
}

/// Tells the time. Reading it costs about 30 ns: once per batch, not per tuple.
pub trait Clock: Send + Sync {
    /// Returns the monotonic time.
    fn now(&self) -> Moment;

    /// Returns the wall-clock time in milliseconds since 1970. It may jump; never compare two machines'.
    fn unix_ms(&self) -> u64;
}

/// A clock that stands still until it is wound.
#[derive(Debug, Default)]
pub struct ManualClock {
    nanos: AtomicU64,
}

impl ManualClock {
    /// The wall-clock time at the beginning: 2020-01-01T00:00:00Z.
    pub const EPOCH_UNIX_MS: u64 = 1_577_836_800_000;

    /// Makes a clock that stands at [`Moment::ZERO`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        self.set(self.now() + by);
    }

    /// Moves the clock on to `moment`; a moment that has passed changes nothing.
    pub fn set(&self, moment: Moment) {
        self.nanos.fetch_max(moment.as_nanos(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        Moment(self.nanos.load(Ordering::SeqCst))
    }

    fn unix_ms(&self) -> u64 {
        Self::EPOCH_UNIX_MS + self.now().as_nanos() / 1_000_000
    }
}
