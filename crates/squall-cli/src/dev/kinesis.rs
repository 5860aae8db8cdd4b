//! `dev kinesis`: the embedded endpoint by itself.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;
use tokio::sync::oneshot;

use squall::{Result, console, local};
use squall_kinesis::Connection;
use squall_kinesis::dev::{Admin, Endpoint, EndpointOptions};

/// The most shards of one stream that can be asked for here.
const MAX_SHARDS: u16 = 1000;

/// Serve the Kinesis API on this machine, for topologies and for AWS clients, until Ctrl-C
///
/// Prints the endpoint's URL on stdout once it serves. Any credentials are taken.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  squall dev kinesis --stream clicks:2
  squall dev put --stream clicks access.log
  squall dev get --stream clicks
  squall run topology.yaml --set spouts.clicks.config.endpoint_url=http://127.0.0.1:4567")]
pub(super) struct KinesisArgs {
    /// The address to listen at; another than this machine's own needs --insecure
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    listen: IpAddr,
    /// Let others than this machine reach it: whoever does may read and write everything
    #[arg(long)]
    insecure: bool,
    /// The port; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 4567)]
    port: u16,
    /// Keep streams in this directory, for the next time; without it they end with the process
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Make this stream of so many shards, unless it is there; may be given several times
    #[arg(long = "stream", value_name = "NAME[:SHARDS]")]
    streams: Vec<NewStream>,
    /// How many shards a stream has for which none are given
    #[arg(long, value_name = "N", default_value_t = 1, requires = "streams", value_parser = n_shards)]
    shards: u16,
}

/// A stream to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
struct NewStream {
    name: String,
    n_shards: Option<u16>,
}

impl FromStr for NewStream {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => (name, Some(n_shards(number)?)),
            None => (text, None),
        };
        let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if name.is_empty() || name.len() > 128 || !name.chars().all(is_legal) {
            return Err("a stream's name is 1 to 128 letters, digits, `_`, `.` and `-`".to_owned());
        }
        Ok(Self {
            name: name.to_owned(),
            n_shards: number,
        })
    }
}

/// Runs the command.
pub(super) async fn kinesis(args: &KinesisArgs) -> Result<ExitCode> {
    if !args.listen.is_loopback() && !args.insecure {
        let listen = args.listen;
        Err(format!(
            "--listen {listen} lets other machines in, and the endpoint asks nobody who he is: add --insecure"
        ))?;
    }
    let options = EndpointOptions {
        listen: args.listen,
        port: args.port,
        data_dir: args.data_dir.clone(),
        ..EndpointOptions::default()
    };
    let endpoint = Endpoint::start(options).await?;
    for stream in &args.streams {
        let n_shards = stream.n_shards.unwrap_or(args.shards);
        make_stream(&endpoint, &stream.name, n_shards).await?;
    }
    console::data(endpoint.url());
    console::say("serving Kinesis; Ctrl-C ends it");
    let (stop, stopped) = oneshot::channel::<()>();
    let signals = tokio::spawn(local::heed(move || drop(stop), || {}));
    // The sender says nothing: it goes, and that ends the wait.
    stopped.await.unwrap_or_default();
    endpoint.shutdown().await;
    signals.abort();
    Ok(ExitCode::SUCCESS)
}

async fn make_stream(endpoint: &Endpoint, stream: &str, n_shards: u16) -> Result<()> {
    let connection = Connection {
        endpoint_url: Some(endpoint.url()),
        ..Connection::default()
    };
    let admin = Admin::connect(&connection).await;
    // A directory that was used before has the stream already.
    if admin.list_shards(stream).await.is_err() {
        admin.create_stream(stream, n_shards).await?;
    }
    Ok(())
}

fn n_shards(text: &str) -> Result<u16, String> {
    let number = text.parse::<u16>().ok();
    let number = number.filter(|number| (1..=MAX_SHARDS).contains(number));
    number.ok_or_else(|| format!("a stream has 1 to {MAX_SHARDS} shards, as in clicks:2"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_a_name_and_perhaps_a_number_of_shards() {
        let stream = |text: &str| text.parse::<NewStream>();
        let clicks = |n_shards| NewStream {
            name: "clicks".to_owned(),
            n_shards,
        };
        assert_eq!(stream("clicks"), Ok(clicks(None)));
        assert_eq!(stream("clicks:2"), Ok(clicks(Some(2))));
        for wrong in [
            "",
            ":2",
            "clicks:",
            "clicks:0",
            "clicks:1001",
            "a:b:2",
            "a b",
        ] {
            assert!(stream(wrong).is_err(), "{wrong}");
        }
    }
}
