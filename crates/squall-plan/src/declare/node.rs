//! The tree that a YAML text is read into: values that remember where they were written.

use std::ops::Range;

use indexmap::IndexMap;

use super::scalar::Scalar;

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// The value.
    pub(crate) kind: Kind,
    /// Where it was written.
    pub(crate) mark: Mark,
}

/// The shapes of a value.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Anything that is no list and no map.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A map, its keys in the order of declaration.
    Map(Map),
    /// A value that was already reported as wrong: read as if it weren't there, without another word.
    Bad,
}

/// A map by key.
pub(crate) type Map = IndexMap<String, Entry>;

/// A key's place and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Where the key was written.
    pub(crate) key: Mark,
    /// The value.
    pub(crate) value: Node,
}

/// A range of bytes of one source, and the variables that were replaced in it.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    /// An index into the sources: files first, then `--set`s.
    pub(crate) source: usize,
    /// The bytes.
    pub(crate) span: Range<usize>,
    /// The environment's variables that the value came from, once each.
    pub(crate) variables: Vec<String>,
}

/// How large a tree is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Size {
    /// Values.
    pub(crate) n_nodes: usize,
    /// Bytes of text, keys included.
    pub(crate) n_bytes: usize,
    /// Levels: 1 for a scalar.
    pub(crate) depth: usize,
}

impl Node {
    /// Measures the tree; as deep in recursion as the tree, which is bounded where trees are made.
    pub(crate) fn size(&self) -> Size {
        let mut size = Size {
            n_nodes: 1,
            n_bytes: 0,
            depth: 0,
        };
        match &self.kind {
            Kind::Bad => {}
            Kind::Scalar(scalar) => size.n_bytes = scalar.text.len(),
            Kind::List(items) => items.iter().for_each(|item| size.add(item.size())),
            Kind::Map(map) => {
                for (key, entry) in map {
                    size.n_bytes += key.len();
                    size.add(entry.value.size());
                }
            }
        }
        size.depth += 1;
        size
    }

    /// Returns the value of a key, or `None` where this is no map or the key isn't there.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Map(map) => map.get(key).map(|entry| &entry.value),
            Kind::Scalar(_) | Kind::List(_) | Kind::Bad => None,
        }
    }

    /// Says in words what the value is: `the number 8`, `a list`.
    pub(crate) fn describe(&self) -> String {
        match &self.kind {
            Kind::Scalar(scalar) => scalar.describe(),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a map".to_owned(),
            Kind::Bad => "nothing usable".to_owned(),
        }
    }
}

impl Size {
    fn add(&mut self, other: Self) {
        self.n_nodes += other.n_nodes;
        self.n_bytes += other.n_bytes;
        self.depth = self.depth.max(other.depth);
    }
}
