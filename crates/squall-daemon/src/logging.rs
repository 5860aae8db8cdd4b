//! Logs by `tracing`: what is logged, how it looks, and where it goes.

mod rotate;

use std::io::IsTerminal;

use thiserror::Error;
use tracing::subscriber::SetGlobalDefaultError;
use tracing::{Dispatch, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;

pub use rotate::{RotatingFile, Rotation};

/// How a process logs.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// What is logged: `info`, `squall_nimbus=debug,warn`, … Default: `info`.
    pub filter: String,
    /// How a line looks. Default: text.
    pub format: LogFormat,
    /// Where lines go. Default: stderr.
    pub output: LogOutput,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// An object a line.
    Json,
}

/// Where lines go.
#[derive(Clone, Debug, Default)]
pub enum LogOutput {
    /// To stderr: in colour on a terminal, unless `NO_COLOR` is set.
    #[default]
    Stderr,
    /// To a file, kept by size.
    File(RotatingFile),
}

/// Why logging can't begin.
#[derive(Debug, Error)]
pub enum LogError {
    /// The filter is none.
    #[error(
        "the log filter `{filter}` is none: {source}; try `info` or `squall_nimbus=debug,info`"
    )]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Somebody in this process logs already.
    #[error(transparent)]
    Taken(#[from] SetGlobalDefaultError),
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
            format: LogFormat::Text,
            output: LogOutput::Stderr,
        }
    }
}

impl LogConfig {
    /// Begins to log, for the whole process.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn start(&self) -> Result<(), LogError> {
        Ok(tracing::dispatcher::set_global_default(self.dispatch()?)?)
    }

    /// Makes what takes the events, for who wants to start it himself.
    ///
    /// # Errors
    /// [`LogError::Filter`].
    pub fn dispatch(&self) -> Result<Dispatch, LogError> {
        let filter = EnvFilter::try_new(&self.filter).map_err(|source| LogError::Filter {
            filter: self.filter.clone(),
            source,
        })?;
        Ok(match &self.output {
            LogOutput::Stderr => {
                let is_plain = std::env::var_os("NO_COLOR").is_some_and(|no| !no.is_empty());
                let colour = !is_plain && std::io::stderr().is_terminal();
                self.writing_to(std::io::stderr, filter, colour)
            }
            LogOutput::File(file) => self.writing_to(file.clone(), filter, false),
        })
    }

    fn writing_to<W>(&self, writer: W, filter: EnvFilter, colour: bool) -> Dispatch
    where
        W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    {
        let builder = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(writer)
            .with_ansi(colour);
        match self.format {
            LogFormat::Text => dispatch(builder.finish()),
            LogFormat::Json => dispatch(builder.json().flatten_event(true).finish()),
        }
    }
}

fn dispatch(subscriber: impl Subscriber + Send + Sync + 'static) -> Dispatch {
    Dispatch::new(subscriber)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use tracing::dispatcher::with_default;
    use tracing::{debug, info};

    use super::*;

    fn logged(filter: &str, format: LogFormat) -> String {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("nimbus.log");
        let config = LogConfig {
            filter: filter.to_owned(),
            format,
            output: LogOutput::File(RotatingFile::open(&path, Rotation::default()).unwrap()),
        };
        with_default(&config.dispatch().unwrap(), || {
            info!(topology_id = "wc-1", "assignment stored");
            debug!("a detail");
        });
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn text_is_filtered_and_plain() {
        let text = logged("info", LogFormat::Text);
        assert_eq!(text.lines().count(), 1);
        assert!(
            text.contains("INFO") && text.ends_with("assignment stored topology_id=\"wc-1\"\n")
        );
        assert!(!text.contains('\u{1b}'));
        assert_eq!(logged("debug", LogFormat::Text).lines().count(), 2);
        assert_eq!(logged("warn", LogFormat::Text), "");
    }

    #[test]
    fn json_is_an_object_a_line() {
        let text = logged("debug", LogFormat::Json);
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["message"], "assignment stored");
        assert_eq!(lines[0]["topology_id"], "wc-1");
        assert_eq!(lines[1]["level"], "DEBUG");
    }

    #[test]
    fn a_filter_that_is_none_is_told_with_an_example() {
        let config = LogConfig {
            filter: "squall=loud".to_owned(),
            ..LogConfig::default()
        };
        let error = config.dispatch().unwrap_err().to_string();
        assert!(
            error.contains("`squall=loud`") && error.contains("try `info`"),
            "{error}"
        );
    }
}
