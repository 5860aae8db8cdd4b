//! What is counted: the sentences of `squall bench`.

/// How many words each sentence has.
pub const WORDS_PER_SENTENCE: u64 = 8;

/// The file that the driver of Flink reads, too.
const TEXT: &str = include_str!("../../sentences.txt");

/// Returns the sentences, each of [`WORDS_PER_SENTENCE`] words with a single space between them.
pub fn sentences() -> Vec<&'static str> {
    TEXT.lines().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_those_of_squall() {
        let words = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../squall-cli/src/bench/words.rs"
        );
        let words = std::fs::read_to_string(words).unwrap();
        let (_, list) = words.split_once("SENTENCES: ").unwrap();
        let (_, list) = list.split_once("= [").unwrap();
        let (list, _) = list.split_once(']').unwrap();
        let ours: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
        assert_eq!(sentences(), ours);
        for sentence in sentences() {
            let n_words = sentence.split(' ').count() as u64;
            assert_eq!(n_words, WORDS_PER_SENTENCE, "{sentence}");
        }
    }
}
