//! Where a source takes its values from, over and over.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::path::{Path, PathBuf};

use squall_core::{Result, Value};

use super::load::Load;
use super::words::SENTENCES;

/// What the sources of const cases emit.
const CONSTANT: &str = "some data";

/// An endless row of values.
#[derive(Debug)]
pub(super) enum Feed {
    /// These, one after the other.
    Values { values: Vec<Value>, next_idx: usize },
    /// The lines of a file, which is read as they are wanted.
    Lines {
        path: PathBuf,
        reader: BufReader<File>,
        line: String,
    },
}

impl Feed {
    /// Begins at the first value.
    ///
    /// # Errors
    /// The file can't be opened.
    pub(super) fn open(load: &Load) -> Result<Self> {
        let values = match load {
            Load::Numbers => vec![Value::I64(1)],
            Load::Constant => vec![Value::from(CONSTANT)],
            Load::Sentences => SENTENCES.iter().copied().map(Value::from).collect(),
            Load::File(path) => return Self::lines(path),
        };
        Ok(Self::Values {
            values,
            next_idx: 0,
        })
    }

    fn lines(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        Ok(Self::Lines {
            path: path.to_owned(),
            reader: BufReader::new(file),
            line: String::new(),
        })
    }

    /// Returns the next value; after the last one comes the first. Blocks while a file is read.
    ///
    /// # Errors
    /// The file can't be read, isn't text, or is empty.
    pub(super) fn next(&mut self) -> Result<Value> {
        match self {
            Self::Values { values, next_idx } => {
                let value = values.get(*next_idx).cloned().unwrap_or_default();
                *next_idx += 1;
                if *next_idx >= values.len() {
                    *next_idx = 0;
                }
                Ok(value)
            }
            Self::Lines { path, reader, line } => {
                line.clear();
                let mut read = reader.read_line(line);
                if matches!(read, Ok(0)) {
                    read = reader.rewind().and_then(|()| reader.read_line(line));
                }
                match read {
                    Ok(0) => Err(format!("{} has no lines", path.display()).into()),
                    Ok(_) => Ok(Value::from(without_end(line))),
                    Err(error) => Err(unreadable(path, &error).into()),
                }
            }
        }
    }
}

/// Says which file it is that can't be read, and why not.
pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> String {
    format!("{} can't be read: {error}", path.display())
}

/// Takes off what [`BufRead::lines`] takes off.
fn without_end(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_begins_anew_after_its_last_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let load = Load::File(file.path().to_owned());
        let error = Feed::open(&load).unwrap().next().unwrap_err();
        assert!(error.to_string().contains("no lines"), "{error}");
        fs::write(file.path(), "one line\r\n\nlast").unwrap();
        let mut feed = Feed::open(&load).unwrap();
        for expected in ["one line", "", "last", "one line"] {
            assert_eq!(feed.next().unwrap(), Value::from(expected));
        }
    }

    #[test]
    fn sentences_come_in_their_order() {
        let mut feed = Feed::open(&Load::Sentences).unwrap();
        for sentence in SENTENCES.iter().chain(&SENTENCES) {
            assert_eq!(feed.next().unwrap(), Value::from(*sentence));
        }
    }
}
