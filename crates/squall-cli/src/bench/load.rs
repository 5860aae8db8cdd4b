//! What a source emits.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use squall_core::Result;

use super::feed::unreadable;
use super::words::SENTENCES;

/// What a source emits, over and over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Load {
    /// A number.
    Numbers,
    /// A short text, always the same.
    Constant,
    /// Ten sentences of eight words.
    Sentences,
    /// The lines of a file; each task reads all of it.
    File(PathBuf),
}

/// How many words there are, and how often each comes.
#[derive(Debug, Default)]
pub(super) struct Words {
    pub(super) n: u64,
    pub(super) counts: HashMap<String, i64>,
}

impl Load {
    /// Visits the lines of text in their order; there are none where it isn't text.
    fn each_line(&self, mut visit: impl FnMut(&str)) -> Result<()> {
        match self {
            Self::Numbers | Self::Constant => {}
            Self::Sentences => SENTENCES.into_iter().for_each(visit),
            Self::File(path) => {
                let file = File::open(path).map_err(|error| unreadable(path, &error))?;
                for line in BufReader::new(file).lines() {
                    visit(&line.map_err(|error| unreadable(path, &error))?);
                }
            }
        }
        Ok(())
    }

    /// Returns how many words a record has, on average. Reads a file as a whole.
    ///
    /// # Errors
    /// The file can't be read.
    pub(super) fn words_per_record(&self) -> Result<f64> {
        let (mut n_lines, mut n_words) = (0_u64, 0);
        self.each_line(|line| {
            n_lines += 1;
            n_words += line.split(' ').count();
        })?;
        Ok(n_words as f64 / n_lines.max(1) as f64)
    }

    /// Returns the words that come of several sources, each of which has emitted so many records. Reads a file twice.
    ///
    /// # Errors
    /// The file can't be read.
    pub(super) fn words_in(&self, n_records: &[u64]) -> Result<Words> {
        let mut n_lines = 0_u64;
        self.each_line(|_| n_lines += 1)?;
        let mut words = Words::default();
        let mut line_idx = 0;
        self.each_line(|line| {
            let times = n_records.iter();
            let times: u64 = times
                .map(|n| n / n_lines + u64::from(line_idx < n % n_lines))
                .sum();
            line_idx += 1;
            for word in line.split(' ') {
                words.n += times;
                let count = words.counts.entry(word.to_owned()).or_default();
                *count = count.saturating_add_unsigned(times);
            }
        })?;
        Ok(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_by_arithmetic() {
        // 11 sentences of one source, 2 of another: the first sentence three times, the second twice.
        let words = Load::Sentences.words_in(&[11, 2]).unwrap();
        assert_eq!(words.n, 13 * 8);
        assert_eq!(words.counts.get("squall"), Some(&3));
        assert_eq!(words.counts.get("up"), Some(&3));
        assert_eq!(words.counts.values().sum::<i64>(), 13 * 8);
        assert!((Load::Sentences.words_per_record().unwrap() - 8.0).abs() < 1e-9);
    }

    #[test]
    fn words_of_a_file_are_counted_line_by_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "a b b\n\nc").unwrap();
        let load = Load::File(file.path().to_owned());
        // An empty line is one empty word, as it is for the bolt that splits.
        assert!((load.words_per_record().unwrap() - 5.0 / 3.0).abs() < 1e-9);
        let words = load.words_in(&[4, 1]).unwrap();
        assert_eq!(words.n, 3 * 3 + 1 + 1);
        let counts = ["a", "b", "", "c"].map(|word| words.counts.get(word).copied());
        assert_eq!(counts, [Some(3), Some(6), Some(1), Some(1)]);
    }
}
