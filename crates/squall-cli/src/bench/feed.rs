//! Where a source takes its records from, over and over.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::path::{Path, PathBuf};

use squall_core::{Result, Value};

use super::load::Load;
use super::words::SENTENCES;

/// What the sources of const cases emit.
const CONSTANT: &str = "some data";

/// How many values a record has: what it is, and when it was due.
pub(super) const N_VALUES: usize = 2;

/// Endless records.
#[derive(Debug)]
pub(super) enum Feed {
    /// These, one after the other.
    Rows { rows: Vec<Row>, next_idx: usize },
    /// The lines of a file, which is read as they are wanted.
    Lines {
        path: PathBuf,
        reader: BufReader<File>,
        line: String,
        row: Row,
    },
}

type Row = [Value; N_VALUES];

impl Feed {
    /// Begins at the first record.
    ///
    /// # Errors
    /// The file can't be opened.
    pub(super) fn open(load: &Load) -> Result<Self> {
        let rows = match load {
            Load::Numbers => vec![row(1)],
            Load::Constant => vec![row(CONSTANT)],
            Load::Sentences => SENTENCES.into_iter().map(row).collect(),
            Load::File(path) => return Self::lines(path),
        };
        Ok(Self::Rows { rows, next_idx: 0 })
    }

    fn lines(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        Ok(Self::Lines {
            path: path.to_owned(),
            reader: BufReader::new(file),
            line: String::new(),
            row: row(Value::Null),
        })
    }

    /// Returns the next record, due then; after the last one comes the first. Blocks while a file is read.
    ///
    /// # Errors
    /// The file can't be read, isn't text, or is empty.
    pub(super) fn next(&mut self, due_ns: i64) -> Result<&[Value]> {
        let row = match self {
            Self::Rows { rows, next_idx } => {
                if *next_idx >= rows.len() {
                    *next_idx = 0;
                }
                let row = rows.get_mut(*next_idx);
                *next_idx += 1;
                row.ok_or("there are no records")?
            }
            Self::Lines {
                path,
                reader,
                line,
                row,
            } => {
                read_line(path, reader, line)?;
                row[0] = Value::from(without_end(line));
                row
            }
        };
        row[1] = Value::I64(due_ns);
        Ok(row)
    }
}

fn row(value: impl Into<Value>) -> Row {
    [value.into(), Value::I64(0)]
}

/// Reads a line; after the last one the first.
fn read_line(path: &Path, reader: &mut BufReader<File>, line: &mut String) -> Result<()> {
    line.clear();
    let mut read = reader.read_line(line);
    if matches!(read, Ok(0)) {
        read = reader.rewind().and_then(|()| reader.read_line(line));
    }
    match read {
        Ok(0) => Err(format!("{} has no lines", path.display()).into()),
        Ok(_) => Ok(()),
        Err(error) => Err(unreadable(path, &error).into()),
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
        let error = Feed::open(&load).unwrap().next(0).unwrap_err();
        assert!(error.to_string().contains("no lines"), "{error}");
        fs::write(file.path(), "one line\r\n\nlast").unwrap();
        let mut feed = Feed::open(&load).unwrap();
        for expected in ["one line", "", "last", "one line"] {
            let row = [Value::from(expected), Value::I64(7)];
            assert_eq!(feed.next(7).unwrap(), row);
        }
    }

    #[test]
    fn sentences_come_in_their_order() {
        let mut feed = Feed::open(&Load::Sentences).unwrap();
        for sentence in SENTENCES.iter().chain(&SENTENCES) {
            assert_eq!(feed.next(0).unwrap(), row(*sentence));
        }
    }
}
