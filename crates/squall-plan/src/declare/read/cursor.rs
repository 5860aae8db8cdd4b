//! A node of the tree with the path that leads to it.

use serde_json::Value as Json;

use crate::declare::node::{Kind, Node};
use crate::path::Path;

/// A place in the tree.
#[derive(Clone)]
pub(super) struct Cursor<'n> {
    /// What stands there.
    pub(super) node: &'n Node,
    /// How to get there from the root.
    pub(super) path: Path,
}

impl<'n> Cursor<'n> {
    /// Begins at the root.
    pub(super) fn new(root: &'n Node) -> Self {
        Self {
            node: root,
            path: Path::default(),
        }
    }

    /// Goes to the value of a key, if it is there.
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        let node = self.node.get(key)?;
        let path = self.path.key(key);
        Some(Self { node, path })
    }

    /// Goes to the value of a key, if it is there and not null: null means the default.
    pub(super) fn given(&self, key: &str) -> Option<Self> {
        self.get(key).filter(|value| !value.is_null())
    }

    /// Tells whether the value is null: nothing, `~` or `null`.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.node.kind, Kind::Scalar(scalar) if scalar.value().is_null())
    }

    /// Returns the scalar's value, or `None` for a list, a map and what was reported.
    pub(super) fn scalar(&self) -> Option<Json> {
        match &self.node.kind {
            Kind::Scalar(scalar) => Some(scalar.value()),
            Kind::List(_) | Kind::Map(_) | Kind::Bad => None,
        }
    }

    /// Tells whether the value was already reported as wrong.
    pub(super) const fn is_bad(&self) -> bool {
        matches!(self.node.kind, Kind::Bad)
    }

    /// Tells whether the value is a map.
    pub(super) const fn is_map(&self) -> bool {
        matches!(self.node.kind, Kind::Map(_))
    }

    /// Returns the keys and values of a map, nothing for anything else.
    pub(super) fn pairs(&self) -> Vec<(&'n str, Self)> {
        let Kind::Map(map) = &self.node.kind else {
            return Vec::new();
        };
        let pair = |(key, entry): (&'n String, &'n crate::declare::node::Entry)| {
            let path = self.path.key(key);
            let node = &entry.value;
            (key.as_str(), Self { node, path })
        };
        map.iter().map(pair).collect()
    }

    /// Returns the items of a list, or `None` where it is none.
    pub(super) fn items(&self) -> Option<Vec<Self>> {
        let Kind::List(items) = &self.node.kind else {
            return None;
        };
        let item = |(idx, node)| {
            let path = self.path.idx(idx);
            Self { node, path }
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// Returns the value as JSON, and whether it is free of what was reported.
    pub(super) fn to_json(&self) -> (Json, bool) {
        let mut whole = true;
        let json = to_json(self.node, &mut whole);
        (json, whole)
    }
}

fn to_json(node: &Node, whole: &mut bool) -> Json {
    match &node.kind {
        Kind::Scalar(scalar) => scalar.value(),
        Kind::List(items) => items.iter().map(|item| to_json(item, whole)).collect(),
        Kind::Map(map) => map
            .iter()
            .map(|(key, entry)| (key.clone(), to_json(&entry.value, whole)))
            .collect(),
        Kind::Bad => {
            *whole = false;
            Json::Null
        }
    }
}
