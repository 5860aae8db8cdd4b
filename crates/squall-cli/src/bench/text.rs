//! A text to count words in, where the user has none.

use std::fs::File;
use std::io::{BufWriter, Result, Write};
use std::path::Path;

use fastrand::Rng;

/// How many lines it has: about 2 MB.
const N_LINES: usize = 20_000;
/// How many different words.
const N_WORDS: usize = 5_000;
/// The same text on each machine.
const SEED: u64 = 0x5157;
const CONSONANTS: [char; 14] = [
    'b', 'd', 'f', 'g', 'k', 'l', 'm', 'n', 'p', 'r', 's', 't', 'v', 'z',
];
const VOWELS: [char; 5] = ['a', 'e', 'i', 'o', 'u'];

/// Writes lines of 5 to 15 words; some words come much more often than others, as in any text.
///
/// # Errors
/// What the system says.
pub(super) fn write(path: &Path) -> Result<()> {
    let mut rng = Rng::with_seed(SEED);
    let mut file = BufWriter::new(File::create(path)?);
    for _ in 0..N_LINES {
        let words: Vec<String> = (0..rng.usize(5..=15))
            .map(|_| word(draw(&mut rng)))
            .collect();
        writeln!(file, "{}", words.join(" "))?;
    }
    file.flush()
}

/// Draws a word's number: low ones more often.
fn draw(rng: &mut Rng) -> usize {
    let mut at_least = || rng.usize(..N_WORDS);
    at_least().min(at_least()).min(at_least())
}

/// Returns a word of two syllables or more, another one for each number.
fn word(number: usize) -> String {
    let mut word = String::new();
    let mut rest = number;
    while rest > 0 || word.len() < 4 {
        word.extend(CONSONANTS.get(rest % CONSONANTS.len()));
        rest /= CONSONANTS.len();
        word.extend(VOWELS.get(rest % VOWELS.len()));
        rest /= VOWELS.len();
    }
    word
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn words_differ_and_the_text_is_always_the_same() {
        let words: HashSet<String> = (0..N_WORDS).map(word).collect();
        assert_eq!(words.len(), N_WORDS);
        let text = || {
            let file = tempfile::NamedTempFile::new().unwrap();
            write(file.path()).unwrap();
            std::fs::read_to_string(file.path()).unwrap()
        };
        let first = text();
        assert_eq!(first.lines().count(), N_LINES);
        assert!(
            first
                .lines()
                .all(|line| (5..=15).contains(&line.split(' ').count()))
        );
        assert!(first == text());
    }
}
