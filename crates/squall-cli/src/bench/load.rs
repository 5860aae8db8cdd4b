//! What a source emits.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use squall_core::Value;

use super::words::SENTENCES;

/// What a source emits, over and over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Load {
    /// A number.
    Numbers,
    /// Ten sentences of eight words.
    Sentences,
}

/// How many words there are, and how often each comes.
#[derive(Debug, Default)]
pub(super) struct Words {
    pub(super) n: u64,
    pub(super) counts: HashMap<String, i64>,
}

impl Load {
    /// Returns the values in their order.
    pub(super) fn values(&self) -> Vec<Value> {
        match self {
            Self::Numbers => vec![Value::I64(1)],
            Self::Sentences => SENTENCES.iter().copied().map(Value::from).collect(),
        }
    }

    /// Returns the lines of text in their order; none where it isn't text.
    fn lines(&self) -> &'static [&'static str] {
        match self {
            Self::Numbers => &[],
            Self::Sentences => &SENTENCES,
        }
    }

    /// Returns how many words a record has, on average.
    pub(super) fn words_per_record(&self) -> f64 {
        let lines = self.lines();
        let n_words: usize = lines.iter().map(|line| line.split(' ').count()).sum();
        n_words as f64 / lines.len().max(1) as f64
    }

    /// Returns the words that come of several sources, each of which has emitted so many records.
    pub(super) fn words_in(&self, n_records: impl IntoIterator<Item = u64>) -> Words {
        let lines = self.lines();
        let n_lines = lines.len().max(1) as u64;
        let mut times = vec![0; lines.len()];
        for n_records in n_records {
            for (line_idx, times) in (0..).zip(&mut times) {
                *times += n_records / n_lines + u64::from(line_idx < n_records % n_lines);
            }
        }
        let mut words = Words::default();
        for (line, times) in lines.iter().zip(times) {
            for word in line.split(' ') {
                words.n += times;
                let count = words.counts.entry(word.to_owned()).or_default();
                *count = count.saturating_add_unsigned(times);
            }
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_by_arithmetic() {
        // 11 sentences of one source, 2 of another: the first sentence three times, the second twice.
        let words = Load::Sentences.words_in([11, 2]);
        assert_eq!(words.n, 13 * 8);
        assert_eq!(words.counts.get("squall"), Some(&3));
        assert_eq!(words.counts.get("up"), Some(&3));
        assert_eq!(words.counts.values().sum::<i64>(), 13 * 8);
        assert!((Load::Sentences.words_per_record() - 8.0).abs() < 1e-9);
    }
}
