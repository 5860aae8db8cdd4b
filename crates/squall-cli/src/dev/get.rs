//! `dev get`: a stream's shards and its oldest records.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio::time::sleep;

use squall::{Result, console};
use squall_kinesis::{ApiError, Aws, KinesisApi, Page, ShardId, ShardInfo, Start, StreamRef};

use super::StreamArgs;

/// A shard allows five reads a second.
const PACE: Duration = Duration::from_millis(200);
/// The most pages of a listing.
const MAX_PAGES: usize = 1000;

/// Print a stream's oldest records, one line of JSON each, and say which shards it has
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  squall dev get --stream clicks
  squall dev get --stream clicks -n 1000 | jq -r .data")]
pub(super) struct GetArgs {
    #[command(flatten)]
    from: StreamArgs,
    /// The most records to print
    #[arg(short, value_name = "N", default_value_t = 10)]
    n: usize,
}

/// A record, as it is printed; what is no UTF-8 in it is replaced.
#[derive(Serialize)]
struct Printed<'r> {
    shard: &'r str,
    sequence: &'r str,
    key: &'r str,
    arrival_ms: Option<i64>,
    data: &'r str,
}

/// Runs the command.
pub(super) async fn get(args: &GetArgs) -> Result<ExitCode> {
    let explain = |error: ApiError| args.from.explain(&error);
    let stream = StreamRef::parse(&args.from.stream);
    let aws = Aws::connect(&args.from.connection(), stream).await;
    let aws = aws.map_err(explain)?;
    let mut n_left = args.n;
    for shard in list(&aws).await.map_err(explain)? {
        let state = if shard.closed { "closed" } else { "open" };
        let parents: Vec<_> = shard.parents.iter().map(ToString::to_string).collect();
        let origin = match parents.as_slice() {
            [] => String::new(),
            parents => format!(", from {}", parents.join(" and ")),
        };
        console::say(format_args!("{}: {state}{origin}", shard.id));
        let read = print(&aws, &shard.id, &mut n_left).await;
        read.map_err(explain)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(aws: &Aws) -> Result<Vec<ShardInfo>, ApiError> {
    let mut shards = Vec::new();
    let mut token: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let page = aws.list_shards(token.as_deref()).await?;
        shards.extend(page.shards);
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    Ok(shards)
}

/// Prints what a shard has, oldest first, up to its tip or until enough is printed.
async fn print(aws: &Aws, shard: &ShardId, n_left: &mut usize) -> Result<(), ApiError> {
    if *n_left == 0 {
        return Ok(());
    }
    let mut next = Some(aws.shard_iterator(shard, &Start::TrimHorizon).await?);
    while let Some(iterator) = next {
        let page = aws.records(&iterator, 1000).await?;
        for record in page.records.iter().take(*n_left) {
            let printed = Printed {
                shard: shard.as_str(),
                sequence: record.sequence.as_str(),
                key: &record.partition_key,
                arrival_ms: record.arrival_ms,
                data: &String::from_utf8_lossy(&record.data),
            };
            if let Ok(line) = serde_json::to_string(&printed) {
                console::data(line);
            }
        }
        *n_left -= page.records.len().min(*n_left);
        if *n_left == 0 || is_tip(&page) {
            return Ok(());
        }
        next = page.next_iterator;
        sleep(PACE).await;
    }
    Ok(())
}

/// A full page is none, whatever the server says: emulators always say that nothing is behind.
const fn is_tip(page: &Page) -> bool {
    matches!(page.behind_ms, Some(0)) && page.records.len() < 1000
}
