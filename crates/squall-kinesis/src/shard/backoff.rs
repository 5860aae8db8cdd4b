//! How long to wait after an error: exponential, with full jitter, and floors by class of error.

use std::time::Duration;

use fastrand::Rng;

use crate::api::ErrorClass;

const BASE: Duration = Duration::from_millis(200);
const CAP: Duration = Duration::from_secs(10);
/// A throttled shard answers nothing for about a second.
const THROTTLED_FLOOR: Duration = Duration::from_secs(1);
/// What somebody has to mend isn't mended within milliseconds.
const SLOW: Duration = Duration::from_secs(30);

/// The errors in a row, and the wait that follows from them.
#[derive(Debug)]
pub(crate) struct Backoff {
    n_errors: u32,
    rng: Rng,
}

impl Backoff {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            n_errors: 0,
            rng: Rng::with_seed(seed),
        }
    }

    /// Books a success: the next error is the first again.
    pub(crate) const fn reset(&mut self) {
        self.n_errors = 0;
    }

    /// Books an error and draws the wait after it.
    pub(crate) fn after(&mut self, class: ErrorClass) -> Duration {
        let factor = 1_u32.checked_shl(self.n_errors).unwrap_or(u32::MAX);
        self.n_errors = self.n_errors.saturating_add(1);
        let most = BASE.saturating_mul(factor).min(CAP);
        let most_ms = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        let drawn = Duration::from_millis(self.rng.u64(0..=most_ms));
        match class {
            ErrorClass::Throttled => drawn.max(THROTTLED_FLOOR),
            ErrorClass::Denied | ErrorClass::NoCredentials | ErrorClass::NoRegion => SLOW,
            _ => drawn,
        }
    }

    /// Books an error that only time or a person mends, and returns the long wait after it.
    pub(crate) const fn slow(&mut self) -> Duration {
        self.n_errors = self.n_errors.saturating_add(1);
        SLOW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_spread_below_a_doubling_bound() {
        let mut sums = [Duration::ZERO; 10];
        for seed in 0..500 {
            let mut backoff = Backoff::new(seed);
            for (n, sum) in sums.iter_mut().enumerate() {
                let wait = backoff.after(ErrorClass::Transient);
                assert!(wait <= (BASE * 2_u32.pow(n.try_into().unwrap())).min(CAP));
                *sum += wait;
            }
        }
        // Full jitter: on average half of the bound.
        let mean = sums.map(|sum| sum / 500);
        assert!(
            mean[0] > BASE * 4 / 10 && mean[0] < BASE * 6 / 10,
            "{mean:?}"
        );
        assert!(mean[9] > CAP * 4 / 10 && mean[9] < CAP * 6 / 10, "{mean:?}");
    }

    #[test]
    fn a_throttled_shard_rests_for_a_second() {
        let mut backoff = Backoff::new(1);
        assert_eq!(backoff.after(ErrorClass::Throttled), THROTTLED_FLOOR);
        assert_eq!(backoff.after(ErrorClass::Denied), SLOW);
        backoff.reset();
        assert!(backoff.after(ErrorClass::Transient) <= BASE);
    }
}
