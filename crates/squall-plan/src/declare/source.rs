//! What a topology is read from, and where in it each value stands.

use std::fmt;
use std::ops::Range;

use crate::path::{Path, Step};
use crate::problem::{Origin, Place, Problem, Problems, Severity};

use super::limits::MAX_INPUT_BYTES;
use super::node::{Kind, Mark, Node};

/// All that a declared topology is read from.
#[derive(Clone)]
pub struct Sources<'e> {
    /// The files: the first is the base, each further one is merged over what precedes it.
    pub files: Vec<SourceFile>,
    /// The `--set`s, path and value, applied in this order after the files were merged.
    pub sets: Vec<(String, String)>,
    /// Looks up a variable of the environment.
    pub env: &'e dyn Fn(&str) -> Option<String>,
}

/// A YAML text and what it is called in messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The file's name as the user gave it.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl fmt::Debug for Sources<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Sources");
        debug.field("files", &self.files).field("sets", &self.sets);
        debug.finish_non_exhaustive()
    }
}

impl SourceFile {
    /// Takes the bytes of a file.
    ///
    /// # Errors
    /// One [`Problem`] with the place of the first byte that is no UTF-8.
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Self, Problems> {
        let name = name.to_owned();
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self { name, text }),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(error.as_bytes());
                Err(Problem {
                    severity: Severity::Error,
                    message: "this isn't UTF-8 text".to_owned(),
                    path: String::new(),
                    place: Some(Place::new(&name, &text, at, at)),
                    origin: Origin::File,
                    help: Some("save the file as UTF-8".to_owned()),
                }
                .into())
            }
        }
    }
}

/// The texts by index: files, then `--set`s as `path=value`.
#[derive(Debug)]
pub(crate) struct Texts {
    list: Vec<Text>,
}

/// One text.
#[derive(Debug)]
pub(super) struct Text {
    /// The file's name, or the path of the `--set`.
    pub(super) name: String,
    /// The whole of it.
    pub(super) text: String,
    /// Where the YAML begins: behind `path=` of a `--set`.
    pub(super) yaml_at: usize,
    /// Whether it is a `--set`.
    pub(super) is_set: bool,
}

impl Texts {
    /// Takes the sources in, or reports that there are none or too much of them.
    pub(super) fn new(sources: &Sources<'_>, problems: &mut Problems) -> Option<Self> {
        let files = sources.files.iter().map(|file| Text {
            name: file.name.clone(),
            text: file.text.clone(),
            yaml_at: 0,
            is_set: false,
        });
        let sets = sources.sets.iter().map(|(path, value)| Text {
            name: path.clone(),
            text: format!("{path}={value}"),
            yaml_at: path.len() + 1,
            is_set: true,
        });
        let files_bytes: usize = sources.files.iter().map(|file| file.text.len()).sum();
        let sets_bytes = sources
            .sets
            .iter()
            .map(|(path, value)| path.len() + value.len());
        let message = if files_bytes + sets_bytes.sum::<usize>() > MAX_INPUT_BYTES {
            format!("the files are larger than {MAX_INPUT_BYTES} bytes together")
        } else if sources.files.is_empty() {
            "no topology file was given".to_owned()
        } else {
            let list = files.chain(sets).collect();
            return Some(Self { list });
        };
        problems.push(Problem {
            severity: Severity::Error,
            message,
            path: String::new(),
            place: None,
            origin: Origin::File,
            help: None,
        });
        None
    }

    /// Iterates over the texts and their indexes.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Text)> {
        self.list.iter().enumerate()
    }

    /// Makes a problem of what was found wrong at a place.
    pub(super) fn error(&self, mark: &Mark, message: impl Into<String>) -> Problem {
        let (place, origin) = self.locate(mark);
        Problem {
            severity: Severity::Error,
            message: message.into(),
            path: String::new(),
            place,
            origin,
            help: None,
        }
    }

    fn locate(&self, mark: &Mark) -> (Option<Place>, Origin) {
        let place = self.list.get(mark.source).map(|text| {
            let Range { start, end } = mark.span;
            if text.is_set {
                Place::of_set(&text.text, start, end)
            } else {
                Place::new(&text.name, &text.text, start, end)
            }
        });
        (place, self.origin(mark))
    }

    fn origin(&self, mark: &Mark) -> Origin {
        match self.list.get(mark.source) {
            _ if !mark.variables.is_empty() => Origin::Variables(mark.variables.clone()),
            Some(text) if text.is_set => Origin::Set(text.name.clone()),
            _ => Origin::File,
        }
    }
}

/// Where each value of a topology was written; empty for one that was built in Rust.
#[derive(Debug)]
pub(crate) struct SourceMap {
    written: Option<(Texts, Node)>,
}

/// Which part of a map's entry is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// The key.
    Key,
    /// The value.
    Value,
}

impl SourceMap {
    /// Makes the map of a topology that was built in Rust.
    pub(crate) const fn built_in_rust() -> Self {
        Self { written: None }
    }

    pub(super) const fn new(texts: Texts, root: Node) -> Self {
        Self {
            written: Some((texts, root)),
        }
    }

    /// Returns the merged tree.
    pub(super) fn root(&self) -> Option<&Node> {
        self.written.as_ref().map(|(_, root)| root)
    }

    /// Finds where a value was written, or else what holds it. A map or a list is pointed to by its key.
    pub(crate) fn locate(&self, path: &Path, point: Point) -> (Option<Place>, Origin) {
        match &self.written {
            Some((texts, root)) => texts.locate(mark_of(root, path, point)),
            None => (None, Origin::Program),
        }
    }

    /// Finds what a value came from.
    pub(crate) fn origin(&self, path: &Path) -> Origin {
        match &self.written {
            Some((texts, root)) => texts.origin(mark_of(root, path, Point::Key)),
            None => Origin::Program,
        }
    }
}

fn mark_of<'n>(root: &'n Node, path: &Path, point: Point) -> &'n Mark {
    let mut at = (root, None);
    for step in path.steps() {
        match descend(at.0, step) {
            Some(found) => at = found,
            None => return place_of(at, Point::Value),
        }
    }
    place_of(at, point)
}

fn descend<'n>(node: &'n Node, step: &Step) -> Option<(&'n Node, Option<&'n Mark>)> {
    match (&node.kind, step) {
        (Kind::Map(map), Step::Key(key)) => {
            let entry = map.get(key)?;
            Some((&entry.value, Some(&entry.key)))
        }
        (Kind::List(items), Step::Idx(idx)) => items.get(*idx).map(|item| (item, None)),
        _ => None,
    }
}

fn place_of<'n>((node, key): (&'n Node, Option<&'n Mark>), point: Point) -> &'n Mark {
    let visible = matches!(node.kind, Kind::Scalar(_)) && !node.mark.span.is_empty();
    match key {
        Some(key) if point == Point::Key || !visible => key,
        _ => &node.mark,
    }
}
