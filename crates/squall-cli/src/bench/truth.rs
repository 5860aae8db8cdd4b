//! What must have come to the sinks: it follows from what the sources emitted.

use squall::Result;

use super::chain::{Chain, Stage};
use super::figures::Figures;

/// Returns how many tuples less or more came to the sinks, or were counted, than there should have been; or how many
/// records weren't acked, if these are more.
///
/// # Errors
/// The source's file can't be read.
pub(super) fn lost(chain: &Chain, acked: bool, figures: &Figures) -> Result<u64> {
    let n_records: Vec<u64> = figures.emitted.values().copied().collect();
    let n_emitted: u64 = n_records.iter().sum();
    let unacked = if acked {
        // Each that failed or is still pending would be sent again.
        n_emitted.abs_diff(figures.n_acked)
    } else {
        0
    };
    Ok(missing(chain, &n_records, figures)?.max(unacked))
}

fn missing(chain: &Chain, n_records: &[u64], figures: &Figures) -> Result<u64> {
    if !chain.has(Stage::Sink) {
        return Ok(0);
    }
    if !chain.has(Stage::Split) {
        return Ok(n_records.iter().sum::<u64>().abs_diff(figures.n_sunk));
    }
    let expected = chain.load.words_in(n_records)?;
    let missing = expected.n.abs_diff(figures.n_sunk);
    if !chain.has(Stage::Count) {
        return Ok(missing);
    }
    let miscounted = expected.counts.iter().map(|(word, times)| {
        let counted = figures.counts.get(word).copied().unwrap_or(0);
        times.abs_diff(counted)
    });
    Ok(missing.max(miscounted.sum()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::case::Case;
    use super::*;

    #[test]
    fn what_is_missing_and_what_is_miscounted_is_lost() {
        let chain = |case: Case| case.chain(Path::new(""));
        let (numbers, words) = (chain(Case::PassThrough), chain(Case::WordCount));
        let expected = words.load.words_in(&[20, 5]).unwrap();
        let mut figures = Figures {
            emitted: [(0, 20), (1, 5)].into(),
            n_sunk: 25,
            ..Figures::default()
        };
        assert_eq!(lost(&numbers, false, &figures).unwrap(), 0);
        figures.n_sunk = 24;
        assert_eq!(lost(&numbers, false, &figures).unwrap(), 1);
        figures.n_acked = 23;
        assert_eq!(lost(&numbers, true, &figures).unwrap(), 2);
        figures.n_sunk = 200;
        figures.counts = expected.counts;
        assert_eq!(lost(&words, false, &figures).unwrap(), 0);
        figures.counts.entry("wind".into()).and_modify(|n| *n += 3);
        assert_eq!(lost(&words, false, &figures).unwrap(), 3);
        figures.n_sunk = 190;
        assert_eq!(lost(&words, false, &figures).unwrap(), 10);
    }
}
