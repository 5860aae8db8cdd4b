//! The names by which topologies declare the components of this crate.

use squall_core::Registry;

use crate::access_log::AccessLog;
use crate::count::Count;
use crate::drill::{Drill, Memory};
use crate::generate::Generate;
use crate::json::Json;
use crate::jsonl::Jsonl;
use crate::lines::Lines;
use crate::log::Log;
use crate::top::Top;

/// Registers every spout and bolt of this crate.
pub fn all(registry: &mut Registry) {
    let memory = Memory::default();
    registry
        .spout("generate", Generate::new)
        .spout("lines", Lines::new)
        .bolt("access-log", |config| Ok(AccessLog::new(config)))
        .bolt("count", |config| Ok(Count::new(config)))
        .bolt("drill", move |config| Drill::new(config, memory.clone()))
        .bolt("json", Json::new)
        .bolt("jsonl", |config| Ok(Jsonl::new(config)))
        .bolt("log", |config| Ok(Log::new(config)))
        .bolt("top", Top::new);
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;

    /// Walks all objects with properties in a schema.
    fn check_documented(name: &str, schema: &Value) {
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            // A choice with values of its own is an object with one property, documented around it.
            let is_choice = properties.len() == 1 && schema.get("description").is_some();
            for (key, property) in properties {
                let is_documented = is_choice || property.get("description").is_some();
                assert!(is_documented, "{name}: {key} is undocumented");
            }
        }
        let (objects, lists) = (schema.as_object(), schema.as_array());
        let parts = objects.into_iter().flat_map(Map::values);
        for part in parts.chain(lists.into_iter().flatten()) {
            check_documented(name, part);
        }
    }

    fn example(schema: &Value) -> Value {
        let example = schema.pointer("/examples/0").cloned();
        example.unwrap_or_default()
    }

    #[test]
    fn every_component_is_documented_and_builds_from_its_example_or_from_nothing() {
        let mut registry = Registry::new();
        all(&mut registry);
        for (name, spout) in registry.spouts() {
            let schema = spout.config_schema();
            assert!(schema.get("description").is_some(), "{name}");
            check_documented(name, schema);
            assert!(spout.build(&example(schema)).is_ok(), "{name}");
        }
        for (name, bolt) in registry.bolts() {
            let schema = bolt.config_schema();
            assert!(schema.get("description").is_some(), "{name}");
            check_documented(name, schema);
            assert!(bolt.build(&example(schema)).is_ok(), "{name}");
        }
        assert_eq!(
            (registry.spouts().count(), registry.bolts().count()),
            (2, 7)
        );
    }
}
