//! `dev put`: lines to a stream.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;
use tokio::sync::mpsc;

use squall::{ComponentError, Result, console};
use squall_kinesis::dev::{Admin, PutEntry};

use super::StreamArgs;
use super::batch::{Batches, Line};

/// The longest partition key, in characters.
const MAX_KEY_CHARS: usize = 256;

/// Put the lines of a file to a stream, a record each
///
/// Calls take 500 records and 5 MiB at most; records that the stream refuses are put again until all are
/// taken, which may change their order. Empty lines are left out. Lines from a pipe are put as they come.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  squall dev put --stream clicks access.log
  tail -f access.log | squall dev put --stream clicks
  squall dev put --stream sensors --key device readings.jsonl")]
pub(super) struct PutArgs {
    #[command(flatten)]
    to: StreamArgs,
    /// The file; `-` or none reads standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: String,
    /// What decides on a record's shard: `random`, or a field of the JSON object that each line is
    #[arg(long, value_name = "FIELD", default_value = "random")]
    key: String,
}

/// Runs the command.
pub(super) async fn put(args: &PutArgs) -> Result<ExitCode> {
    let admin = Admin::connect(&args.to.connection()).await;
    let stream = &args.to.stream;
    // Says at once that there is no stream, whatever the file has.
    let shards = admin.list_shards(stream).await;
    shards.map_err(|error| args.to.explain_put(error))?;
    let (batches, mut read) = mpsc::channel(1);
    let file = open(&args.file)?;
    let reader = tokio::task::spawn_blocking(move || read_all(file, &batches));
    let keys = RandomState::new();
    let mut n_put = 0;
    let mut put_all = async || -> Result<()> {
        while let Some(batch) = read.recv().await {
            let (entries, wrong) = entries(batch, &args.key, &keys);
            let places = admin.put_records(stream, &entries).await;
            n_put += places.map_err(|error| args.to.explain_put(error))?.len();
            wrong?;
        }
        Ok(())
    };
    let outcome = put_all().await;
    drop(read);
    console::say(format_args!("put {n_put} records to {stream}"));
    outcome?;
    let unread = reader.await?;
    unread.map_err(|error| format!("{}: {error}", args.file))?;
    Ok(ExitCode::SUCCESS)
}

fn open(file: &str) -> Result<Box<dyn Read + Send>> {
    if file == "-" {
        return Ok(Box::new(std::io::stdin()));
    }
    let opened = File::open(file).map_err(|error| format!("{file}: {error}"))?;
    Ok(Box::new(opened))
}

/// Reads to the end, or until nobody wants more. Two batches are in memory at most.
fn read_all(file: Box<dyn Read + Send>, to: &mpsc::Sender<Vec<Line>>) -> std::io::Result<()> {
    let mut batches = Batches::new(file);
    loop {
        let batch = batches.read()?;
        if batch.is_empty() || to.blocking_send(batch).is_err() {
            return Ok(());
        }
    }
}

/// Makes records of lines, up to the first that has no key.
fn entries(batch: Vec<Line>, key: &str, keys: &RandomState) -> (Vec<PutEntry>, Result<()>) {
    let mut entries = Vec::with_capacity(batch.len());
    for line in batch {
        let partition_key = match key {
            "random" => Ok(format!("{:016x}", keys.hash_one(line.number))),
            field => key_of(&line, field),
        };
        match partition_key {
            Ok(partition_key) => entries.push(PutEntry {
                partition_key,
                data: line.bytes,
            }),
            Err(error) => return (entries, Err(error)),
        }
    }
    (entries, Ok(()))
}

/// Reads the key from a line.
fn key_of(line: &Line, field: &str) -> Result<String> {
    let found = serde_json::from_slice::<Value>(&line.bytes).ok();
    let found = found.as_ref().and_then(|object| object.get(field));
    let key = match found {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let n_chars = key.chars().count();
    if (1..=MAX_KEY_CHARS).contains(&n_chars) {
        return Ok(key);
    }
    Err(ComponentError::from(format!(
        "line {}: no partition key: it has to be a JSON object whose `{field}` is a number, or a text of 1 to \
         {MAX_KEY_CHARS} characters; or take --key random",
        line.number
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Result<String, String> {
        let line = Line {
            number: 7,
            bytes: text.as_bytes().to_vec(),
        };
        key_of(&line, "user").map_err(|error| error.to_string())
    }

    #[test]
    fn a_key_is_a_field_of_the_line() {
        assert_eq!(key(r#"{"user":"ann"}"#), Ok("ann".to_owned()));
        assert_eq!(key(r#"{"user":12}"#), Ok("12".to_owned()));
        let long = format!(r#"{{"user":"{}"}}"#, "x".repeat(257));
        for wrong in [
            "plain",
            "[]",
            "{}",
            r#"{"user":""}"#,
            r#"{"user":{}}"#,
            &long,
        ] {
            let error = key(wrong).unwrap_err();
            assert!(
                error.starts_with("line 7: ") && error.contains("`user`"),
                "{error}"
            );
        }
    }
}
