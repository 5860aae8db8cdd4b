//! How long to wait before the next try: longer each time, and never all callers at once.

use std::time::Duration;

use fastrand::Rng;

/// Bounds of a [`Backoff`].
#[derive(Clone, Copy, Debug)]
pub struct BackoffConfig {
    /// The first wait. Default: 100 ms.
    pub base: Duration,
    /// The longest wait. Default: 5 s.
    pub cap: Duration,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(100),
            cap: Duration::from_secs(5),
        }
    }
}

/// Draws waits that double from a base up to a cap. Of each at least half is kept, and the rest is drawn,
/// so that those who have lost the same server don't come back together.
#[derive(Debug)]
pub struct Backoff {
    config: BackoffConfig,
    rng: Rng,
    n_failures: u32,
}

impl Backoff {
    /// Begins at the base.
    #[must_use]
    pub fn new(config: BackoffConfig, seed: u64) -> Self {
        Self {
            config,
            rng: Rng::with_seed(seed),
            n_failures: 0,
        }
    }

    /// Draws the wait after one more failure.
    pub fn failed(&mut self) -> Duration {
        let factor = 1_u32.checked_shl(self.n_failures).unwrap_or(u32::MAX);
        self.n_failures = self.n_failures.saturating_add(1);
        let wait = self.config.base.saturating_mul(factor).min(self.config.cap);
        let nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.rng.u64(nanos / 2..=nanos))
    }

    /// Begins at the base again: to be called when what was connected has proven to work, not when it has only
    /// connected.
    pub fn succeeded(&mut self) {
        self.n_failures = 0;
    }

    /// How many failures there were in a row.
    #[must_use]
    pub fn n_failures(&self) -> u32 {
        self.n_failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_keep_half_and_begin_again() {
        for seed in 0..50 {
            let mut backoff = Backoff::new(BackoffConfig::default(), seed);
            for _ in 0..2 {
                for full_ms in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
                    let full = Duration::from_millis(full_ms);
                    let wait = backoff.failed();
                    assert!(wait >= full / 2 && wait <= full, "seed {seed}: {wait:?}");
                }
                for _ in 0..100 {
                    assert!(backoff.failed() <= Duration::from_secs(5));
                }
                assert_eq!(backoff.n_failures(), 108);
                backoff.succeeded();
            }
        }
    }

    #[test]
    fn waits_repeat_with_the_seed_and_differ_otherwise() {
        let draw = |seed| {
            let mut backoff = Backoff::new(BackoffConfig::default(), seed);
            [(); 8].map(|()| backoff.failed())
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
