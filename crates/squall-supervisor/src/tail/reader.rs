//! Reading a log that is written, and rotated, at the same time: its last lines, then what is added.
//!
//! A log is one file and its predecessors with `.1`, `.2` and so on behind the name, the newest first.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// How far a reader looks back for its first lines, over all files, in bytes: what it holds in memory.
const MAX_LOOK_BACK_BYTES: u64 = 4 << 20;
/// How many predecessors of the file are looked at.
const MAX_PREDECESSORS: u32 = 32;
/// The largest piece that is read at once, in bytes.
const PIECE_BYTES: usize = 64 << 10;

/// Which lines are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lines {
    /// Only those that name this word.
    pub(super) word: Option<String>,
    /// How many of the last ones to begin with.
    pub(super) n_lines: usize,
}

/// A reader of one log. Everything here blocks.
#[derive(Debug)]
pub(super) struct Reader {
    path: PathBuf,
    word: Option<String>,
    file: Option<File>,
    /// Where the next read of `file` begins.
    at: u64,
    /// The beginning of a line whose end hasn't been read.
    partial: Vec<u8>,
    /// The line that `partial` belongs to has been given in part already; so the rest is given, or not.
    given: Option<bool>,
}

impl Reader {
    /// Opens the log, which may not be there yet, and returns its last lines.
    pub(super) fn open(path: &Path, lines: &Lines) -> io::Result<(Self, Vec<u8>)> {
        let mut reader = Self {
            path: path.to_owned(),
            word: lines.word.clone(),
            file: None,
            at: 0,
            partial: Vec::new(),
            given: None,
        };
        reader.reopen()?;
        let mut text = Vec::new();
        let mut room = MAX_LOOK_BACK_BYTES;
        if let Some(file) = &reader.file {
            let end = file.metadata()?.len();
            text = before(file, end, room)?;
            reader.at = end;
        }
        room = room.saturating_sub(text.len() as u64);
        for number in 1..=MAX_PREDECESSORS {
            if room == 0 || reader.count(&text) > lines.n_lines {
                break;
            }
            let mut name = path.as_os_str().to_owned();
            name.push(format!(".{number}"));
            let file = match File::open(PathBuf::from(name)) {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::NotFound => break,
                Err(error) => return Err(error),
            };
            let older = before(&file, file.metadata()?.len(), room)?;
            room = room.saturating_sub(older.len() as u64);
            text.splice(0..0, older);
        }
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        reader.partial = text.split_off(whole);
        let cut = room == 0;
        let text = reader.last(&text, lines.n_lines, cut);
        Ok((reader, text))
    }

    /// Returns the wanted lines of what has been added since, at most one piece; `None` if nothing was
    /// added.
    pub(super) fn more(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut piece = self.read()?;
        if piece.is_empty() && self.is_replaced()? {
            // What was written between that read and the renaming is still in the old file.
            piece = self.read()?;
            if piece.is_empty() {
                self.reopen()?;
                self.at = 0;
                piece = self.read()?;
            }
        }
        Ok((!piece.is_empty()).then(|| self.take(&piece)))
    }

    fn read(&mut self) -> io::Result<Vec<u8>> {
        let Some(file) = &self.file else {
            return Ok(Vec::new());
        };
        if file.metadata()?.len() < self.at {
            // Emptied in place.
            self.at = 0;
            self.partial.clear();
        }
        let mut piece = vec![0; PIECE_BYTES];
        let n_bytes = file.read_at(&mut piece, self.at)?;
        piece.truncate(n_bytes);
        self.at += n_bytes as u64;
        Ok(piece)
    }

    /// Cuts what was read into lines and keeps those that are wanted.
    fn take(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut wanted = Vec::new();
        for line in piece.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(line);
            let ended = line.ends_with(b"\n");
            if !ended && self.partial.len() < PIECE_BYTES {
                break;
            }
            let give = match self.given {
                Some(given) => given,
                None => self.names(&self.partial),
            };
            if give {
                wanted.append(&mut self.partial);
            }
            self.partial.clear();
            self.given = (!ended).then_some(give);
        }
        wanted
    }

    /// Returns the last wanted lines of a text that ends with a line; if it was cut, its first line isn't
    /// whole.
    fn last(&self, text: &[u8], n_lines: usize, cut: bool) -> Vec<u8> {
        let lines = text
            .split_inclusive(|byte| *byte == b'\n')
            .skip(usize::from(cut));
        let wanted: Vec<&[u8]> = lines.filter(|line| self.names(line)).collect();
        let from = wanted.len().saturating_sub(n_lines);
        wanted.get(from..).unwrap_or_default().concat()
    }

    fn count(&self, text: &[u8]) -> usize {
        let lines = text.split_inclusive(|byte| *byte == b'\n');
        lines.filter(|line| self.names(line)).count()
    }

    /// Tells whether a line has the word, standing for itself.
    fn names(&self, line: &[u8]) -> bool {
        let Some(word) = self.word.as_ref().filter(|word| !word.is_empty()) else {
            return true;
        };
        let line = String::from_utf8_lossy(line);
        let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || "_-.".contains(c));
        line.match_indices(word.as_str()).any(|(at, _)| {
            let before = line.get(..at).and_then(|text| text.chars().next_back());
            let after = line
                .get(at + word.len()..)
                .and_then(|text| text.chars().next());
            !inside(before) && !inside(after)
        })
    }

    fn is_replaced(&self) -> io::Result<bool> {
        let now = match std::fs::metadata(&self.path) {
            Ok(now) => now,
            // Between two names.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        match &self.file {
            Some(file) => Ok(file.metadata()?.ino() != now.ino()),
            None => Ok(true),
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.file = match File::open(&self.path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(())
    }
}

/// Reads what is before `end`, at most so many bytes.
fn before(mut file: &File, end: u64, max_bytes: u64) -> io::Result<Vec<u8>> {
    let from = end.saturating_sub(max_bytes);
    file.seek(SeekFrom::Start(from))?;
    let mut text = Vec::new();
    file.take(end - from).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    struct Log {
        directory: tempfile::TempDir,
    }

    impl Log {
        fn new() -> Self {
            Self {
                directory: tempfile::tempdir().unwrap(),
            }
        }

        fn path(&self, suffix: &str) -> PathBuf {
            self.directory.path().join(format!("worker.log{suffix}"))
        }

        fn add(&self, text: &str) {
            let mut options = fs::OpenOptions::new();
            let mut file = options
                .create(true)
                .append(true)
                .open(self.path(""))
                .unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        fn rotate(&self) {
            for number in (0..5).rev() {
                let from = match number {
                    0 => self.path(""),
                    number => self.path(&format!(".{number}")),
                };
                if from.exists() {
                    fs::rename(from, self.path(&format!(".{}", number + 1))).unwrap();
                }
            }
        }

        fn open(&self, n_lines: usize, word: Option<&str>) -> (Reader, String) {
            let lines = Lines {
                word: word.map(str::to_owned),
                n_lines,
            };
            let (reader, text) = Reader::open(&self.path(""), &lines).unwrap();
            (reader, String::from_utf8(text).unwrap())
        }
    }

    fn rest(reader: &mut Reader) -> String {
        let mut rest = Vec::new();
        loop {
            let Some(more) = reader.more().unwrap() else {
                return String::from_utf8(rest).unwrap();
            };
            assert!(more.len() <= 2 * PIECE_BYTES);
            rest.extend(more);
        }
    }

    #[test]
    fn the_last_lines_come_from_all_files() {
        let log = Log::new();
        assert_eq!(log.open(10, None).1, "");
        for n in 0..9 {
            log.add(&format!("line {n}\n"));
            if n % 3 == 2 {
                log.rotate();
            }
        }
        log.add("line 9\nhalf");
        assert_eq!(log.open(2, None).1, "line 8\nline 9\n");
        assert_eq!(
            log.open(5, None).1,
            "line 5\nline 6\nline 7\nline 8\nline 9\n"
        );
        assert_eq!(log.open(100, None).1.lines().count(), 10);
        assert_eq!(log.open(0, None).1, "");
    }

    #[test]
    fn a_follower_misses_nothing_when_the_log_is_rotated_or_emptied() {
        let log = Log::new();
        log.add("one\ntw");
        let (mut reader, text) = log.open(10, None);
        assert_eq!(text, "one\n");
        log.add("o\nthree\n");
        assert_eq!(rest(&mut reader), "two\nthree\n");
        log.add("four\n");
        log.rotate();
        assert_eq!(rest(&mut reader), "four\n");
        log.add("five\n");
        assert_eq!(rest(&mut reader), "five\n");
        fs::write(log.path(""), "").unwrap();
        assert_eq!(rest(&mut reader), "");
        log.add("six\n");
        assert_eq!(rest(&mut reader), "six\n");
    }

    #[test]
    fn a_log_that_is_not_there_yet_is_waited_for() {
        let log = Log::new();
        let (mut reader, _) = log.open(10, None);
        assert_eq!(rest(&mut reader), "");
        log.add("first\n");
        assert_eq!(rest(&mut reader), "first\n");
    }

    #[test]
    fn only_lines_that_name_the_component() {
        let log = Log::new();
        log.add("component_id=count a\ncomponent_id=counter b\n{\"component_id\":\"count\"} c\n");
        let (mut reader, text) = log.open(10, Some("count"));
        assert_eq!(
            text,
            "component_id=count a\n{\"component_id\":\"count\"} c\n"
        );
        let long = format!(
            "count {}\nlong {}\n",
            "x".repeat(200_000),
            "y".repeat(200_000)
        );
        log.add(&long);
        log.add("count d\n");
        let rest = rest(&mut reader);
        assert_eq!(rest.len(), 6 + 200_000 + 1 + 8);
        assert!(rest.ends_with("x\ncount d\n"));
    }

    #[test]
    fn memory_is_bounded_whatever_is_asked_for() {
        let log = Log::new();
        log.add(&"0123456789abcde\n".repeat(1 << 19));
        let (_, text) = log.open(usize::MAX, None);
        assert!(text.len() as u64 <= MAX_LOOK_BACK_BYTES);
        assert!(text.len() as u64 > MAX_LOOK_BACK_BYTES - 100);
    }
}
