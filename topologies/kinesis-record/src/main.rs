//! Records of a Kinesis stream, checked by a bolt of one's own and recorded one line each: what the smoke
//! test of `deploy/` submits to a cluster, and counts afterwards.

use std::process::ExitCode;

use squall::prelude::*;

/// Reads a record's data as a number and passes it on with where it came from. What is no number fails
/// for good: no retry makes it one.
struct Number;

impl Bolt for Number {
    fn outputs(&self) -> Outputs {
        Outputs::fields(["n", "shard_id", "sequence", "attempt"])
    }

    fn execute(&mut self, input: &Tuple, out: &mut Emitter<'_>) -> Result<()> {
        let data = std::str::from_utf8(input.bytes("data")?)?;
        let n: i64 = data.trim().parse().map_err(|_| not_a_number(data))?;
        out.emit((
            n,
            input.str("shard_id")?,
            input.str("sequence")?,
            input.i64("attempt")?,
        ))?;
        Ok(())
    }
}

fn not_a_number(data: &str) -> ComponentError {
    ComponentError::from(format!("`{data}` is no number")).permanent()
}

fn app() -> squall::App {
    squall::App::new()
        .with(squall_kinesis::all)
        .bolt("number", |(): ()| Ok(Number))
}

fn main() -> ExitCode {
    app().main()
}

#[cfg(test)]
mod tests;
