//! The reference of the format holds: its examples are declared and its mistakes reported as printed.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use squall_core::{Outputs, Registry, Settings};

use crate::support::{Input, Stub};

const README: &str = include_str!("../../README.md");

/// Stands for the config of the Kinesis spout.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Kinesis {
    stream: String,
    initial_position: Option<String>,
}

/// A program with stand-ins for the components of the examples.
fn program() -> Registry {
    let mut registry = Registry::new();
    registry.spout("kinesis", |config: Kinesis| {
        let _ = (config.stream, config.initial_position);
        Ok(Stub(Outputs::fields(["data"])))
    });
    let bolts = [
        (
            "access-log",
            Outputs::fields(["referrer"]).stream("unparsed", ["text"]),
        ),
        ("drill", Outputs::fields(["referrer"])),
        ("count", Outputs::fields(["key", "count"])),
        ("top", Outputs::fields(["rank"])),
        ("log", Outputs::none()),
    ];
    for (name, outputs) in bolts {
        registry.bolt(name, move |_: Json| Ok(Stub(outputs.clone())));
    }
    registry
}

/// Returns the blocks of code: what follows the opening fence, and the text.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let parts = README.split("```").skip(1).step_by(2);
    parts.filter_map(|block| block.split_once('\n')).collect()
}

#[test]
fn examples_are_sound() {
    let examples = blocks().into_iter().filter(|(kind, _)| *kind == "yaml");
    let names: Vec<_> = examples
        .map(|(_, text)| {
            Input::default()
                .file("t.yaml", text)
                .declare_in(&program())
                .unwrap()
        })
        .inspect(|declared| assert!(declared.warnings.is_empty(), "{}", declared.warnings))
        .map(|declared| declared.spec.name)
        .collect();
    assert_eq!(names, ["clickstream", "groupings", "variables", "notes"]);
}

#[test]
fn the_overlay_rewires_the_first_example() {
    let find = |wanted| blocks().into_iter().find(|(kind, _)| *kind == wanted);
    let ((_, base), (_, overlay)) = (find("yaml").unwrap(), find("yaml overlay").unwrap());
    let input = Input::default()
        .file("a.yaml", base)
        .file("b.yaml", overlay);
    let spec = input.declare_in(&program()).unwrap().spec;
    let count = &spec.bolts["count"];
    assert_eq!(count.inputs[0].component, "drill");
    assert_eq!((&*count.type_name, count.parallelism.get()), ("count", 4));
}

#[test]
fn mistakes_are_reported_as_printed() {
    let blocks = blocks();
    let mistaken = blocks
        .iter()
        .position(|(kind, _)| *kind == "yaml mistaken")
        .unwrap();
    let [(_, text), ("text", printed)] = blocks[mistaken..mistaken + 2] else {
        panic!("the report follows the mistakes");
    };
    let input = Input::default().file("mistaken.yaml", text);
    let problems = input.declare_in(&program()).unwrap_err();
    assert_eq!(problems.to_string(), printed);
}

#[test]
fn settings_and_their_defaults_are_listed() {
    let settings = serde_json::to_value(Settings::default()).unwrap();
    for (key, default) in settings.as_object().unwrap() {
        let default = match default {
            Json::Null => "none".to_owned(),
            Json::String(text) => format!("`{text}`"),
            other => format!("`{other}`"),
        };
        let row = format!("| `{key}` | {default} |");
        assert!(README.contains(&row), "{row}");
    }
}
