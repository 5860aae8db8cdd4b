//! How much a task does before others have their turn.

use std::time::Duration;

/// A number of tuples that grows while slices are short and shrinks when they are not: slow tuples
/// leave the loop soon, fast ones travel in large batches.
#[derive(Debug)]
pub(crate) struct Slice {
    n_tuples: usize,
}

impl Slice {
    const FIRST: usize = 8;
    const LARGEST: usize = 256;
    const TARGET: Duration = Duration::from_millis(1);

    pub(crate) const fn new() -> Self {
        Self {
            n_tuples: Self::FIRST,
        }
    }

    /// Returns how many tuples the next slice may take.
    pub(crate) const fn n_tuples(&self) -> usize {
        self.n_tuples
    }

    /// Learns how long a slice took; one that was not used up says nothing.
    pub(crate) fn learn(&mut self, n_done: usize, took: Duration) {
        if took > Self::TARGET {
            self.n_tuples = (self.n_tuples / 2).max(1);
        } else if n_done >= self.n_tuples {
            self.n_tuples = (self.n_tuples * 2).min(Self::LARGEST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_while_fast_and_shrinks_when_slow() {
        let mut slice = Slice::new();
        for _ in 0..10 {
            slice.learn(slice.n_tuples(), Duration::from_micros(10));
        }
        assert_eq!(slice.n_tuples(), Slice::LARGEST);
        slice.learn(3, Duration::from_micros(10));
        assert_eq!(slice.n_tuples(), Slice::LARGEST);
        for _ in 0..10 {
            slice.learn(slice.n_tuples(), Duration::from_millis(5));
        }
        assert_eq!(slice.n_tuples(), 1);
    }
}
