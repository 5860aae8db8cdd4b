//! How long a link waits before it is opened again.

use std::time::Duration;

/// Draws waits that double up to a cap; half of each is drawn, so that peers don't come back together.
#[derive(Debug)]
pub(crate) struct Backoff {
    base: Duration,
    cap: Duration,
    rng: fastrand::Rng,
    n_failures: u32,
}

impl Backoff {
    pub(crate) fn new(base: Duration, cap: Duration, seed: u64) -> Self {
        Self {
            base,
            cap,
            rng: fastrand::Rng::with_seed(seed),
            n_failures: 0,
        }
    }

    /// Draws the wait after one more failure.
    pub(crate) fn failed(&mut self) -> Duration {
        let factor = 1u32.checked_shl(self.n_failures).unwrap_or(u32::MAX);
        self.n_failures = self.n_failures.saturating_add(1);
        let wait = self.base.saturating_mul(factor).min(self.cap);
        wait.mul_f64(0.5 + self.rng.f64() / 2.0)
    }

    /// Begins anew: the link has carried something.
    pub(crate) const fn succeeded(&mut self) {
        self.n_failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_begin_anew() {
        for seed in 0..50 {
            let (base, cap) = (Duration::from_millis(50), Duration::from_secs(2));
            let mut backoff = Backoff::new(base, cap, seed);
            for _ in 0..2 {
                for full_ms in [50, 100, 200, 400, 800, 1600, 2000, 2000] {
                    let full = Duration::from_millis(full_ms);
                    let wait = backoff.failed();
                    assert!(wait >= full / 2 && wait <= full, "seed {seed}: {wait:?}");
                }
                for _ in 0..100 {
                    assert!(backoff.failed() <= cap);
                }
                backoff.succeeded();
            }
        }
    }
}
