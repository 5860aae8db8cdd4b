//! `dev`: what one needs on the desk while writing a topology.

mod batch;
mod get;
mod kinesis;
mod put;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use squall::{ComponentError, Program, Result};
use squall_kinesis::dev::AdminError;
use squall_kinesis::{ApiError, Connection, ErrorClass};

/// Where `dev kinesis` serves when nothing else is said.
const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:4567";

/// Start what a topology needs around it, on this machine, and look at it
#[derive(Args, Debug)]
pub(crate) struct DevArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Kinesis(kinesis::KinesisArgs),
    Put(put::PutArgs),
    Get(get::GetArgs),
}

/// A stream at an endpoint.
#[derive(Args, Debug)]
struct StreamArgs {
    /// The stream
    #[arg(long, value_name = "NAME")]
    stream: String,
    /// The Kinesis endpoint
    #[arg(long, value_name = "URL", env = "SQUALL_KINESIS_ENDPOINT", default_value = DEFAULT_ENDPOINT)]
    endpoint: String,
}

impl StreamArgs {
    fn connection(&self) -> Connection {
        Connection {
            endpoint_url: Some(self.endpoint.clone()),
            ..Connection::default()
        }
    }

    /// Says what can be done about a call that failed.
    fn explain(&self, error: &ApiError) -> ComponentError {
        let (stream, url) = (&self.stream, &self.endpoint);
        let advice = match error.class {
            ErrorClass::Unreachable => format!(
                "no Kinesis answers at {url}: start one with `squall dev kinesis --stream {stream}`, or name \
                 another with --endpoint"
            ),
            ErrorClass::NotFound => format!(
                "{url} has no stream `{stream}`: `squall dev kinesis --stream {stream}` makes it when it starts"
            ),
            _ => format!("{url} refuses"),
        };
        ComponentError::from(format!("{advice} ({})", error.message))
    }

    fn explain_put(&self, error: AdminError) -> ComponentError {
        match error {
            AdminError::Call { source, .. } => self.explain(&source),
            other => other.into(),
        }
    }
}

/// Runs the command.
pub(crate) fn dev(args: &DevArgs, program: &Program) -> Result<ExitCode> {
    let tokio = program.tokio();
    match &args.what {
        What::Kinesis(args) => tokio.block_on(kinesis::kinesis(args)),
        What::Put(args) => tokio.block_on(put::put(args)),
        What::Get(args) => tokio.block_on(get::get(args)),
    }
}
