//! When the records of a source are due, at a rate.

use std::ops::Range;
use std::time::Duration;

/// Of how many records the latency is taken in a second, of all tasks together: reading the clock for each of
/// millions would be most of what is measured.
const MAX_SAMPLES_PER_SEC: u64 = 20_000;
const NANOS_PER_SEC: u64 = 1_000_000_000;

/// A rate: `n` records of one task in so many nanoseconds. Its record 0 is due at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beat {
    n_records: u64,
    nanos: u64,
    /// Of so many records the latency of one is taken.
    sample_every: u64,
}

impl Beat {
    /// Makes the rate of one of `n_tasks` that share `rate_per_sec`. A rate of 0 is taken as 1.
    pub(super) fn new(rate_per_sec: u64, n_tasks: u64) -> Self {
        Self {
            n_records: rate_per_sec.max(1),
            nanos: NANOS_PER_SEC.saturating_mul(n_tasks),
            sample_every: rate_per_sec.div_ceil(MAX_SAMPLES_PER_SEC).max(1),
        }
    }

    /// Returns when a record is due, after the first.
    pub(super) fn due(&self, number: u64) -> Duration {
        let nanos = u128::from(number) * u128::from(self.nanos);
        // The next whole one: by then it is due.
        let nanos = nanos.div_ceil(u128::from(self.n_records));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Returns how many records are due by then.
    pub(super) fn n_due(&self, since_first: Duration) -> u64 {
        let n = since_first.as_nanos() * u128::from(self.n_records) / u128::from(self.nanos);
        u64::try_from(n).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// Returns those of these records whose latency is taken.
    pub(super) fn sampled(&self, numbers: Range<u64>) -> impl Iterator<Item = u64> {
        let first = numbers.start.next_multiple_of(self.sample_every);
        let step = usize::try_from(self.sample_every).unwrap_or(usize::MAX);
        (first..numbers.end).step_by(step)
    }

    /// Tells whether the latency of this record is taken.
    pub(super) const fn is_sampled(&self, number: u64) -> bool {
        number.is_multiple_of(self.sample_every)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_due_when_it_is_counted_as_due() {
        for (rate, n_tasks) in [(1, 1), (3, 2), (10_000, 2), (12_345_678, 1)] {
            let beat = Beat::new(rate, n_tasks);
            assert_eq!(
                (beat.due(0), beat.n_due(Duration::ZERO)),
                (Duration::ZERO, 1)
            );
            for number in [1, 2, 7, 1_000, 999_999] {
                let due = beat.due(number);
                assert!(beat.n_due(due) > number, "{beat:?} {number}");
                let before = due.saturating_sub(Duration::from_nanos(1));
                assert!(beat.n_due(before) <= number, "{beat:?} {number}");
            }
        }
        // Two tasks share 10,000 a second.
        assert_eq!(Beat::new(10_000, 2).due(5_000), Duration::from_secs(1));
    }

    #[test]
    fn of_many_records_some_are_sampled() {
        let sampled = |rate| {
            let beat = Beat::new(rate, 1);
            (0..rate).filter(|number| beat.is_sampled(*number)).count()
        };
        assert_eq!(sampled(10_000), 10_000);
        assert_eq!(sampled(2_000_000), 20_000);
        let beat = Beat::new(60_000, 1);
        assert!(beat.sampled(5..13).eq([6, 9, 12]));
    }
}
