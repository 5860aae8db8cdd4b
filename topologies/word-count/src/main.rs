//! Word count: a bolt of one's own between a ready-made spout and ready-made bolts.

use std::process::ExitCode;

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

/// Count the words of a file
#[derive(clap::Args)]
struct Args {
    /// The file to read
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/words.txt"))]
    lines: String,
}

fn app() -> squall::App {
    squall::App::new()
        .bolt("split", |(): ()| Ok(Split))
        .topology("word-count", |args: Args, t| {
            t.spout("in", "lines", json!({ "path": args.lines }))?;
            t.bolt("split", "split", ())?.parallelism(2).shuffle("in");
            t.bolt("count", "count", ())?.fields("split", ["word"]);
            t.bolt("top", "top", json!({ "n": 10 }))?.global("count");
            t.bolt("print", "log", ())?.global("top");
            Ok(())
        })
}

fn main() -> ExitCode {
    app().main()
}

#[cfg(test)]
mod tests;
