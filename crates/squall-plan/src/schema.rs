//! The JSON Schema of a topology file, for editors: completion, hover texts and marks while typing.
//!
//! Nothing is required at the top or of a component: an overlay is a topology file too and says only what it
//! changes. What a type's own config needs is required once the file names the type.

use schemars::schema_for;
use serde_json::{Map, Value as Json, json};

use squall_core::{Registry, Settings};

use crate::declare::{BOLT_KEYS, GROUPING_WORDS, INPUT_KEYS, SPOUT_KEYS, TOPOLOGY_KEYS};

/// Makes the schema of a topology file for a program with these components.
#[must_use]
pub fn topology_schema(registry: &Registry) -> Json {
    let mut defs = Map::new();
    let settings = hoist(&mut defs, "settings", schema_for!(Settings).as_value());
    if let Some(Json::Object(settings)) = defs.get_mut("settings") {
        settings.insert("patternProperties".to_owned(), json!({ "^x-": true }));
    }
    let spouts = registry
        .spouts()
        .map(|(name, known)| (name.as_str(), known.config_schema()));
    let bolts = registry
        .bolts()
        .map(|(name, known)| (name.as_str(), known.config_schema()));
    let spout = component(&mut defs, "spout", spouts, &SPOUT_KEYS);
    let bolt = component(&mut defs, "bolt", bolts, &BOLT_KEYS);
    defs.insert("spout".to_owned(), spout);
    defs.insert("bolt".to_owned(), bolt);
    defs.insert("input".to_owned(), input());
    defs.insert("grouping".to_owned(), grouping());
    defs.insert("variable".to_owned(), variable());
    let property = |key: &str| match key {
        "name" => json!({
            "description": "The topology's name: letters, digits, `-`, `_` and `.`.",
            "anyOf": [{ "type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$" }, to("variable")],
        }),
        "settings" => json!({ "$ref": settings }),
        "spouts" => by_id("The sources, by id.", "spout"),
        _ => by_id("The steps, by id.", "bolt"),
    };
    let mut schema = map_of(&TOPOLOGY_KEYS, property);
    schema.insert(
        "$schema".to_owned(),
        json!("https://json-schema.org/draft/2020-12/schema"),
    );
    schema.insert("title".to_owned(), json!("Squall topology"));
    schema.insert("$defs".to_owned(), Json::Object(defs));
    Json::Object(schema)
}

/// Makes the schema of a map with these keys, and with any that begin with `x-`.
fn map_of(keys: &[&str], property: impl Fn(&str) -> Json) -> Map<String, Json> {
    let properties = keys.iter().map(|key| ((*key).to_owned(), property(key)));
    Map::from_iter([
        ("type".to_owned(), json!("object")),
        ("properties".to_owned(), properties.collect()),
        ("patternProperties".to_owned(), json!({ "^x-": true })),
        ("additionalProperties".to_owned(), json!(false)),
    ])
}

fn by_id(description: &str, of: &str) -> Json {
    json!({
        "description": description,
        "type": "object",
        "patternProperties": { "^x-": true },
        "additionalProperties": to(of),
    })
}

fn to(name: &str) -> Json {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// Makes the schema of spouts or bolts: the config's follows from the type.
fn component<'r>(
    defs: &mut Map<String, Json>,
    kind: &str,
    types: impl Iterator<Item = (&'r str, &'r Json)>,
    keys: &[&str],
) -> Json {
    let mut names = Vec::new();
    let mut configs = Vec::new();
    for (name, schema) in types {
        let config = hoist(defs, &format!("{kind}.{name}"), schema);
        names.push(name);
        configs.push(json!({
            "if": { "properties": { "type": { "const": name } }, "required": ["type"] },
            "then": { "properties": { "config": { "$ref": config } } },
        }));
    }
    let mut schema = map_of(keys, |key| property(key, &names));
    if !configs.is_empty() {
        schema.insert("allOf".to_owned(), Json::Array(configs));
    }
    Json::Object(schema)
}

fn property(key: &str, types: &[&str]) -> Json {
    let or_variable = |description: &str, schema: Json| json!({ "description": description, "anyOf": [schema, to("variable")] });
    match key {
        "type" if types.is_empty() => json!({ "description": "No type is registered." }),
        "type" => or_variable("The registered type.", json!({ "enum": types })),
        "parallelism" => or_variable(
            "How many tasks run it. Default 1.",
            json!({ "type": "integer", "minimum": 1 }),
        ),
        "dedicated" => or_variable(
            "Gives each executor an OS thread of its own. Default false.",
            json!({ "type": "boolean" }),
        ),
        "tick" => or_variable(
            "How often `tick` is called: a number and `ms`, `s`, `m`, `h` or `d`.",
            json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$" }),
        ),
        "inputs" => json!({
            "description": "The streams that the bolt reads.",
            "type": "array",
            "items": to("input"),
        }),
        _ => json!({ "description": "The component's own config." }),
    }
}

fn input() -> Json {
    let from = "A component, or `component/stream`.";
    let keys = map_of(&INPUT_KEYS, |key| match key {
        "from" => json!({ "description": from, "type": "string" }),
        _ => to("grouping"),
    });
    json!({ "anyOf": [{ "description": from, "type": "string" }, keys] })
}

fn grouping() -> Json {
    let fields = json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 });
    let one = |name: &str, schema: &Json| {
        json!({
            "type": "object",
            "properties": { name: schema },
            "required": [name],
            "additionalProperties": false,
        })
    };
    let words: Vec<_> = GROUPING_WORDS.iter().map(|(word, _)| *word).collect();
    json!({
        "description": "How tuples are spread over the bolt's tasks. Default local-or-shuffle.",
        "anyOf": [
            { "enum": words },
            one("fields", &fields),
            one("partial-key", &fields),
            one("custom", &json!({ "type": "string" })),
            to("variable"),
        ],
    })
}

fn variable() -> Json {
    json!({
        "description": "A text with a variable of the environment: `${NAME}` or `${NAME:-default}`.",
        "type": "string",
        "pattern": "\\$\\{",
    })
}

/// Takes a whole schema in among the definitions, its own definitions beside it, and returns how it is
/// referred to.
fn hoist(defs: &mut Map<String, Json>, name: &str, schema: &Json) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '_'
        }
    };
    let mut name: String = name.chars().map(plain).collect();
    while defs.contains_key(&name) {
        name.push('_');
    }
    let mut schema = schema.clone();
    let own = schema.as_object_mut().and_then(|schema| {
        schema.remove("$schema");
        schema.remove("$defs")
    });
    if let Some(Json::Object(own)) = own {
        for (key, mut schema) in own {
            adapt(&mut schema, &name);
            defs.insert(format!("{name}.{key}"), schema);
        }
    }
    adapt(&mut schema, &name);
    let reference = format!("#/$defs/{name}");
    defs.insert(name, schema);
    reference
}

/// Points references to where [`hoist`] puts their targets, and lets variables stand for numbers, switches
/// and texts of a fixed form.
fn adapt(schema: &mut Json, name: &str) {
    match schema {
        Json::Array(items) => items.iter_mut().for_each(|item| adapt(item, name)),
        Json::Object(map) => {
            if let Some(Json::String(reference)) = map.get_mut("$ref") {
                *reference = match reference.strip_prefix("#/$defs/") {
                    Some(own) => format!("#/$defs/{name}.{own}"),
                    None => format!("#/$defs/{name}"),
                };
            }
            // The rest is data, not schemas.
            let data = ["default", "const", "enum", "examples"];
            let schemas = map
                .iter_mut()
                .filter(|(key, _)| !data.contains(&key.as_str()));
            schemas.for_each(|(_, schema)| adapt(schema, name));
            if is_fixed(map) {
                let words = ["title", "description", "default"];
                let mut wrapper = Map::new();
                for word in words {
                    wrapper.extend(map.remove(word).map(|value| (word.to_owned(), value)));
                }
                let inner = std::mem::take(map);
                wrapper.insert("anyOf".to_owned(), json!([inner, to("variable")]));
                *map = wrapper;
            }
        }
        _ => {}
    }
}

/// Tells whether a schema refuses the text of a variable that stands for what it takes.
fn is_fixed(schema: &Map<String, Json>) -> bool {
    let fixed = |of: &Json| matches!(of.as_str(), Some("integer" | "number" | "boolean"));
    match schema.get("type") {
        Some(Json::Array(types)) => types.iter().any(fixed),
        Some(of) => fixed(of) || schema.contains_key("pattern") || schema.contains_key("enum"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::Deserialize;

    use squall_core::{Activity, Outputs, Result, Spout, SpoutEmitter};

    use super::*;

    /// Reads nothing.
    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Config {
        /// The stream.
        #[expect(dead_code, reason = "only its schema is looked at")]
        stream: String,
        /// A part that is defined on its own.
        #[expect(dead_code, reason = "only its schema is looked at")]
        part: Option<Part>,
    }

    /// A part.
    #[derive(Deserialize, JsonSchema)]
    struct Part {
        /// A number.
        #[expect(dead_code, reason = "only its schema is looked at")]
        n: u32,
    }

    struct Nothing;

    impl Spout for Nothing {
        fn outputs(&self) -> Outputs {
            Outputs::none()
        }
        fn next_tuple(&mut self, _: &mut SpoutEmitter<'_>) -> Result<Activity> {
            Ok(Activity::Finished)
        }
    }

    fn schema() -> Json {
        let mut registry = Registry::new();
        registry.spout("kinesis", |_: Config| Ok(Nothing));
        registry.spout("odd/name", |_: Config| Ok(Nothing));
        topology_schema(&registry)
    }

    fn references<'s>(schema: &'s Json, found: &mut Vec<&'s str>) {
        match schema {
            Json::Array(items) => items.iter().for_each(|item| references(item, found)),
            Json::Object(map) => {
                found.extend(map.get("$ref").and_then(Json::as_str));
                map.values().for_each(|value| references(value, found));
            }
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let schema = schema();
        let mut found = Vec::new();
        references(&schema, &mut found);
        assert!(found.len() > 10);
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(schema.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn the_type_decides_about_the_config() {
        let schema = schema();
        let choice = &schema["$defs"]["spout"]["allOf"][0];
        assert_eq!(choice["if"]["properties"]["type"]["const"], "kinesis");
        let config = &choice["then"]["properties"]["config"]["$ref"];
        assert_eq!(config, "#/$defs/spout.kinesis");
        let config = &schema["$defs"]["spout.kinesis"];
        assert_eq!(config["description"], "Reads nothing.");
        assert_eq!(config["required"], json!(["stream"]));
        let types = &schema["$defs"]["spout"]["properties"]["type"]["anyOf"][0]["enum"];
        assert_eq!(*types, json!(["kinesis", "odd/name"]));
    }

    #[test]
    fn variables_may_stand_for_numbers() {
        let schema = schema();
        let n = &schema["$defs"]["spout.kinesis.Part"]["properties"]["n"];
        assert_eq!(n["description"], "A number.");
        assert_eq!(n["anyOf"][0]["type"], "integer");
        assert_eq!(n["anyOf"][1], to("variable"));
    }
}
