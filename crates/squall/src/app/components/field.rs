//! Config fields, read off a JSON Schema as `schemars` writes them.

use serde::Serialize;
use serde_json::{Map, Value as Json, json};

/// How deep structs within structs are shown; deeper ones are shown as one field.
const MAX_DEPTH: usize = 4;

/// One field of a config; those of a struct within it have dotted names.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Field {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) type_name: String,
    pub(super) required: bool,
    pub(super) default: Option<Json>,
    pub(super) about: String,
}

/// Lists the fields of a config in the order of their declaration.
pub(super) fn fields_of(schema: &Json) -> Vec<Field> {
    let mut fields = Vec::new();
    collect(schema, schema, "", 0, &mut fields);
    fields
}

/// Makes a config that fits the schema, of required fields alone.
pub(super) fn sample(schema: &Json) -> Json {
    sample_of(schema, schema, 0)
}

fn collect(root: &Json, schema: &Json, prefix: &str, depth: usize, fields: &mut Vec<Field>) {
    for (name, property) in properties(schema) {
        let target = resolve(root, property);
        let name = format!("{prefix}{name}");
        if properties(target).next().is_some() && depth < MAX_DEPTH {
            collect(root, target, &format!("{name}."), depth + 1, fields);
            continue;
        }
        let about = property
            .get("description")
            .or_else(|| target.get("description"));
        let own_name = name.trim_start_matches(prefix);
        fields.push(Field {
            type_name: type_name(root, property),
            required: is_required(schema, own_name),
            default: property
                .get("default")
                .filter(|default| !default.is_null())
                .cloned(),
            about: without_default(about.and_then(Json::as_str).unwrap_or_default()),
            name,
        });
    }
}

/// Cuts off a last sentence that names the default, which is shown beside the field; one that explains it
/// (`Default: …`) stays.
fn without_default(about: &str) -> String {
    let last = about.rsplit_once("Default");
    let is_shown = last
        .and_then(|(_, rest)| rest.trim().strip_suffix('.'))
        .is_some_and(|value| {
            !value.contains(|c: char| c.is_whitespace() || matches!(c, ':' | ';' | ','))
        });
    match last {
        Some((before, _)) if is_shown => before.trim_end().to_owned(),
        _ => about.to_owned(),
    }
}

fn properties(schema: &Json) -> impl Iterator<Item = (&String, &Json)> {
    let properties = schema.get("properties").and_then(Json::as_object);
    properties.into_iter().flat_map(Map::iter)
}

fn is_required(schema: &Json, name: &str) -> bool {
    let required = schema.get("required").and_then(Json::as_array);
    required.is_some_and(|names| names.iter().any(|known| known == name))
}

/// Follows `$ref` into the schema's own definitions, and the one branch of an optional value.
fn resolve<'s>(root: &'s Json, schema: &'s Json) -> &'s Json {
    if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
        let found = reference
            .strip_prefix('#')
            .and_then(|path| root.pointer(path));
        return found.unwrap_or(schema);
    }
    match alternatives(schema, "anyOf").as_slice() {
        [only] => resolve(root, only),
        _ => schema,
    }
}

/// Returns the branches of `anyOf` or `oneOf`, null left out.
fn alternatives<'s>(schema: &'s Json, keyword: &str) -> Vec<&'s Json> {
    let branches = schema.get(keyword).and_then(Json::as_array);
    let not_null = |branch: &&Json| branch.get("type") != Some(&json!("null"));
    branches.into_iter().flatten().filter(not_null).collect()
}

fn type_name(root: &Json, schema: &Json) -> String {
    let target = resolve(root, schema);
    if let Some(values) = choices(target) {
        return values.iter().map(plain).collect::<Vec<_>>().join(" | ");
    }
    // A quantity with a unit is a text with examples: the first says more than the type.
    if let Some(example) = target.pointer("/examples/0").and_then(Json::as_str) {
        let is_time = example.ends_with('s');
        return if is_time { "duration" } else { "size" }.to_owned();
    }
    let branches = alternatives(target, "oneOf");
    if !branches.is_empty() {
        return branches
            .into_iter()
            .map(variant_name)
            .collect::<Vec<_>>()
            .join(" | ");
    }
    match json_type(target) {
        "array" => match target.get("items") {
            Some(items) => format!("list of {}", type_name(root, items)),
            None => "list".to_owned(),
        },
        "object" => match target.get("additionalProperties") {
            Some(values @ Json::Object(_)) => format!("map of {}", type_name(root, values)),
            _ => "map".to_owned(),
        },
        "" => "any".to_owned(),
        other => other.to_owned(),
    }
}

/// Names a variant of an enum that holds data: its constants, or the key that holds the data.
fn variant_name(branch: &Json) -> String {
    if let Some(values) = choices(branch) {
        return values.iter().map(plain).collect::<Vec<_>>().join(" | ");
    }
    let key = properties(branch).next();
    key.map_or_else(|| "any".to_owned(), |(key, _)| format!("{key}: …"))
}

/// Writes a value as it stands in a topology file.
pub(super) fn plain(value: &Json) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Returns the values of an enum: `enum`, or `oneOf` of constants and enums.
fn choices(schema: &Json) -> Option<Vec<Json>> {
    if let Some(values) = schema.get("enum").and_then(Json::as_array) {
        return Some(
            values
                .iter()
                .filter(|value| !value.is_null())
                .cloned()
                .collect(),
        );
    }
    if let Some(value) = schema.get("const") {
        return Some(vec![value.clone()]);
    }
    let branches = alternatives(schema, "oneOf");
    let all: Option<Vec<_>> = branches.into_iter().map(choices).collect();
    all.map(|all| all.concat()).filter(|all| !all.is_empty())
}

/// Returns the JSON type; of several the first that isn't null.
fn json_type(schema: &Json) -> &str {
    match schema.get("type") {
        Some(Json::String(name)) => name,
        Some(Json::Array(names)) => {
            let mut names = names.iter().filter_map(Json::as_str);
            names.find(|name| *name != "null").unwrap_or_default()
        }
        _ => "",
    }
}

fn sample_of(root: &Json, schema: &Json, depth: usize) -> Json {
    let target = resolve(root, schema);
    if let Some(first) = choices(target).and_then(|values| values.into_iter().next()) {
        return first;
    }
    if let Some(example) = target.pointer("/examples/0") {
        return example.clone();
    }
    match json_type(target) {
        "string" => json!("example"),
        "integer" | "number" => json!(1),
        "boolean" => json!(false),
        "array" => json!([]),
        "object" if depth < MAX_DEPTH => {
            let required = properties(target).filter(|(name, _)| is_required(target, name));
            let values =
                required.map(|(name, field)| (name.clone(), sample_of(root, field, depth + 1)));
            Json::Object(values.collect())
        }
        _ => Json::Null,
    }
}

#[cfg(test)]
mod tests {
    use schemars::{JsonSchema, schema_for};
    use serde::Deserialize;

    use squall_core::HumanDuration;

    use super::*;

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema is read")]
    struct Config {
        /// Where from.
        path: String,
        #[serde(default)]
        retry: Retry,
        tags: Option<Vec<String>>,
        #[serde(default)]
        start: Start,
    }

    #[derive(Default, Deserialize, JsonSchema, serde::Serialize)]
    #[serde(default)]
    struct Retry {
        /// How long.
        wait: HumanDuration,
    }

    #[derive(Default, Deserialize, JsonSchema, serde::Serialize)]
    #[serde(rename_all = "kebab-case")]
    enum Start {
        /// Now.
        #[default]
        Latest,
        FromTheBeginning,
    }

    #[test]
    fn lists_types_defaults_and_docs() {
        let fields = fields_of(&schema_for!(Config).to_value());
        let rows: Vec<_> = fields
            .iter()
            .map(|f| (f.name.as_str(), f.type_name.as_str(), f.required))
            .collect();
        assert_eq!(
            rows,
            [
                ("path", "string", true),
                ("retry.wait", "duration", false),
                ("tags", "list of string", false),
                ("start", "from-the-beginning | latest", false),
            ]
        );
        assert_eq!(fields[0].about, "Where from.");
        assert_eq!(fields[1].default, Some(json!("0s")));
    }

    #[test]
    fn a_default_is_said_once() {
        let cases = [
            ("How many. Default 1000.", "How many."),
            ("What it is. Default\n`reject`.", "What it is."),
            ("Default 1s.", ""),
            (
                "The key. Default: those of the input.",
                "The key. Default: those of the input.",
            ),
            (
                "Whether. Default false: they outlive it.",
                "Whether. Default false: they outlive it.",
            ),
            ("No end.", "No end."),
        ];
        for (about, expected) in cases {
            assert_eq!(without_default(about), expected);
        }
    }

    #[test]
    fn a_sample_has_what_is_required() {
        let sample = sample(&schema_for!(Config).to_value());
        assert_eq!(sample, json!({ "path": "example" }));
    }
}
