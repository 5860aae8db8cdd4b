//! Word count: a bolt of one's own between a ready-made spout and ready-made bolts.

use std::process::ExitCode;

use serde_json::json;
use squall::prelude::*;

/// Splits lines into words.
struct Split;

impl Bolt for Split {
    fn outputs(&self) -> Outputs {
        Outputs::fields(["word"])
    }

    fn execute(&mut self, input: &Tuple, out: &mut Emitter<'_>) -> Result<()> {
        for word in input.str("line")?.split_whitespace() {
            out.emit([word])?;
        }
        Ok(())
    }
}

/// Count the words of a file, or of made-up lines
#[derive(clap::Args)]
struct Args {
    /// The file to read
    #[arg(long, value_name = "FILE")]
    lines: Option<String>,
}

fn main() -> ExitCode {
    let lines = json!({ "of": ["a squall is coming", "after the squall a calm", "a calm sea"] });
    squall::App::new()
        .bolt("split", |(): ()| Ok(Split))
        .topology("word-count", move |args: Args, t| {
            match &args.lines {
                Some(path) => t.spout("lines", "lines", json!({ "path": path }))?,
                None => t.spout(
                    "lines",
                    "generate",
                    json!({ "count": 3000, "fields": { "line": { "choice": lines } } }),
                )?,
            };
            t.bolt("split", "split", ())?
                .parallelism(2)
                .shuffle("lines");
            t.bolt("count", "count", ())?
                .parallelism(2)
                .fields("split", ["word"]);
            t.bolt("top", "top", json!({ "n": 10 }))?.global("count");
            t.bolt("print", "log", ())?.global("top");
            Ok(())
        })
        .main()
}

#[cfg(test)]
mod tests {
    use squall::testing::{BoltHarness, tuple};

    #[test]
    fn splits_a_line_into_words() {
        let effects = BoltHarness::new(super::Split).execute(tuple! { line: "a b" });
        assert_eq!(
            effects.tuples(),
            [tuple! { word: "a" }, tuple! { word: "b" }]
        );
        assert_eq!(effects.acked(), [0]);
    }
}
