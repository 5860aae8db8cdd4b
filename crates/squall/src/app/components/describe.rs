//! A component as data, read off its config's JSON Schema and an instance of it.

use serde::Serialize;
use serde_json::Value as Json;

use squall_core::{BuildError, Inputs, Outputs, Registry};

use super::field::{Field, fields_of, sample};

/// One registered component.
#[derive(Debug, Serialize)]
pub(super) struct Description {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) about: String,
    pub(super) config: Vec<Field>,
    /// What a bolt needs of each input, where it says so: each time one of these fields.
    pub(super) needs: Vec<Vec<String>>,
    /// Whether a bolt needs its inputs grouped by fields.
    pub(super) keyed: bool,
    pub(super) outputs: Vec<Stream>,
    /// The config with which it needs and emits those, where it can't do without one.
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
        let ask = |config: &Json| Ok((spout.build(config)?.outputs(), Inputs::any()));
        describe(name, "spout", spout.config_schema(), ask)
    });
    let bolts = registry.bolts().map(|(name, bolt)| {
        let ask = |config: &Json| {
            let built = bolt.build(config)?;
            Ok((built.outputs(), built.inputs()))
        };
        describe(name, "bolt", bolt.config_schema(), ask)
    });
    spouts.chain(bolts).collect()
}

fn describe(
    name: &str,
    kind: &'static str,
    schema: &Json,
    ask: impl Fn(&Json) -> Result<(Outputs, Inputs), BuildError>,
) -> Description {
    let plain = ask(&Json::Null);
    let example = plain.is_err().then(|| sample(schema));
    let words = match &example {
        Some(config) => ask(config),
        None => plain,
    };
    let (outputs, inputs) = words.unwrap_or_default();
    let about = schema.get("description").and_then(Json::as_str);
    Description {
        name: name.to_owned(),
        kind,
        about: about.unwrap_or_default().to_owned(),
        config: fields_of(schema),
        needs: inputs.needs().map(texts).collect(),
        keyed: inputs.is_keyed(),
        outputs: outputs.iter().map(stream).collect(),
        example,
    }
}

fn stream((stream, fields): (&squall_core::StreamId, &[squall_core::Str])) -> Stream {
    Stream {
        stream: stream.to_string(),
        fields: texts(fields),
    }
}

fn texts(fields: &[squall_core::Str]) -> Vec<String> {
    fields.iter().map(ToString::to_string).collect()
}
