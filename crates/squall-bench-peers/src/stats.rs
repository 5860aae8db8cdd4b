//! Medians and ranges.

use serde::Serialize;

/// What several runs gave.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    /// The middle one; of an even number the mean of the two in the middle.
    pub(crate) median: f64,
    /// The least.
    pub(crate) min: f64,
    /// The most.
    pub(crate) max: f64,
}

impl Spread {
    /// Returns that of `values`; `None` when there are none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let half = values.len() / 2;
        let upper = values.get(half)?;
        let lower = values.get((values.len() - 1) / 2)?;
        Some(Self {
            median: f64::midpoint(*lower, *upper),
            min,
            max,
        })
    }

    /// Returns that of `ours` in times of `theirs`, run by run; `None` when there are none in common.
    pub(crate) fn of_ratios(ours: &[f64], theirs: &[f64]) -> Option<Self> {
        Self::of(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let check = |values: &[f64], median, min, max| {
            let expected = Spread { median, min, max };
            assert_eq!(Spread::of(values.iter().copied()), Some(expected));
        };
        check(&[4.0], 4.0, 4.0, 4.0);
        check(&[9.0, 1.0, 2.0], 2.0, 1.0, 9.0);
        check(&[9.0, 1.0, 2.0, 4.0], 3.0, 1.0, 9.0);
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The machine was half as fast in the second round.
        let ratio = Spread::of_ratios(&[30.0, 15.0, 33.0], &[10.0, 5.0, 10.0]);
        let expected = Spread {
            median: 3.0,
            min: 3.0,
            max: 3.3,
        };
        assert_eq!(ratio, Some(expected));
        assert_eq!(Spread::of_ratios(&[1.0], &[]), None);
    }
}
