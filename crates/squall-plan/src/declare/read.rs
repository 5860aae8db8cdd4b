//! The merged tree to a [`TopologySpec`]: every key looked at, every mistake reported, nothing stopped at.

mod component;
mod cursor;
mod flux;
mod grouping;
mod value;

use std::collections::HashSet;

use indexmap::IndexMap;
use serde_json::Value as Json;

use squall_core::{ComponentId, Settings, Str, TopologySpec};

use crate::path::Path;
use crate::report::Reporter;
use crate::validate::judge;

use super::node::{Kind, Node};
use super::source::{Point, SourceMap};

use cursor::Cursor;

pub(crate) use component::{BOLT_KEYS, SPOUT_KEYS};
pub(crate) use grouping::{GROUPING_WORDS, INPUT_KEYS};

/// A topology as far as it could be read.
#[derive(Debug)]
pub(crate) struct Draft {
    /// What was declared; parts that couldn't be read are left out or at their defaults.
    pub(crate) spec: TopologySpec,
    /// The components that can't be judged any further, for what was reported of them. The empty name stands
    /// for sources and fields of inputs that couldn't be read.
    pub(crate) flawed: HashSet<ComponentId>,
}

/// The keys of a topology file.
pub(crate) const TOPOLOGY_KEYS: [&str; 4] = ["name", "settings", "spouts", "bolts"];

/// Stands for a name that can't be read.
const UNNAMED: Str = Str::new_static("unnamed");

/// Reads the tree; none where it is no topology at all, which is reported.
pub(super) fn read(map: &SourceMap, reporter: &mut Reporter<'_>) -> Option<Draft> {
    let root = Cursor::new(map.root()?);
    if flux::report(&root, reporter) {
        return None;
    }
    let mut reader = Reader {
        reporter,
        draft: Draft {
            spec: TopologySpec {
                name: UNNAMED,
                settings: Settings::default(),
                spouts: IndexMap::new(),
                bolts: IndexMap::new(),
            },
            flawed: HashSet::new(),
        },
    };
    reader.topology(&root);
    Some(reader.draft)
}

/// Removes the keys that begin with `x-`, wherever a key is Squall's own to read: not inside of `config`.
pub(super) fn drop_extensions(root: &mut Node) {
    drop_from(root);
    for section in ["settings", "spouts", "bolts"] {
        let Some(section) = get_mut(root, section) else {
            continue;
        };
        drop_from(section);
        for component in values_mut(section) {
            drop_from(component);
            if let Some(inputs) = get_mut(component, "inputs") {
                values_mut(inputs).for_each(drop_from);
            }
        }
    }
}

fn drop_from(node: &mut Node) {
    if let Kind::Map(map) = &mut node.kind {
        map.retain(|key, _| !key.starts_with("x-"));
    }
}

fn get_mut<'n>(node: &'n mut Node, key: &str) -> Option<&'n mut Node> {
    match &mut node.kind {
        Kind::Map(map) => map.get_mut(key).map(|entry| &mut entry.value),
        Kind::Scalar(_) | Kind::List(_) | Kind::Bad => None,
    }
}

fn values_mut(node: &mut Node) -> Box<dyn Iterator<Item = &mut Node> + '_> {
    match &mut node.kind {
        Kind::Map(map) => Box::new(map.values_mut().map(|entry| &mut entry.value)),
        Kind::List(items) => Box::new(items.iter_mut()),
        Kind::Scalar(_) | Kind::Bad => Box::new(std::iter::empty()),
    }
}

/// Reads one tree into one draft.
struct Reader<'a, 'r> {
    reporter: &'a mut Reporter<'r>,
    draft: Draft,
}

impl Reader<'_, '_> {
    fn topology(&mut self, root: &Cursor<'_>) {
        self.known_keys(root, &TOPOLOGY_KEYS);
        // Whatever is wrong with the name is reported here; one that passes keeps later checks quiet.
        self.draft.spec.name = match root.given("name") {
            Some(name) => self.text(&name).unwrap_or(UNNAMED),
            None => {
                let path = Path::default().key("name");
                let message = "the topology has no `name`";
                let help = "every topology has one: `name: clickstream`".to_owned();
                self.reporter
                    .error(&path, Point::Value, message, Some(help));
                UNNAMED
            }
        };
        if let Some(settings) = root.get("settings") {
            self.settings(&settings);
        }
        if let Some(spouts) = root.get("spouts") {
            self.spouts(&spouts);
        }
        if let Some(bolts) = root.get("bolts") {
            self.bolts(&bolts);
        }
    }

    /// Reads the settings key by key, so that one mistake leaves the others as they were meant.
    fn settings(&mut self, at: &Cursor<'_>) {
        let mut sound = serde_json::Map::new();
        for (key, value) in self.entries(at).unwrap_or_default() {
            let (json, whole) = value.to_json();
            if json.is_null() || !whole {
                continue;
            }
            let one = Json::from_iter([(key, json.clone())]);
            let misfits = judge::<Settings>(&one);
            if misfits.is_empty() {
                sound.insert(key.to_owned(), json);
            }
            for misfit in misfits {
                self.reporter.misfit(&at.path, misfit);
            }
        }
        if let Ok(settings) = serde_json::from_value(sound.into()) {
            self.draft.spec.settings = settings;
        }
    }
}
