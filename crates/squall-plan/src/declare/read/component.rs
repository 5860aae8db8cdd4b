//! Spouts and bolts by id.

use std::num::NonZeroU32;

use serde_json::Value as Json;

use squall_core::{BoltSpec, ComponentId, InputSpec, SpoutSpec, Str};

use crate::declare::source::Point;
use crate::problem::{did_you_mean, quote};

use super::Reader;
use super::cursor::Cursor;
use super::value::as_list;

/// The keys of a spout.
pub(crate) const SPOUT_KEYS: [&str; 4] = ["type", "parallelism", "config", "dedicated"];

/// The keys of a bolt.
pub(crate) const BOLT_KEYS: [&str; 6] = [
    "type",
    "parallelism",
    "config",
    "inputs",
    "tick",
    "dedicated",
];

/// What spouts and bolts share.
struct Common {
    type_name: Str,
    parallelism: NonZeroU32,
    config: Json,
    dedicated: bool,
}

impl Reader<'_, '_> {
    pub(super) fn spouts(&mut self, at: &Cursor<'_>) {
        for (id, at) in self.entries(at).unwrap_or_default() {
            self.spout_keys(&at);
            let id = ComponentId::new(id);
            let common = self.common(&id, &at);
            let spec = SpoutSpec {
                type_name: common.type_name,
                parallelism: common.parallelism,
                config: common.config,
                dedicated: common.dedicated,
            };
            self.draft.spec.spouts.insert(id, spec);
        }
    }

    pub(super) fn bolts(&mut self, at: &Cursor<'_>) {
        for (id, at) in self.entries(at).unwrap_or_default() {
            self.known_keys(&at, &BOLT_KEYS);
            let id = ComponentId::new(id);
            let common = self.common(&id, &at);
            let inputs = at.given("inputs").map(|at| self.inputs(&at));
            let spec = BoltSpec {
                type_name: common.type_name,
                parallelism: common.parallelism,
                config: common.config,
                inputs: inputs.unwrap_or_default(),
                tick: at.given("tick").and_then(|at| self.duration(&at)),
                dedicated: common.dedicated,
            };
            self.draft.spec.bolts.insert(id, spec);
        }
    }

    /// Checks a spout's keys; one that is written like a bolt is told so.
    fn spout_keys(&mut self, at: &Cursor<'_>) {
        let of_bolts = [
            ("inputs", "a spout reads no streams"),
            ("tick", "a spout has no ticks"),
        ];
        for (key, message) in of_bolts {
            if let Some(value) = at.get(key) {
                let help = "what reads streams or has ticks stands under `bolts`".to_owned();
                self.reporter
                    .error(&value.path, Point::Key, message, Some(help));
            }
        }
        let others = at
            .pairs()
            .into_iter()
            .filter(|(key, _)| of_bolts.iter().all(|(known, _)| known != key));
        self.check_keys(others, &SPOUT_KEYS);
    }

    fn common(&mut self, id: &ComponentId, at: &Cursor<'_>) -> Common {
        let type_name = match self.entries(at) {
            Some(_) => self.type_name(id, at),
            None => None,
        };
        let (config, whole) = at
            .given("config")
            .map_or((Json::Null, true), |at| at.to_json());
        if type_name.is_none() || !whole {
            self.draft.flawed.insert(id.clone());
        }
        let parallelism = at.given("parallelism").and_then(|at| self.parallelism(&at));
        let dedicated = at.given("dedicated").and_then(|at| self.switch(&at));
        Common {
            type_name: type_name.unwrap_or_default(),
            parallelism: parallelism.unwrap_or(NonZeroU32::MIN),
            config,
            dedicated: dedicated.unwrap_or_default(),
        }
    }

    fn type_name(&mut self, id: &ComponentId, at: &Cursor<'_>) -> Option<Str> {
        if let Some(at) = at.given("type") {
            return self.text(&at);
        }
        let message = format!("{} has no `type`", quote(id.as_str()));
        // Often a `--set` with a slip in the component's name, which declares another component.
        let spec = &self.draft.spec;
        let others = spec.spouts.keys().chain(spec.bolts.keys());
        let help = if self.reporter.is_set(&at.path) {
            did_you_mean(id.as_str(), "declared", others.map(ComponentId::as_str))
        } else {
            "name the type that the component is registered as: `type: count`".to_owned()
        };
        self.reporter
            .error(&at.path, Point::Key, message, Some(help));
        None
    }

    fn inputs(&mut self, at: &Cursor<'_>) -> Vec<InputSpec> {
        let Some(items) = at.items() else {
            self.expected("a list of inputs", at, as_list(at));
            return Vec::new();
        };
        items.iter().map(|item| self.input(item)).collect()
    }
}
