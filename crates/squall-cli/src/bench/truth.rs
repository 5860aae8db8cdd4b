//! What must have come to the sinks: it follows from what the sources emitted.

use super::chain::{Chain, Stage};
use super::figures::Figures;

/// Returns how many tuples less or more came to the sinks, or were counted, than there should have been.
pub(super) fn lost(chain: &Chain, figures: &Figures) -> u64 {
    if !chain.has(Stage::Sink) {
        return 0;
    }
    let n_records = figures.emitted.values().copied();
    if !chain.has(Stage::Split) {
        return n_records.sum::<u64>().abs_diff(figures.n_sunk);
    }
    let expected = chain.load.words_in(n_records);
    let missing = expected.n.abs_diff(figures.n_sunk);
    if !chain.has(Stage::Count) {
        return missing;
    }
    let miscounted = expected.counts.iter().map(|(word, times)| {
        let counted = figures.counts.get(word).copied().unwrap_or(0);
        times.abs_diff(counted)
    });
    missing.max(miscounted.sum())
}

#[cfg(test)]
mod tests {
    use super::super::case::Case;
    use super::*;

    #[test]
    fn what_is_missing_and_what_is_miscounted_is_lost() {
        let (numbers, words) = (Case::PassThrough.chain(), Case::WordCount.chain());
        let expected = words.load.words_in([20, 5]);
        let mut figures = Figures {
            emitted: [(0, 20), (1, 5)].into(),
            n_sunk: 25,
            ..Figures::default()
        };
        assert_eq!(lost(&numbers, &figures), 0);
        figures.n_sunk = 24;
        assert_eq!(lost(&numbers, &figures), 1);
        figures.n_sunk = 200;
        figures.counts = expected.counts;
        assert_eq!(lost(&words, &figures), 0);
        figures.counts.entry("wind".into()).and_modify(|n| *n += 3);
        assert_eq!(lost(&words, &figures), 3);
        figures.n_sunk = 190;
        assert_eq!(lost(&words, &figures), 10);
    }
}
