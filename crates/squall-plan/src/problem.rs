//! What is wrong with a topology: one problem, the place it stands at, and all of them together.

mod render;
mod suggest;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use suggest::{did_you_mean, did_you_mean_one, list, quote};

/// Something wrong or doubtful in a topology. Its `Display` is the whole report, source line included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Whether the topology can run nevertheless.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where in the merged topology: `bolts.count.inputs[0].from`; empty for the topology as a whole.
    pub path: String,
    /// Where that was written; `None` for a topology that was built in Rust.
    pub place: Option<Place>,
    /// What the value came from.
    pub origin: Origin,
    /// What to do about it.
    pub help: Option<String>,
}

/// Whether a topology can run in spite of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It can't.
    Error,
    /// It can, but probably not as meant.
    Warning,
}

/// What a value came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The topology was built in Rust.
    Program,
    /// A file, as it is written there.
    File,
    /// The `--set` of this path.
    Set(String),
    /// These variables of the environment.
    Variables(Vec<String>),
}

/// A place in a file or in a `--set`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file's name as it was given, or `--set`.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// First byte and the one behind the last, in the whole text.
    pub span: (usize, usize),
    /// The line's text.
    pub snippet: Snippet,
}

/// A line of source, at most [`Snippet::MAX_CHARS`] characters of it, with a part underlined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snippet {
    /// The text, without control characters.
    pub text: String,
    /// How many characters precede the underlined part.
    pub before: usize,
    /// How many characters are underlined: at least 1.
    pub marked: usize,
}

impl Snippet {
    /// The longest text in characters; of a longer line the part around the place is shown.
    pub const MAX_CHARS: usize = 120;
}

/// All that is wrong with a topology, in the order of the files.
///
/// At most [`Problems::MAX`] are kept; what comes after is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problems {
    list: Vec<Problem>,
    n_left_out: usize,
    n_errors: usize,
}

impl Problems {
    /// The most problems that are kept.
    pub const MAX: usize = 100;

    /// Adds a problem.
    pub fn push(&mut self, problem: Problem) {
        self.n_errors += usize::from(problem.severity == Severity::Error);
        if self.list.len() < Self::MAX {
            self.list.push(problem);
        } else {
            self.n_left_out += 1;
        }
    }

    /// Adds a problem that is made only if there is room for it.
    pub(crate) fn add(&mut self, severity: Severity, problem: impl FnOnce() -> Problem) {
        if self.list.len() < Self::MAX {
            self.push(problem());
        } else {
            self.n_errors += usize::from(severity == Severity::Error);
            self.n_left_out += 1;
        }
    }

    /// Iterates over the problems that were kept.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }

    /// Returns how many problems were found, the ones that weren't kept included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.list.len() + self.n_left_out
    }

    /// Tells whether nothing is wrong.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Tells whether anything found keeps the topology from running.
    #[must_use]
    pub const fn has_errors(&self) -> bool {
        self.n_errors > 0
    }

    /// Sorts by file, in the order of `files`, and by place; then come `--set`s and what has no place.
    pub(crate) fn sort(&mut self, files: &[&str]) {
        self.list.sort_by_key(|problem| {
            let place = problem.place.as_ref();
            let in_file = place.and_then(|place| {
                let file = files.iter().position(|name| *name == place.file)?;
                Some((file, place.span.0))
            });
            in_file.unwrap_or((files.len(), 0))
        });
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        let mut problems = Self::default();
        problems.push(problem);
        problems
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Writes every problem with its source line, separated by empty lines, and how many were left out.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, problem) in self.iter().enumerate() {
            if idx > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        if self.n_left_out > 0 {
            writeln!(f, "\nand {} more", self.n_left_out)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
