//! What the command says, word for word: the transcripts in `tests/cmd`.
//!
//! `TRYCMD=overwrite cargo test -p squall-cli` writes them anew.

#[test]
fn says_what_the_transcripts_say() {
    trycmd::TestCases::new().case("tests/cmd/*.md");
}
