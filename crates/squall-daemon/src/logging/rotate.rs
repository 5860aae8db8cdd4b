//! A log file that is kept by size: when it is full it becomes `.1`, `.1` becomes `.2`, the oldest goes.
//!
//! **Invariant:** the files together are never larger than their number times their bound, and a line is
//! whole in one of them.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Result, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

/// How much of a log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The largest file, in bytes; at least 64. A longer line is cut. Default: 16 MiB.
    pub max_bytes: u64,
    /// How many files, the current one included; at least 1. Default: 4.
    pub n_files: u32,
}

impl Default for Rotation {
    fn default() -> Self {
        Self {
            max_bytes: 16 << 20,
            n_files: 4,
        }
    }
}

/// A file for lines, each written by one call of `write`. Clones write to the same file; nobody else may.
///
/// Logging must not stop a process: when a line can't be written (a full disk), it is dropped, and how many
/// were dropped is said by a line of its own once there is room. A write waits for the system, as one
/// to stderr does, and is not synced: a power cut may cost the last lines.
#[derive(Clone, Debug)]
pub struct RotatingFile(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    path: PathBuf,
    rotation: Rotation,
    /// `None` after a rotation that broke off.
    file: Option<File>,
    n_bytes: u64,
    /// Whether the file ends within a line.
    is_torn: bool,
    n_lost: u64,
}

impl RotatingFile {
    /// Opens the file to append, or makes it, readable by the owner alone.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: impl Into<PathBuf>, rotation: Rotation) -> Result<Self> {
        let path = path.into();
        let rotation = Rotation {
            max_bytes: rotation.max_bytes.max(64),
            n_files: rotation.n_files.max(1),
        };
        let file = append(&path)?;
        let n_bytes = file.metadata()?.len();
        // Who wrote here before may have been killed within a line.
        let mut last = *b"\n";
        if let Some(before_last) = n_bytes.checked_sub(1) {
            file.read_exact_at(&mut last, before_last)?;
        }
        Ok(Self(Arc::new(Mutex::new(State {
            path,
            rotation,
            file: Some(file),
            n_bytes,
            is_torn: last != *b"\n",
            n_lost: 0,
        }))))
    }

    /// How many lines were dropped since the last one that was written.
    #[must_use]
    pub fn n_lost(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).n_lost
    }
}

impl State {
    /// Writes a line, after having said what was lost before it.
    fn write_line(&mut self, line: &[u8]) -> Result<()> {
        if self.n_lost > 0 {
            let lost = format!(
                "{{\"level\":\"WARN\",\"message\":\"log lines were lost, the disk didn't take them\",\
                 \"n_lost\":{}}}\n",
                self.n_lost
            );
            self.append_line(lost.as_bytes())?;
            self.n_lost = 0;
        }
        self.append_line(line)
    }

    fn append_line(&mut self, line: &[u8]) -> Result<()> {
        let max_bytes = self.rotation.max_bytes;
        let n_room = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        // One byte is kept for the newline that a cut or torn line gets.
        let (line, is_cut) = match line.get(..n_room - 1) {
            Some(start) if line.len() > n_room => (start, true),
            _ => (line, false),
        };
        let n_more = line.len() as u64 + u64::from(is_cut || self.is_torn);
        if self.file.is_none() || (self.n_bytes > 0 && self.n_bytes + n_more > max_bytes) {
            self.rotate()?;
        }
        if self.is_torn {
            self.write_all(b"\n")?;
            self.is_torn = false;
        }
        self.write_all(line)?;
        if is_cut {
            self.write_all(b"\n")?;
        }
        Ok(())
    }

    fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        let file = self.file.as_mut().ok_or(ErrorKind::NotFound)?;
        let written = file.write_all(bytes);
        if written.is_ok() {
            self.n_bytes += bytes.len() as u64;
        } else {
            // Nobody knows how much of it has gone out.
            self.is_torn = true;
            let max_bytes = self.rotation.max_bytes;
            self.n_bytes = file.metadata().map_or(max_bytes, |file| file.len());
        }
        written
    }

    /// Moves every file one place on and begins a new one.
    fn rotate(&mut self) -> Result<()> {
        // Whatever breaks off here is begun again with the next line. Until then nothing is written, so
        // that the bound holds.
        self.file = None;
        for n in (1..self.rotation.n_files).rev() {
            move_on(&numbered(&self.path, n - 1), &numbered(&self.path, n))?;
        }
        if self.rotation.n_files == 1 {
            match std::fs::remove_file(&self.path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let file = append(&self.path)?;
        self.n_bytes = file.metadata()?.len();
        self.is_torn = false;
        self.file = Some(file);
        Ok(())
    }
}

impl Write for RotatingFile {
    fn write(&mut self, line: &[u8]) -> Result<usize> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.write_line(line).is_err() {
            state.n_lost += 1;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for RotatingFile {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn append(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

/// The name of the file that is `n` places back; the current one for 0.
fn numbered(path: &Path, n: u32) -> PathBuf {
    if n == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{n}"));
    name.into()
}

fn move_on(from: &Path, to: &Path) -> Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    fn open(dir: &TempDir, max_bytes: u64, n_files: u32) -> RotatingFile {
        let rotation = Rotation { max_bytes, n_files };
        RotatingFile::open(dir.path().join("worker.log"), rotation).unwrap()
    }

    fn write(log: &mut RotatingFile, line: &str) {
        assert_eq!(log.write(line.as_bytes()).unwrap(), line.len());
    }

    /// Name → content.
    fn files(dir: &TempDir) -> BTreeMap<String, String> {
        let entries = std::fs::read_dir(dir.path()).unwrap();
        let files = entries.map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap_or_default())
        });
        files.collect()
    }

    #[test]
    fn keeps_the_last_files_and_starts_where_it_was() {
        let dir = TempDir::new().unwrap();
        let line = |n: u32| format!("{n:031}\n");
        for n in 0..10 {
            // Two lines fit, and each time the log is opened anew.
            write(&mut open(&dir, 66, 3), &line(n));
        }
        let files = files(&dir);
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        assert_eq!(names, ["worker.log", "worker.log.1", "worker.log.2"]);
        let text = |name: &str| files[name].clone();
        assert_eq!(text("worker.log"), line(8) + &line(9));
        assert_eq!(text("worker.log.1"), line(6) + &line(7));
        assert_eq!(text("worker.log.2"), line(4) + &line(5));
        let mode = dir.path().join("worker.log").metadata().unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_line_that_a_kill_cut_short_is_ended() {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("worker.log"), "whole\nha").unwrap();
        write(&mut open(&dir, 100, 2), "next\n");
        assert_eq!(files(&dir)["worker.log"], "whole\nha\nnext\n");
    }

    #[test]
    fn a_single_file_begins_again() {
        let dir = TempDir::new().unwrap();
        let mut log = open(&dir, 64, 1);
        for n in 0..5 {
            write(&mut log, &format!("{n:039}\n"));
        }
        assert_eq!(
            files(&dir),
            BTreeMap::from([("worker.log".to_owned(), format!("{:039}\n", 4))])
        );
    }

    #[test]
    fn lines_that_can_not_be_written_are_counted_and_said() {
        let dir = TempDir::new().unwrap();
        let mut log = open(&dir, 64, 2);
        write(&mut log, &format!("{:050}\n", 1));
        // A directory is in the way of the rotation.
        std::fs::create_dir_all(dir.path().join("worker.log.1/full")).unwrap();
        for n in 2..5 {
            write(&mut log, &format!("{n:050}\n"));
        }
        assert_eq!(log.n_lost(), 3);
        std::fs::remove_dir_all(dir.path().join("worker.log.1")).unwrap();
        write(&mut log, "the end\n");
        assert_eq!(log.n_lost(), 0);
        let all = files(&dir);
        assert_eq!(all["worker.log"], "the end\n");
        assert!(
            all["worker.log.1"].contains("log lines were lost"),
            "{all:?}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn whatever_is_written_stays_within_the_bound_and_whole(
            lengths in proptest::collection::vec(0..150_usize, 1..60),
            max_bytes in 64..200_u64,
            n_files in 1..4_u32,
        ) {
            let dir = TempDir::new().unwrap();
            let mut log = open(&dir, max_bytes, n_files);
            for (n, length) in lengths.iter().enumerate() {
                write(&mut log, &format!("<{n}{}>\n", "x".repeat(*length)));
                let files = files(&dir);
                prop_assert!(files.len() <= usize::try_from(n_files).unwrap());
                for (name, text) in files {
                    prop_assert!(text.len() as u64 <= max_bytes, "{name}: {}", text.len());
                    prop_assert!(text.ends_with('\n'));
                    prop_assert!(text.lines().all(|line| line.starts_with('<')));
                }
            }
            let last = files(&dir)["worker.log"].clone();
            let last = last.lines().last().unwrap();
            let start = format!("<{}", lengths.len() - 1);
            prop_assert!(last.starts_with(&start), "{last}");
        }
    }
}
