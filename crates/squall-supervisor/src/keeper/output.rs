//! What a worker's process leaves behind: its standard output and error, and the reason of its end.
//!
//! Workers write logs of their own; what comes here is what is said before there is a log, or when
//! everything is lost: a panic, an abort. The file is kept small in place, for the worker holds it open and
//! appends.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use squall_proto::Note;
use squall_proto::worker_dir::{EXIT_REASON_FILE, OUTPUT_FILE};

use crate::files;

/// The file is emptied when it is longer, in bytes.
const MAX_OUTPUT_BYTES: u64 = 1 << 20;
/// How much of its end is kept beside it then, in bytes.
const KEPT_BYTES: u64 = 64 << 10;
/// How much of the output's end is told as the reason of an exit, in bytes.
const LAST_WORDS_BYTES: u64 = 600;
/// How much a worker may say of its end, in bytes.
const MAX_REASON_BYTES: u64 = 64 << 10;

/// Opens the output of a worker that is about to start. Returns how long it is as well.
pub(super) fn open(directory: &Path) -> io::Result<(File, u64)> {
    trim(directory)?;
    match fs::remove_file(directory.join(EXIT_REASON_FILE)) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let path = directory.join(OUTPUT_FILE);
    let file = OpenOptions::new().append(true).create(true).open(path)?;
    let n_bytes = file.metadata()?.len();
    Ok((file, n_bytes))
}

/// Empties the output if it is too long, having put its end aside. Says whether it did.
pub(super) fn trim(directory: &Path) -> io::Result<bool> {
    let path = directory.join(OUTPUT_FILE);
    let mut file = match OpenOptions::new().read(true).write(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let n_bytes = file.metadata()?.len();
    if n_bytes <= MAX_OUTPUT_BYTES {
        return Ok(false);
    }
    let end = read_end(&mut file, n_bytes.saturating_sub(KEPT_BYTES), KEPT_BYTES)?;
    fs::write(directory.join(format!("{OUTPUT_FILE}.1")), end)?;
    file.set_len(0)?;
    Ok(true)
}

/// Returns what a worker that is gone said of its end, or else what it wrote last. `output_at` is how long
/// the output was when it started.
pub(super) fn last_words(directory: &Path, output_at: Option<u64>) -> Option<String> {
    let reason = files::read(&directory.join(EXIT_REASON_FILE), MAX_REASON_BYTES);
    let reason = reason
        .ok()
        .flatten()
        .map(|reason| text(&reason))
        .filter(|text| !text.is_empty());
    reason.or_else(|| {
        let mut file = File::open(directory.join(OUTPUT_FILE)).ok()?;
        let n_bytes = file.metadata().ok()?.len();
        let from = output_at?.max(n_bytes.saturating_sub(LAST_WORDS_BYTES));
        let end = read_end(&mut file, from, LAST_WORDS_BYTES).ok()?;
        Some(text(&end)).filter(|text| !text.is_empty())
    })
}

/// Puts together how a process ended and what it said.
pub(super) fn reason(how: &str, words: Option<&str>) -> String {
    let text = match words {
        Some(words) => format!("{how}: {words}"),
        None => how.to_owned(),
    };
    Note::new(text).as_str().to_owned()
}

fn read_end(file: &mut File, from: u64, max_bytes: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(from))?;
    let mut end = Vec::new();
    file.take(max_bytes).read_to_end(&mut end)?;
    Ok(end)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn output_stays_small_under_who_appends() {
        let directory = tempfile::tempdir().unwrap();
        let (mut file, at) = open(directory.path()).unwrap();
        assert_eq!(at, 0);
        let line = [b'x'; 1000];
        for _ in 0..3000 {
            file.write_all(&line).unwrap();
            trim(directory.path()).unwrap();
        }
        file.write_all(b"the end").unwrap();
        let length = |name: &str| fs::metadata(directory.path().join(name)).unwrap().len();
        assert!(length(OUTPUT_FILE) <= MAX_OUTPUT_BYTES + 1000);
        assert_eq!(length(&format!("{OUTPUT_FILE}.1")), KEPT_BYTES);
        let words = last_words(directory.path(), Some(0)).unwrap();
        assert!(words.ends_with("xthe end") && words.len() == 600);
    }

    #[test]
    fn a_reason_precedes_the_output_and_ends_with_the_start() {
        let directory = tempfile::tempdir().unwrap();
        let (mut file, _) = open(directory.path()).unwrap();
        assert_eq!(last_words(directory.path(), Some(0)), None);
        file.write_all(b"thread panicked\n").unwrap();
        let words = last_words(directory.path(), Some(0));
        assert_eq!(words.as_deref(), Some("thread panicked"));
        fs::write(
            directory.path().join(EXIT_REASON_FILE),
            "the port is taken\n",
        )
        .unwrap();
        let words = last_words(directory.path(), Some(0));
        assert_eq!(
            reason("ended with exit status 1", words.as_deref()),
            "ended with exit status 1: the port is taken"
        );
        let (_, at) = open(directory.path()).unwrap();
        assert_eq!(last_words(directory.path(), Some(at)), None);
        assert_eq!(last_words(directory.path(), None), None);
    }
}
