//! A component as data, read off its config's JSON Schema and an instance of it.

use serde::Serialize;
use serde_json::Value as Json;

use squall_core::{BuildError, Outputs, Registry};

use super::field::{Field, fields_of, sample};

/// One registered component.
#[derive(Debug, Serialize)]
pub(super) struct Description {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) about: String,
    pub(super) config: Vec<Field>,
    pub(super) outputs: Vec<Stream>,
    /// The config with which it emits those, where it can't do without one.
    pub(super) example: Option<Json>,
}

/// One output stream.
#[derive(Debug, Serialize)]
pub(super) struct Stream {
    pub(super) stream: String,
    pub(super) fields: Vec<String>,
}

/// Describes all spouts and bolts, each by name.
pub(super) fn describe_all(registry: &Registry) -> Vec<Description> {
    let spouts = registry.spouts().map(|(name, spout)| {
        let outputs = |config: &Json| spout.build(config).map(|built| built.outputs());
        describe(name, "spout", spout.config_schema(), outputs)
    });
    let bolts = registry.bolts().map(|(name, bolt)| {
        let outputs = |config: &Json| bolt.build(config).map(|built| built.outputs());
        describe(name, "bolt", bolt.config_schema(), outputs)
    });
    spouts.chain(bolts).collect()
}

fn describe(
    name: &str,
    kind: &'static str,
    schema: &Json,
    outputs: impl Fn(&Json) -> Result<Outputs, BuildError>,
) -> Description {
    let plain = outputs(&Json::Null);
    let example = plain.is_err().then(|| sample(schema));
    let streams = match &example {
        Some(config) => outputs(config),
        None => plain,
    };
    let streams = streams.unwrap_or_default();
    let about = schema.get("description").and_then(Json::as_str);
    Description {
        name: name.to_owned(),
        kind,
        about: about.unwrap_or_default().to_owned(),
        config: fields_of(schema),
        outputs: streams.iter().map(stream).collect(),
        example,
    }
}

fn stream((stream, fields): (&squall_core::StreamId, &[squall_core::Str])) -> Stream {
    Stream {
        stream: stream.to_string(),
        fields: fields.iter().map(ToString::to_string).collect(),
    }
}
