//! Exponential back-off with equal jitter: at least half of each wait is kept, so that a retry never
//! comes at once, and the other half spreads what failed together.

use std::time::Duration;

use fastrand::Rng;

use super::ReplayConfig;

/// Draws how long the next retry waits.
pub(super) struct Backoff {
    base: Duration,
    cap: Duration,
    rng: Rng,
}

impl Backoff {
    /// Takes base and cap from `config`.
    pub(super) fn new(config: &ReplayConfig, seed: u64) -> Self {
        Self {
            base: config.backoff_base.0,
            cap: config.backoff_cap.0,
            rng: Rng::with_seed(seed),
        }
    }

    /// Draws the wait after this many failures, counted from 1.
    pub(super) fn after(&mut self, n_failures: u32) -> Duration {
        let doublings = n_failures.saturating_sub(1);
        let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.draw(self.base.saturating_mul(factor))
    }

    /// Draws the wait of a message that is beyond its attempts.
    pub(super) fn at_cap(&mut self) -> Duration {
        self.draw(self.cap)
    }

    fn draw(&mut self, wait: Duration) -> Duration {
        let nanos = u64::try_from(wait.min(self.cap).as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.rng.u64(nanos / 2..=nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_keep_half() {
        let mut backoff = Backoff::new(&ReplayConfig::default(), 1);
        for (n_failures, full_ms) in [
            (0, 100),
            (1, 100),
            (2, 200),
            (3, 400),
            (9, 25_600),
            (10, 30_000),
            (33, 30_000),
        ] {
            for _ in 0..100 {
                let wait = backoff.after(n_failures);
                let full = Duration::from_millis(full_ms);
                assert!(
                    wait >= full / 2 && wait <= full,
                    "{n_failures} failures: {wait:?}"
                );
            }
        }
    }

    #[test]
    fn waits_differ_from_each_other_and_repeat_with_the_seed() {
        let draw = |seed| {
            let mut backoff = Backoff::new(&ReplayConfig::default(), seed);
            [(); 8].map(|()| backoff.after(3))
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_ne!(draw(1)[0], draw(1)[1]);
    }
}
