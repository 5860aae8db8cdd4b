//! `log`: tuples on standard output.

use std::io::{self, Stdout, Write};
use std::time::Duration;

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use squall_core::{Bolt, Emitter, Registry, Result, Tuple};
use tracing::warn;

use crate::json_line::write_line;

const BUFFER_BYTES: usize = 64 * 1024;

/// Prints each tuple on standard output, as one line of JSON.
///
/// Lines are gathered up to 64 KiB or for 100 ms (or the topology's tick), then written at once, so that
/// the lines of several tasks don't mix. It acks before it prints: a look at the data, no store of it.
/// When the reader of standard output has gone, it says so once and prints no more.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {}

/// See [`LogConfig`].
pub struct Log<W = Stdout> {
    to: W,
    buffer: Vec<u8>,
    reader_gone: bool,
}

impl Log {
    /// Makes the bolt.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "as every component's constructor"
    )]
    pub fn new(config: LogConfig) -> Self {
        let LogConfig {} = config;
        Self::to(io::stdout())
    }
}

impl<W: Write> Log<W> {
    const fn to(to: W) -> Self {
        Self {
            to,
            buffer: Vec::new(),
            reader_gone: false,
        }
    }

    fn print(&mut self) -> Result<()> {
        let written = self
            .to
            .write_all(&self.buffer)
            .and_then(|()| self.to.flush());
        self.buffer.clear();
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.reader_gone = true;
                warn!("nobody reads standard output, printing stopped");
                Ok(())
            }
            written => Ok(written?),
        }
    }
}

/// Has the ready-made `log` print as tests do: cargo shows it where a test fails, or with `--nocapture`. A
/// `log` of the program's own is left alone.
pub fn capture_log(registry: &mut Registry) {
    let own = schema_for!(LogConfig).to_value();
    let known = registry.get_bolt("log");
    if known.is_some_and(|known| *known.config_schema() == own) {
        registry.bolt("log", |_: LogConfig| Ok(Log::to(Captured)));
    }
}

/// Standard output as `print!` writes to it.
struct Captured;

impl Write for Captured {
    #[expect(
        clippy::print_stdout,
        reason = "only this is captured by the harness of tests"
    )]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        print!("{}", String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write + Send> Bolt for Log<W> {
    fn execute(&mut self, input: &Tuple, _out: &mut Emitter<'_>) -> Result<()> {
        if self.reader_gone {
            return Ok(());
        }
        write_line(input, &mut self.buffer)?;
        if self.buffer.len() < BUFFER_BYTES {
            return Ok(());
        }
        self.print()
    }

    fn tick_every(&self) -> Option<Duration> {
        Some(Duration::from_millis(100))
    }

    fn tick(&mut self, _out: &mut Emitter<'_>) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.print()
    }

    fn flush(&mut self, out: &mut Emitter<'_>) -> Result<()> {
        self.tick(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{BoltHarness, tuple};
    use squall_core::Value;

    /// Counts the writes; with `gone`, nobody reads them.
    #[derive(Default)]
    struct Writes {
        texts: Vec<String>,
        gone: bool,
    }

    impl Write for &mut Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.texts.push(String::from_utf8_lossy(bytes).into_owned());
            match self.gone {
                true => Err(io::ErrorKind::BrokenPipe.into()),
                false => Ok(bytes.len()),
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn input() -> Tuple {
        tuple(&["n"], [Value::from(1)])
    }

    #[test]
    fn gathers_lines_and_prints_them_at_once() {
        let mut writes = Writes::default();
        let mut log = BoltHarness::new(Log::to(&mut writes));
        log.execute(&input()).unwrap();
        log.execute(&input()).unwrap();
        log.tick().unwrap();
        log.flush().unwrap();
        drop(log);
        assert_eq!(writes.texts, ["{\"n\":1}\n{\"n\":1}\n"]);
    }

    #[test]
    fn stops_when_nobody_reads() {
        let mut writes = Writes {
            gone: true,
            ..Writes::default()
        };
        let mut log = BoltHarness::new(Log::to(&mut writes));
        for _ in 0..2 {
            log.execute(&input()).unwrap();
            log.tick().unwrap();
        }
        drop(log);
        assert_eq!(writes.texts.len(), 1);
    }
}
