//! `logs`: what a topology's workers wrote.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use futures_util::StreamExt;
use squall::{Program, Result, console};
use squall_core::ComponentId;
use squall_core::engine::WorkerIdx;
use squall_proto::{LogPiece, TailLog, TopologyName};

use super::{NimbusArgs, block_on, explain, topology_name};

/// The longest line that is put together before it is printed as it is.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// Print the logs of a topology's workers, each line with its worker's number
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  squall logs clickstream               the last 100 lines of each worker
  squall logs clickstream/parse -f      what names the component `parse`, and go on")]
pub(crate) struct LogsArgs {
    /// The topology's name; behind a slash a component, for the lines that name it
    #[arg(value_name = "NAME[/COMPONENT]", value_parser = target)]
    target: (TopologyName, Option<ComponentId>),
    /// Go on with what is written from now on, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// How many of the last lines of each worker to begin with
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    lines: u32,
    #[command(flatten)]
    nimbus: NimbusArgs,
}

/// Prints logs.
pub(crate) fn logs(args: &LogsArgs, program: &Program) -> Result<ExitCode> {
    block_on(program, async {
        let mut nimbus = args.nimbus.connect().await?;
        let (name, component) = args.target.clone();
        let tail = TailLog {
            name,
            component,
            n_lines: args.lines,
            follow: args.follow,
        };
        let mut pieces = nimbus.tail_log(tail).await.map_err(explain)?;
        let mut printer = Printer::default();
        let mut stdout = std::io::stdout();
        while let Some(piece) = pieces.next().await {
            if !printer.take(&piece.map_err(explain)?, &mut stdout) {
                // The reader has gone away: `squall logs … | head`.
                return Ok(ExitCode::SUCCESS);
            }
        }
        printer.end(&mut stdout);
        Ok(match printer.troubled {
            true => ExitCode::FAILURE,
            false => ExitCode::SUCCESS,
        })
    })
}

fn target(text: &str) -> Result<(TopologyName, Option<ComponentId>), String> {
    match text.split_once('/') {
        Some((_, "")) => Err("a component's name is missing behind the slash".to_owned()),
        Some((name, component)) => Ok((topology_name(name)?, Some(component.into()))),
        None => Ok((topology_name(text)?, None)),
    }
}

/// Puts lines together, so that those of several workers don't mix.
#[derive(Default)]
struct Printer {
    begun: BTreeMap<WorkerIdx, Vec<u8>>,
    troubled: bool,
}

impl Printer {
    /// Prints the lines that a piece completes; tells whether somebody reads them.
    fn take(&mut self, piece: &LogPiece, to: &mut impl Write) -> bool {
        let begun = self.begun.entry(piece.worker).or_default();
        begun.extend_from_slice(&piece.text);
        let mut is_read = true;
        while let Some(end) = begun.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = begun.drain(..=end).collect();
            is_read &= print(piece.worker, &line, to);
        }
        if begun.len() > MAX_LINE_BYTES {
            let line = std::mem::take(begun);
            is_read &= print(piece.worker, &line, to);
        }
        if let Some(trouble) = &piece.trouble {
            self.troubled = true;
            console::say(format_args!("worker {}: {trouble}", piece.worker));
        }
        is_read
    }

    /// Prints what has no end.
    fn end(&mut self, to: &mut impl Write) {
        for (worker, line) in std::mem::take(&mut self.begun) {
            if !line.is_empty() {
                print(worker, &line, to);
            }
        }
    }
}

/// Prints one line; what is no text, or would steer a terminal, is replaced.
fn print(worker: WorkerIdx, line: &[u8], to: &mut impl Write) -> bool {
    let is_plain = |c: &char| !c.is_control() || *c == '\t';
    let text = String::from_utf8_lossy(line);
    let text: String = text
        .trim_end_matches('\n')
        .chars()
        .filter(is_plain)
        .collect();
    writeln!(to, "{worker} {text}")
        .and_then(|()| to.flush())
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(worker: u32, text: &str) -> LogPiece {
        LogPiece {
            topology: "clicks-1".into(),
            worker: WorkerIdx(worker),
            text: text.to_owned().into(),
            trouble: None,
        }
    }

    #[test]
    fn lines_of_several_workers_stay_whole() {
        let (mut printer, mut out) = (Printer::default(), Vec::new());
        for (worker, text) in [(0, "one "), (1, "three\nfo"), (0, "two\n"), (1, "ur")] {
            assert!(printer.take(&piece(worker, text), &mut out));
        }
        printer.end(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "1 three\n0 one two\n1 four\n"
        );
    }

    #[test]
    fn logs_can_t_steer_the_terminal() {
        let (mut printer, mut out) = (Printer::default(), Vec::new());
        printer.take(&piece(0, "\u{1b}[2Jhello\u{7}\tyou\n"), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "0 [2Jhello\tyou\n");
    }

    #[test]
    fn targets_are_a_topology_and_perhaps_a_component() {
        let (name, component) = target("clicks/parse").unwrap();
        assert_eq!(
            (name.as_str(), component.unwrap().as_str()),
            ("clicks", "parse")
        );
        assert!(target("clicks").unwrap().1.is_none());
        assert!(target("clicks/").is_err() && target("a b").is_err());
    }
}
