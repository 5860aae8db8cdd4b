//! The daemons `nimbus` and `supervisor`: settings from the command line and the environment, one line when
//! they serve, and an orderly end.

mod listen;
mod nimbus;
mod supervisor;

use std::fmt::Display;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use squall::{Program, Result, console};
use squall_daemon::logging::{LogConfig, LogFormat, LogOutput};
use squall_daemon::net::BindError;
use squall_daemon::shutdown::{Cause, Manner, Scope, Shutdown, ShutdownBounds, Signals};

pub(crate) use nimbus::nimbus;
pub(crate) use supervisor::supervisor;

/// Wrong settings: nothing was started.
const USAGE: u8 = 2;
/// Under which heading `--help` shows what hardly anybody sets.
const BOUNDS: &str = "Times and bounds";

/// What both have.
#[derive(Args, Debug)]
struct DaemonArgs {
    /// Listen at other addresses than the loopback's, though nothing is encrypted and nobody proves who he is:
    /// only where the network keeps strangers out
    #[arg(long, env = "SQUALL_INSECURE", value_parser = clap::builder::FalseyValueParser::new())]
    insecure: bool,
    /// How a line of the log looks; --log says what is logged [default: info]
    #[arg(
        long,
        value_name = "FORMAT",
        env = "SQUALL_LOG_FORMAT",
        value_enum,
        default_value = "text"
    )]
    log_format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// An object a line
    Json,
}

/// Why a daemon didn't start.
enum Refusal {
    /// Its settings can't be.
    Settings(Vec<String>),
    /// Anything else.
    Other(String),
}

impl DaemonArgs {
    /// Begins to log.
    fn log(&self, program: &Program) -> Result<()> {
        let default = LogConfig::default();
        let config = LogConfig {
            filter: program.log_filter().map_or(default.filter, str::to_owned),
            format: match self.log_format {
                Format::Text => LogFormat::Text,
                Format::Json => LogFormat::Json,
            },
            output: LogOutput::Stderr,
        };
        Ok(config.start()?)
    }

    /// Refuses addresses that others can reach, unless they may: before a data directory is made.
    fn may_listen_at(&self, addresses: &[SocketAddr]) -> Result<(), Refusal> {
        let exposed = addresses
            .iter()
            .filter(|address| !address.ip().is_loopback());
        let mistakes = exposed.map(|address| BindError::Exposed { address: *address }.to_string());
        let mistakes: Vec<String> = mistakes.collect();
        if self.insecure || mistakes.is_empty() {
            return Ok(());
        }
        Err(Refusal::Settings(mistakes))
    }
}

impl Refusal {
    /// Says it, and returns the exit status.
    fn tell(&self) -> ExitCode {
        match self {
            Self::Settings(mistakes) => {
                for mistake in mistakes {
                    console::say(format_args!("error: {mistake}"));
                }
                ExitCode::from(USAGE)
            }
            Self::Other(error) => {
                console::say(format_args!("error: {error}"));
                ExitCode::FAILURE
            }
        }
    }
}

/// Starts a daemon in a scope, says that it serves, and lets it run until a signal ends it: the first drains it
/// for up to `drain`, the second ends it at once. `start` returns what is to be said and what is to be run.
async fn serve<R, E>(
    name: &'static str,
    drain: Duration,
    start: impl AsyncFnOnce(Scope) -> Result<(Ready, R), Refusal>,
) -> Result<ExitCode>
where
    R: Future<Output = Result<(), E>> + Send + 'static,
    E: Display + Send + 'static,
{
    // Before anything else: a signal that comes early drains as well.
    let signals = Signals::listen()?;
    let shutdown = Shutdown::new(ShutdownBounds {
        drain,
        ..ShutdownBounds::default()
    });
    let (ready, run) = match start(shutdown.scope().child(name)).await {
        Ok(started) => started,
        Err(refusal) => return Ok(refusal.tell()),
    };
    shutdown.scope().spawn_vital(name, run);
    console::data(format_args!("ready {name} {}", ready.data));
    console::say(format_args!("{}; Ctrl-C ends it", ready.talk));
    let ended = shutdown.run(signals).await;
    let is_clean = ended.is_clean();
    match (&ended.cause, ended.manner) {
        (Cause::Failed { reason, .. }, _) => console::say(format_args!("error: {reason}")),
        (cause, Manner::Drained) => console::say(format_args!("{name} ended ({cause})")),
        (cause, Manner::Forced) => {
            console::say(format_args!(
                "{name} ended at once ({cause}), and didn't drain"
            ));
        }
        (cause, Manner::Abandoned) => console::say(format_args!(
            "{name} ended ({cause}), and left behind: {}",
            ended.still_running.join(", ")
        )),
    }
    Ok(match is_clean {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// What is said when a daemon serves.
struct Ready {
    /// For programs, on stdout: `grpc=127.0.0.1:6627 http=127.0.0.1:6628`.
    data: String,
    /// For people, on stderr.
    talk: String,
}
