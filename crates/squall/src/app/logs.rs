//! Logs: `tracing` to stderr.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::console;

/// Starts logging by `filter` (`info`, `squall_kinesis=debug,warn`, …). A program that logs already
/// goes on as it does.
pub(super) fn start(filter: &str) -> Result<(), ParseError> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(filter)?)
        .with_writer(std::io::stderr)
        .with_ansi(console::is_coloured());
    // The only error is that somebody was here before.
    builder.try_init().unwrap_or_default();
    Ok(())
}
