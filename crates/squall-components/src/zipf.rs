//! Skewed choices: the first few come often, the many others seldom, as keys do in real life.

use fastrand::Rng;

/// Chooses among `n` ranks; rank `r` (from 0) weighs `1 / (r + 1)^skew`.
pub(crate) struct Zipf {
    /// The weights added up, ending in the sum of all.
    cumulative: Box<[f64]>,
}

impl Zipf {
    /// Makes the table for `n` ranks; a skew of 0 makes them equal.
    pub(crate) fn new(n: usize, skew: f64) -> Self {
        let mut sum = 0.0;
        let weights = std::iter::successors(Some(1.0f64), |rank| Some(rank + 1.0)).take(n);
        let cumulative = weights.map(|rank| {
            sum += rank.powf(-skew);
            sum
        });
        Self {
            cumulative: cumulative.collect(),
        }
    }

    /// Draws a rank below `n`; 0 where there is none.
    pub(crate) fn draw(&self, rng: &mut Rng) -> usize {
        let sum = self.cumulative.last().copied().unwrap_or_default();
        let point = rng.f64() * sum;
        let rank = self.cumulative.partition_point(|upto| *upto <= point);
        rank.min(self.cumulative.len().saturating_sub(1))
    }
}

/// Makes the generator of the `row_idx`-th row: a row depends on its number and the seed, and on nothing
/// that was drawn before it.
pub(crate) fn rng_of(seed: u64, row_idx: u64) -> Rng {
    Rng::with_seed(seed ^ row_idx.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(skew: f64) -> [u32; 4] {
        let zipf = Zipf::new(4, skew);
        let mut drawn = [0; 4];
        for row_idx in 0..10_000 {
            drawn[zipf.draw(&mut rng_of(7, row_idx))] += 1;
        }
        drawn
    }

    #[test]
    fn ranks_come_as_often_as_they_weigh() {
        for (skew, shares) in [(0.0, [0.25; 4]), (1.0, [0.48, 0.24, 0.16, 0.12])] {
            for (n, share) in draw(skew).into_iter().zip(shares) {
                let expected = 10_000.0 * share;
                assert!((f64::from(n) - expected).abs() < 200.0, "{n} of {expected}");
            }
        }
    }
}
