//! `jsonl`: tuples in a file, a line of JSON each.

mod line_file;

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use squall_core::{
    AckToken, Bolt, ByteSize, Emitter, HumanDuration, Outputs, Result, TaskContext, Tuple,
};
use tracing::warn;

use self::line_file::LineFile;
use crate::json_line::write_line;

/// What stands for the task's number in a path.
const TASK: &str = "{task}";

/// Appends each tuple to a file, as one line of JSON, and acks it once the write has reached the file.
///
/// Each task has a file of its own. A restart truncates nothing: it goes on behind what is there, on a new
/// line where a killed process left half of one. A write that fails, fails its tuples, which come again;
/// so a line may stand there twice, and never is one missing that was acked. Writing blocks the bolt.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "path": "out.jsonl" }))]
pub struct JsonlConfig {
    /// The file, made if it isn't there; its directory must be. `{task}` stands for the task's number;
    /// without it, `out.jsonl` becomes `out-0.jsonl`, `out-1.jsonl` … where there are several tasks.
    pub path: String,
    /// How many bytes are gathered before they are written; memory is this and about 100 bytes a tuple.
    /// Default 1MiB.
    #[serde(default = "flush_bytes")]
    pub flush_bytes: ByteSize,
    /// How long tuples are gathered before they are written; a `tick` in the topology is used instead.
    /// 0s writes each at once. Default 100ms.
    #[serde(default = "flush_after")]
    pub flush_after: HumanDuration,
    /// Waits until the disk has each write (fsync), so that acked tuples outlive a power cut too.
    /// Default false: they outlive the process.
    #[serde(default)]
    pub sync: bool,
}

const fn flush_bytes() -> ByteSize {
    ByteSize::mib(1)
}

const fn flush_after() -> HumanDuration {
    HumanDuration::from_millis(100)
}

/// See [`JsonlConfig`].
pub struct Jsonl {
    config: JsonlConfig,
    file: Option<LineFile>,
    lines: Vec<u8>,
    tokens: Vec<AckToken>,
}

impl Jsonl {
    /// Makes the bolt.
    #[must_use]
    pub const fn new(config: JsonlConfig) -> Self {
        Self {
            config,
            file: None,
            lines: Vec::new(),
            tokens: Vec::new(),
        }
    }

    /// Writes what was gathered and ends its tokens, well or badly.
    fn write_out(&mut self) {
        let Some(file) = self.file.as_mut().filter(|_| !self.tokens.is_empty()) else {
            return;
        };
        let written = file.append(&self.lines);
        self.lines.clear();
        match written {
            Ok(()) => self.tokens.drain(..).for_each(AckToken::ack),
            Err(error) => {
                let path = file.path().display();
                warn!(%path, %error, n_tuples = self.tokens.len(), "write failed");
                let text = format!("can't write {path}: {error}");
                for token in self.tokens.drain(..) {
                    token.fail(text.as_str());
                }
            }
        }
    }
}

impl Bolt for Jsonl {
    fn outputs(&self) -> Outputs {
        Outputs::none()
    }

    fn prepare(&mut self, ctx: &mut TaskContext) -> Result<()> {
        let path = path_of(&self.config.path, ctx.task_idx(), ctx.n_tasks());
        let opened = LineFile::open(&path, self.config.sync);
        let file = opened.map_err(|error| format!("can't open {}: {error}", path.display()))?;
        self.file = Some(file);
        Ok(())
    }

    fn execute(&mut self, input: &Tuple, out: &mut Emitter<'_>) -> Result<()> {
        write_line(input, &mut self.lines)?;
        self.tokens.push(out.defer());
        let at_once = self.config.flush_after.0.is_zero();
        if at_once || self.lines.len() >= self.config.flush_bytes.as_usize() {
            self.write_out();
        }
        Ok(())
    }

    fn tick_every(&self) -> Option<Duration> {
        let every = self.config.flush_after.0;
        (!every.is_zero()).then_some(every)
    }

    fn tick(&mut self, _out: &mut Emitter<'_>) -> Result<()> {
        self.write_out();
        Ok(())
    }

    fn flush(&mut self, _out: &mut Emitter<'_>) -> Result<()> {
        self.write_out();
        Ok(())
    }
}

/// Returns the file of one task.
fn path_of(path: &str, task_idx: usize, n_tasks: usize) -> PathBuf {
    if path.contains(TASK) {
        return path.replace(TASK, &task_idx.to_string()).into();
    }
    let path = Path::new(path);
    if n_tasks == 1 {
        return path.to_owned();
    }
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{task_idx}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use squall_core::Value;

    use super::*;
    use crate::harness::{BoltHarness, End, tuple};

    fn jsonl(path: &Path, flush_bytes: u64) -> BoltHarness<Jsonl> {
        BoltHarness::new(Jsonl::new(JsonlConfig {
            path: path.to_str().unwrap().to_owned(),
            flush_bytes: ByteSize(flush_bytes),
            flush_after: flush_after(),
            sync: true,
        }))
    }

    fn input(n: i64) -> Tuple {
        tuple(&["n"], [Value::from(n)])
    }

    #[test]
    fn acks_when_the_write_has_reached_the_file_and_not_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.jsonl");
        let mut jsonl = jsonl(&path, 20);
        jsonl.prepare().unwrap();
        jsonl.execute(&input(1)).unwrap();
        jsonl.execute(&input(2)).unwrap();
        assert_eq!(
            (jsonl.ends(), fs::read_to_string(&path).unwrap()),
            (vec![], String::new())
        );
        jsonl.execute(&input(3)).unwrap();
        assert_eq!(jsonl.ends(), [End::Acked(0), End::Acked(1), End::Acked(2)]);
        jsonl.execute(&input(4)).unwrap();
        jsonl.tick().unwrap();
        assert_eq!(jsonl.ends().last(), Some(&End::Acked(3)));
        let lines = "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n";
        assert_eq!(fs::read_to_string(&path).unwrap(), lines);
    }

    #[test]
    fn writes_each_tuple_at_once_when_told_to_and_asks_for_no_ticks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.jsonl");
        let config = JsonlConfig {
            path: path.to_str().unwrap().to_owned(),
            flush_bytes: flush_bytes(),
            flush_after: HumanDuration(Duration::ZERO),
            sync: false,
        };
        assert_eq!(Jsonl::new(config.clone()).tick_every(), None);
        let mut jsonl = BoltHarness::new(Jsonl::new(config));
        jsonl.prepare().unwrap();
        jsonl.execute(&input(1)).unwrap();
        assert_eq!(jsonl.ends(), [End::Acked(0)]);
    }

    #[test]
    fn a_write_that_fails_fails_its_tuples() {
        // A device that is always full.
        let mut jsonl = jsonl(Path::new("/dev/full"), 1000);
        jsonl.prepare().unwrap();
        jsonl.execute(&input(1)).unwrap();
        jsonl.flush().unwrap();
        assert!(
            matches!(jsonl.ends().as_slice(), [End::Failed(0, text)] if text.contains("/dev/full"))
        );
    }

    #[test]
    fn says_which_file_can_not_be_opened() {
        let error = jsonl(Path::new("/no/such/dir/out.jsonl"), 1)
            .prepare()
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("can't open /no/such/dir/out.jsonl: "),
            "{error}"
        );
    }

    #[test]
    fn each_task_has_a_file_of_its_own() {
        for (path, n_tasks, expected) in [
            ("d/out.jsonl", 1, "d/out.jsonl"),
            ("d/out.jsonl", 4, "d/out-3.jsonl"),
            ("d/out", 4, "d/out-3"),
            ("d-{task}/out.jsonl", 1, "d-3/out.jsonl"),
        ] {
            assert_eq!(path_of(path, 3, n_tasks), Path::new(expected), "{path}");
        }
    }
}
