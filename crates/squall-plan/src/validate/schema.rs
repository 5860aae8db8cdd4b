//! As much of JSON Schema as derived schemas of configs use: types, keys, choices, bounds and references.
//!
//! What isn't understood is passed over: the config's own type has the last word.

use serde_json::{Map, Value as Json};

use squall_core::{ByteSize, HumanDuration};

use crate::declare::{Point, describe};
use crate::path::Path;
use crate::problem::{Severity, did_you_mean, list, quote};

use super::config::Misfit;

/// How many references and values deep a schema is followed.
const MAX_DEPTH: usize = 256;

/// How many steps are made altogether: alternatives inside of alternatives multiply.
const MAX_STEPS: usize = 1_000_000;

/// Returns what in a config doesn't fit its schema. No config at all is checked as an empty one.
pub(super) fn misfits(schema: &Json, config: &Json) -> Vec<Misfit> {
    let empty = Json::Object(Map::new());
    let takes_null = schema.get("type").is_some_and(|of| takes(of, &Json::Null));
    let config = if config.is_null() && !takes_null {
        &empty
    } else {
        config
    };
    let mut checker = Checker {
        root: schema,
        found: Vec::new(),
        n_steps: 0,
    };
    checker.value(schema, config, &Path::default(), MAX_DEPTH);
    checker.found
}

struct Checker<'s> {
    root: &'s Json,
    found: Vec<Misfit>,
    n_steps: usize,
}

impl<'s> Checker<'s> {
    fn value(&mut self, schema: &'s Json, value: &Json, path: &Path, levels: usize) {
        self.n_steps += 1;
        let Some(levels) = levels.checked_sub(1).filter(|_| self.n_steps <= MAX_STEPS) else {
            return;
        };
        if let Some(reference) = text(schema, "$ref") {
            self.reference(reference, value, path, levels);
        }
        for one in array(schema, "allOf") {
            self.value(one, value, path, levels);
        }
        for choice in ["anyOf", "oneOf"] {
            self.choice(array(schema, choice), value, path, levels);
        }
        if let Some(of) = schema.get("type")
            && !takes(of, value)
        {
            let (expected, found) = (words(of), describe(value));
            let help = in_quotes(of, value);
            self.error(path, format!("expected {expected}, found {found}"), help);
            return;
        }
        self.one_of(schema, value, path);
        self.bounds(schema, value, path);
        match value {
            Json::Object(map) => self.map(schema, map, path, levels),
            Json::Array(items) => {
                if let Some(schema) = schema.get("items") {
                    for (idx, item) in items.iter().enumerate() {
                        self.value(schema, item, &path.idx(idx), levels);
                    }
                }
            }
            _ => {}
        }
    }

    fn reference(&mut self, reference: &str, value: &Json, path: &Path, levels: usize) {
        let Some(name) = reference.strip_prefix("#/$defs/") else {
            return;
        };
        // Quantities say better themselves what they expect than a pattern could, also of bare numbers.
        let text = match value {
            Json::String(text) => text.clone(),
            Json::Number(number) => number.to_string(),
            _ => String::new(),
        };
        let quantity = match name {
            "HumanDuration" if !text.is_empty() => text.parse::<HumanDuration>().err(),
            "ByteSize" if !text.is_empty() => text.parse::<ByteSize>().err(),
            _ => None,
        };
        if let Some(error) = quantity {
            self.error(path, error.to_string(), None);
        } else if let Some(schema) = self.root.get("$defs").and_then(|defs| defs.get(name)) {
            self.value(schema, value, path, levels);
        }
    }

    /// Follows alternatives: of a single one besides null its own mistakes, of several texts the choice.
    fn choice(&mut self, all: &'s [Json], value: &Json, path: &Path, levels: usize) {
        let mut tried = Vec::new();
        for schema in all {
            let before = self.found.len();
            self.value(schema, value, path, levels);
            let mut new = self.found.iter().skip(before);
            if new.all(|misfit| misfit.severity == Severity::Warning) {
                return;
            }
            tried.push((schema, self.found.split_off(before)));
        }
        let is_null = |schema: &Json| schema.get("type") == Some(&Json::from("null"));
        tried.retain(|(schema, _)| !is_null(schema));
        match tried.as_mut_slice() {
            [] => return,
            [(_, found)] => return self.found.append(found),
            _ => {}
        }
        let names: Vec<_> = tried.iter().flat_map(|(one, _)| constants(one)).collect();
        if !names.is_empty() && value.is_string() {
            self.unknown_choice(value, &names, path);
            return;
        }
        let of: Option<Vec<_>> = tried.iter().map(|(one, _)| self.type_of(one)).collect();
        if let Some(of) = of.filter(|of| !of.iter().any(|of| takes(of, value))) {
            let mut expected: Vec<_> = of.into_iter().map(words).collect();
            expected.dedup();
            let (expected, found) = (expected.join(" or "), describe(value));
            self.error(path, format!("expected {expected}, found {found}"), None);
        }
    }

    /// Returns the type that a schema names, itself or by what it refers to.
    fn type_of(&self, schema: &'s Json) -> Option<&'s Json> {
        let target = text(schema, "$ref").and_then(|to| to.strip_prefix("#/$defs/"));
        let target = target.and_then(|name| self.root.get("$defs")?.get(name));
        target.unwrap_or(schema).get("type")
    }

    fn one_of(&mut self, schema: &'s Json, value: &Json, path: &Path) {
        let names = constants(schema);
        if let (false, Some(text)) = (names.is_empty(), value.as_str())
            && !names.contains(&text)
        {
            self.unknown_choice(value, &names, path);
        }
    }

    fn unknown_choice(&mut self, value: &Json, names: &[&str], path: &Path) {
        let text = value.as_str().unwrap_or_default();
        let help = did_you_mean(text, "choices", names.iter().copied());
        self.error(path, format!("unknown choice {}", quote(text)), Some(help));
    }

    fn bounds(&mut self, schema: &Json, value: &Json, path: &Path) {
        let Some(number) = value.as_f64() else {
            return;
        };
        let bound = |key| schema.get(key).and_then(Json::as_f64);
        if let Some(least) = bound("minimum").filter(|least| number < *least) {
            let message = format!("{value} is too small, the least is {least}");
            self.error(path, message, None);
        }
        let most = bound("maximum").or_else(|| largest(text(schema, "format")?));
        if let Some(most) = most.filter(|most| number > *most) {
            let message = format!("{value} is too large, the most is {most}");
            self.error(path, message, None);
        }
    }

    fn map(&mut self, schema: &'s Json, map: &Map<String, Json>, path: &Path, levels: usize) {
        let properties = schema.get("properties").and_then(Json::as_object);
        let others = schema.get("additionalProperties");
        for (key, value) in map {
            let path = path.key(key);
            if let Some(schema) = properties.and_then(|properties| properties.get(key)) {
                self.value(schema, value, &path, levels);
            } else if let Some(schema) = others.filter(|others| others.is_object()) {
                self.value(schema, value, &path, levels);
            } else if let Some(properties) = properties {
                self.unknown_key(key, schema, properties, path);
            }
        }
        for key in array(schema, "required").iter().filter_map(Json::as_str) {
            if !map.contains_key(key) {
                let all = properties
                    .into_iter()
                    .flat_map(Map::keys)
                    .map(String::as_str);
                let help = format!("keys here: {}", list(all));
                self.error(
                    path,
                    format!("the key {} is missing", quote(key)),
                    Some(help),
                );
            }
        }
    }

    /// A key that the type refuses is an error; one that it silently drops deserves a warning.
    fn unknown_key(&mut self, key: &str, schema: &Json, known: &Map<String, Json>, path: Path) {
        let is_open = [
            "allOf",
            "anyOf",
            "oneOf",
            "patternProperties",
            "unevaluatedProperties",
            "$ref",
        ]
        .iter()
        .any(|keyword| schema.get(keyword).is_some());
        let severity = match schema.get("additionalProperties") {
            Some(Json::Bool(false)) => Severity::Error,
            None if !is_open => Severity::Warning,
            _ => return,
        };
        let ignored = match severity {
            Severity::Error => "",
            Severity::Warning => ", which is ignored",
        };
        self.found.push(Misfit {
            path,
            point: Point::Key,
            severity,
            message: format!("unknown key {}{ignored}", quote(key)),
            help: Some(did_you_mean(
                key,
                "keys here",
                known.keys().map(String::as_str),
            )),
        });
    }

    fn error(&mut self, path: &Path, message: String, help: Option<String>) {
        self.found.push(Misfit {
            path: path.clone(),
            point: Point::Value,
            severity: Severity::Error,
            message,
            help,
        });
    }
}

fn text<'s>(schema: &'s Json, key: &str) -> Option<&'s str> {
    schema.get(key).and_then(Json::as_str)
}

/// Returns the largest number of a derived integer format, which names no maximum beside it.
fn largest(format: &str) -> Option<f64> {
    match format {
        "int8" => Some(i8::MAX.into()),
        "int16" => Some(i16::MAX.into()),
        "int32" => Some(i32::MAX.into()),
        "uint8" => Some(u8::MAX.into()),
        "uint16" => Some(u16::MAX.into()),
        "uint32" => Some(u32::MAX.into()),
        _ => None,
    }
}

fn array<'s>(schema: &'s Json, key: &str) -> &'s [Json] {
    schema
        .get(key)
        .and_then(Json::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Returns the texts that a schema allows, or none where it doesn't list them.
fn constants(schema: &Json) -> Vec<&str> {
    let one = text(schema, "const");
    let several = array(schema, "enum").iter().filter_map(Json::as_str);
    one.into_iter().chain(several).collect()
}

/// Tells whether a value has one of the types that a schema names.
fn takes(of: &Json, value: &Json) -> bool {
    match of {
        Json::Array(names) => names.iter().any(|name| takes(name, value)),
        Json::String(name) => match name.as_str() {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => true,
        },
        _ => true,
    }
}

fn words(of: &Json) -> String {
    match of {
        Json::Array(names) => {
            let names = names.iter().filter(|name| *name != "null");
            names.map(words).collect::<Vec<_>>().join(" or ")
        }
        Json::String(name) => match name.as_str() {
            "null" => "no value",
            "boolean" => "`true` or `false`",
            "integer" => "a whole number",
            "number" => "a number",
            "string" => "text",
            "array" => "a list",
            "object" => "a map",
            other => other,
        }
        .to_owned(),
        _ => "something else".to_owned(),
    }
}

/// Numbers and switches that are meant as text need quotes.
fn in_quotes(of: &Json, value: &Json) -> Option<String> {
    let scalar = value.is_number() || value.is_boolean();
    let as_text = scalar && takes(of, &Json::String(String::new()));
    as_text.then(|| "in quotes it is text".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn messages(schema: &Json, config: &Json) -> Vec<String> {
        let misfits = misfits(schema, config).into_iter();
        misfits
            .map(|misfit| format!("{}: {}", misfit.path, misfit.message))
            .collect()
    }

    #[test]
    fn choices_are_explained_by_what_they_take() {
        let schema = json!({
            "properties": {
                "field": { "oneOf": [{ "const": "number" }, { "$ref": "#/$defs/Words" }] },
                "either": { "anyOf": [{ "type": "integer" }, { "type": "boolean" }, { "type": "null" }] },
                "maybe": { "anyOf": [{ "$ref": "#/$defs/Words" }, { "type": "null" }] },
                "mode": { "oneOf": [{ "type": "string", "const": "a" }, { "type": "string", "enum": ["b"] }] },
            },
            "$defs": { "Words": {
                "type": "object",
                "properties": { "words": { "type": "array", "items": { "type": "string" } } },
                "required": ["words"],
                "additionalProperties": false,
            } },
        });
        let config = json!({ "either": "x", "maybe": { "words": ["a", 1], "more": 1 }, "mode": 5 });
        let expected = [
            "either: expected a whole number or `true` or `false`, found the text `x`",
            "maybe.words[1]: expected text, found the number 1",
            "maybe.more: unknown key `more`",
            "mode: expected text, found the number 5",
        ];
        assert_eq!(messages(&schema, &config), expected);
        let config = json!({ "field": "numbr", "either": 1, "maybe": null, "mode": "c" });
        let expected = ["field: unknown choice `numbr`", "mode: unknown choice `c`"];
        assert_eq!(messages(&schema, &config), expected);
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({ "$ref": "#/$defs/A", "$defs": { "A": { "$ref": "#/$defs/A" } } });
        assert!(messages(&schema, &json!({ "a": 1 })).is_empty());
        let twice = json!([{ "$ref": "#" }, { "$ref": "#/$defs/A" }, { "$ref": "#/$defs/A" }]);
        let a = json!({ "anyOf": twice, "type": "null" });
        let schema = json!({ "$ref": "#/$defs/A", "$defs": { "A": a } });
        assert!(!messages(&schema, &json!({ "a": 1 })).is_empty());
    }

    #[test]
    fn what_is_not_understood_is_passed_over() {
        let schema =
            json!({ "type": ["object"], "properties": { "a": { "not": {}, "type": "odd" } } });
        assert!(messages(&schema, &json!({ "a": 1 })).is_empty());
        assert!(messages(&json!(true), &json!([1])).is_empty());
    }
}
