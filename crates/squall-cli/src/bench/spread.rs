//! What several runs of the same say together.

/// The median of some values, and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    /// Of an even number, the mean of the two in the middle.
    pub(super) median: f64,
    /// The smallest.
    pub(super) min: f64,
    /// The largest.
    pub(super) max: f64,
    /// How many there are.
    pub(super) n: usize,
}

impl Spread {
    /// Takes values in any order; `None` if there are none.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let n = values.len();
        let upper = *values.get(n / 2)?;
        let lower = *values.get((n - 1) / 2)?;
        Some(Self {
            median: f64::midpoint(lower, upper),
            min,
            max,
            n,
        })
    }

    /// Tells whether some value lies within both.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.min <= other.max && other.min <= self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle_whatever_the_order() {
        let of = |values: &[f64]| {
            let spread = Spread::of(values.iter().copied())?;
            Some((spread.median, spread.min, spread.max, spread.n))
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[3.0]), Some((3.0, 3.0, 3.0, 1)));
        assert_eq!(of(&[9.0, 1.0, 2.0]), Some((2.0, 1.0, 9.0, 3)));
        assert_eq!(of(&[4.0, 1.0, 2.0, 9.0]), Some((3.0, 1.0, 9.0, 4)));
    }

    #[test]
    fn spreads_overlap_where_they_touch() {
        let of = |values: [f64; 2]| Spread::of(values).unwrap();
        assert!(of([1.0, 2.0]).overlaps(&of([2.0, 3.0])));
        assert!(of([1.0, 9.0]).overlaps(&of([2.0, 3.0])));
        assert!(!of([1.0, 1.9]).overlaps(&of([2.0, 3.0])));
        assert!(!of([4.0, 5.0]).overlaps(&of([2.0, 3.0])));
    }
}
