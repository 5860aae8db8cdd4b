//! How long records took, as a histogram that can be put together from several and written down.

use std::fmt;

use hdrhistogram::Histogram;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest latency that is told apart from longer ones, in microseconds.
const MAX_US: u64 = 60_000_000;
/// How many digits of a latency count.
const DIGITS: u8 = 3;

/// Latencies in microseconds. Takes no memory before the first.
#[derive(Clone, Default)]
pub(super) struct Latencies(Option<Histogram<u64>>);

impl Latencies {
    /// Adds one.
    pub(super) fn record(&mut self, us: u64) {
        self.record_n(us, 1);
    }

    fn record_n(&mut self, us: u64, n: u64) {
        if self.0.is_none() {
            // These bounds are legal.
            self.0 = Histogram::new_with_max(MAX_US, DIGITS).ok();
        }
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record_n(us, n);
        }
    }

    /// Adds all of another one.
    pub(super) fn absorb(&mut self, other: &Self) {
        for (us, n) in other.recorded() {
            self.record_n(us, n);
        }
    }

    /// Returns the latency below which this share of the records stayed, in microseconds; 0 if there are none.
    pub(super) fn value_us(&self, quantile: f64) -> u64 {
        self.0
            .as_ref()
            .map_or(0, |histogram| histogram.value_at_quantile(quantile))
    }

    /// Returns how many there are.
    pub(super) fn len(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }

    fn recorded(&self) -> Vec<(u64, u64)> {
        let recorded = self.0.iter().flat_map(Histogram::iter_recorded);
        recorded
            .map(|at| (at.value_iterated_to(), at.count_at_value()))
            .collect()
    }
}

impl Serialize for Latencies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.recorded().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Latencies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut latencies = Self::default();
        for (us, n) in Vec::<(u64, u64)>::deserialize(deserializer)? {
            latencies.record_n(us, n);
        }
        Ok(latencies)
    }
}

impl fmt::Debug for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} latencies", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_take_no_time_and_the_longest_are_kept_as_the_longest() {
        let mut latencies = Latencies::default();
        assert_eq!((latencies.value_us(0.99), latencies.len()), (0, 0));
        for us in 1..=100 {
            latencies.record(us);
        }
        latencies.record(u64::MAX);
        assert_eq!((latencies.value_us(0.5), latencies.len()), (51, 101));
        assert!(latencies.value_us(1.0) >= MAX_US);
    }
}
