//! `dev`: what one needs on the desk while writing a topology.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use tokio::sync::oneshot;

use squall::{Program, Result, console, local};
use squall_kinesis::Connection;
use squall_kinesis::dev::{Admin, Endpoint, EndpointOptions};

/// Start what a topology needs around it, on this machine
#[derive(Args, Debug)]
pub(crate) struct DevArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Kinesis(KinesisArgs),
}

/// Serve the Kinesis API on 127.0.0.1, for topologies and for AWS clients, until Ctrl-C
///
/// Prints the endpoint's URL on stdout once it serves. Any credentials are taken.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  squall dev kinesis --stream clicks --shards 2
  squall run topology.yaml --set spouts.clicks.config.endpoint_url=http://127.0.0.1:4567")]
struct KinesisArgs {
    /// The port; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 4567)]
    port: u16,
    /// Keep streams in this directory, for the next time; without it they end with the process
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Make this stream, unless it is there
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
    /// How many shards it has
    #[arg(long, value_name = "N", default_value_t = 1, requires = "stream")]
    shards: u16,
}

/// Runs the command.
pub(crate) fn dev(args: &DevArgs, program: &Program) -> Result<ExitCode> {
    let What::Kinesis(args) = &args.what;
    program.tokio().block_on(kinesis(args))
}

async fn kinesis(args: &KinesisArgs) -> Result<ExitCode> {
    let options = EndpointOptions {
        port: args.port,
        data_dir: args.data_dir.clone(),
        ..EndpointOptions::default()
    };
    let endpoint = Endpoint::start(options).await?;
    if let Some(stream) = &args.stream {
        make_stream(&endpoint, stream, args.shards).await?;
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
