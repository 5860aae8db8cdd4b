//! `lines`: a file, line by line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use squall_core::replay::ReplayConfig;
use squall_core::{
    Activity, ByteSize, Failure, MessageId, Metric, Outputs, Remediable, Result, Spout,
    SpoutEmitter, Str, TaskContext, Value,
};

use crate::replayed::{self, Replayed};

const BUFFER_BYTES: usize = 64 * 1024;

/// Emits the lines of a file, then finishes.
///
/// Output fields: `line` (without its line end; what isn't UTF-8 is replaced by U+FFFD) and `number` (from 1).
/// Failed lines are emitted again. Several tasks share the file: each reads all of it and takes every
/// n-th line. It keeps no checkpoint: a task that is restarted begins at the first line. Reading blocks
/// for as long as the file system takes for 64 KiB. Metrics: `replayed`, `exhausted`, `lines_cut`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "path": "words.txt" }))]
pub struct LinesConfig {
    /// The file; a relative path begins at the directory that the program runs in.
    pub path: String,
    /// The longest line; what is longer is cut off, and counted as `lines_cut`. Default 1MiB.
    #[serde(default = "max_line_bytes")]
    pub max_line_bytes: ByteSize,
    /// How failed lines are emitted again.
    #[serde(default)]
    pub replay: ReplayConfig,
}

const fn max_line_bytes() -> ByteSize {
    ByteSize::mib(1)
}

/// See [`LinesConfig`].
pub struct Lines {
    config: LinesConfig,
    open: Option<Open>,
}

struct Open {
    reader: BufReader<File>,
    bytes: Vec<u8>,
    max_line_bytes: usize,
    n_read: i64,
    /// Lines that other tasks take, before the next of ours.
    n_to_skip: usize,
    n_tasks: usize,
    at_end: bool,
    lines_cut: Metric,
    messages: Replayed<(Str, i64)>,
}

impl Lines {
    /// Makes the spout.
    ///
    /// # Errors
    /// A config that asks for dead letters.
    pub fn new(config: LinesConfig) -> Result<Self> {
        replayed::check(&config.replay)?;
        Ok(Self { config, open: None })
    }
}

impl Spout for Lines {
    fn outputs(&self) -> Outputs {
        Outputs::fields(["line", "number"])
    }

    fn open(&mut self, ctx: &mut TaskContext) -> Result<()> {
        let path = &self.config.path;
        // No attempt after this one would find what isn't there: the run ends and says so.
        let file = File::open(path)
            .map_err(|error| format!("can't open {path}: {error}"))
            .permanent()?;
        self.open = Some(Open {
            reader: BufReader::with_capacity(BUFFER_BYTES, file),
            bytes: Vec::new(),
            max_line_bytes: self.config.max_line_bytes.as_usize(),
            n_read: 0,
            n_to_skip: ctx.task_idx(),
            n_tasks: ctx.n_tasks(),
            at_end: false,
            lines_cut: ctx.metrics().get("lines_cut", ""),
            messages: Replayed::new(&self.config.replay, ctx),
        });
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutEmitter<'_>) -> Result<Activity> {
        let Some(open) = &mut self.open else {
            return Err("not open")?;
        };
        if open.messages.emit_due(row, out)? {
            return Ok(Activity::Emitted);
        }
        if open.at_end || !open.messages.has_room() {
            return Ok(open.messages.rest(open.at_end));
        }
        let read = open.next_line();
        match read.map_err(|error| format!("can't read {}: {error}", self.config.path))? {
            Some(line) => {
                let values = row(&line);
                let bytes = size_of_val(&line) + line.0.len();
                open.messages.emit(line, bytes, values, out)?;
                Ok(Activity::Emitted)
            }
            None => Ok(open.messages.rest(true)),
        }
    }

    fn ack(&mut self, id: MessageId) {
        if let Some(open) = &mut self.open {
            drop(open.messages.ack(id));
        }
    }

    fn fail(&mut self, id: MessageId, why: &Failure) {
        if let Some(open) = &mut self.open {
            open.messages.fail(id, why);
        }
    }

    fn held(&mut self, id: MessageId) {
        if let Some(open) = &mut self.open {
            open.messages.held(id);
        }
    }
}

fn row((line, number): &(Str, i64)) -> [Value; 2] {
    [line.into(), (*number).into()]
}

impl Open {
    /// Reads on to the next line of this task; `None` at the end.
    fn next_line(&mut self) -> io::Result<Option<(Str, i64)>> {
        while self.read_line()? {
            self.n_read += 1;
            if self.n_to_skip > 0 {
                self.n_to_skip -= 1;
                continue;
            }
            self.n_to_skip = self.n_tasks - 1;
            let line = Str::from(String::from_utf8_lossy(&self.bytes));
            return Ok(Some((line, self.n_read)));
        }
        self.at_end = true;
        Ok(None)
    }

    /// Reads one line, without its end, into `bytes`; `false` at the end of the file.
    fn read_line(&mut self) -> io::Result<bool> {
        self.bytes.clear();
        // Two more for the line's end.
        let longest = self.max_line_bytes.saturating_add(2);
        let limit = u64::try_from(longest).unwrap_or(u64::MAX);
        let mut limited = self.reader.by_ref().take(limit);
        if limited.read_until(b'\n', &mut self.bytes)? == 0 {
            return Ok(false);
        }
        let is_whole = self.bytes.pop_if(|last| *last == b'\n').is_some();
        self.bytes.pop_if(|last| is_whole && *last == b'\r');
        if !is_whole {
            self.reader.skip_until(b'\n')?;
        }
        if self.bytes.len() > self.max_line_bytes {
            self.bytes.truncate(self.max_line_bytes);
            self.lines_cut.add(1);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use squall_core::FailureReason;
    use tempfile::NamedTempFile;

    use super::*;
    use crate::harness::SpoutHarness;

    fn lines(text: &[u8]) -> (SpoutHarness<Lines>, NamedTempFile) {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(text).unwrap();
        let config = LinesConfig {
            path: file.path().to_str().unwrap().to_owned(),
            max_line_bytes: ByteSize(8),
            replay: ReplayConfig::default(),
        };
        (SpoutHarness::new(Lines::new(config).unwrap()), file)
    }

    fn line(text: &str, number: i64) -> Vec<Value> {
        vec![text.into(), number.into()]
    }

    #[test]
    fn emits_each_line_without_its_end_and_finishes() {
        let text = b"a\n\nc\r\n\xff\nexactly8\nlonger than eight\nexactly8\r\nlast";
        let (mut lines, _file) = lines(text);
        lines.open().unwrap();
        let expected = [
            "a", "", "c", "\u{fffd}", "exactly8", "longer t", "exactly8", "last",
        ];
        for (text, number) in expected.into_iter().zip(1..) {
            assert_eq!(lines.next_tuple().unwrap(), Activity::Emitted);
            assert_eq!(lines.emitted(), [(number - 1, line(text, number as i64))]);
        }
        assert_eq!(lines.next_tuple().unwrap(), Activity::Finished);
        assert_eq!(lines.metric("lines_cut"), 1);
    }

    #[test]
    fn tasks_share_the_lines() {
        let (lines, _file) = lines(b"a\nb\nc\nd\ne\n");
        let mut lines = lines.task(1, 2);
        lines.open().unwrap();
        while lines.next_tuple().unwrap() == Activity::Emitted {}
        let emitted: Vec<_> = lines.emitted().into_iter().map(|(_, row)| row).collect();
        assert_eq!(emitted, [line("b", 2), line("d", 4)]);
    }

    #[test]
    fn a_failed_line_comes_again_after_its_back_off_even_at_the_end() {
        let (mut lines, _file) = lines(b"a\nb\n");
        lines.open().unwrap();
        while lines.next_tuple().unwrap() == Activity::Emitted {}
        let ids: Vec<_> = lines.emitted().into_iter().map(|(id, _)| id).collect();
        lines.fail(ids[0], FailureReason::Rejected);
        lines.ack(ids[1]);
        let Activity::IdleFor(wait) = lines.next_tuple().unwrap() else {
            panic!("a retry waits");
        };
        lines.advance(wait);
        assert_eq!(lines.next_tuple().unwrap(), Activity::Emitted);
        assert_eq!(lines.emitted(), [(ids[0], line("a", 1))]);
        lines.ack(ids[0]);
        assert_eq!(lines.next_tuple().unwrap(), Activity::Finished);
        assert_eq!(lines.metric("replayed"), 1);
    }

    #[test]
    fn a_file_that_can_not_be_opened_is_named_and_not_tried_again() {
        let config = LinesConfig {
            path: "/no/such/file".to_owned(),
            max_line_bytes: max_line_bytes(),
            replay: ReplayConfig::default(),
        };
        let mut lines = SpoutHarness::new(Lines::new(config).unwrap());
        let error = lines.open().unwrap_err();
        assert!(
            error.to_string().starts_with("can't open /no/such/file: "),
            "{error}"
        );
        assert_eq!(error.remedy(), squall_core::Remedy::DeadLetter);
    }
}
