//! What bolts say that they need of their inputs, against what these have.

use serde_json::Value as Json;

use squall_core::{BoltSpec, Grouping, InputSpec, Inputs, Str, TopologySpec};

use crate::Signatures;
use crate::declare::Point;
use crate::layout::key_fields;
use crate::path::Path;
use crate::problem::{did_you_mean_one, list, quote};
use crate::report::Reporter;

use super::components::Reads;
use super::graph::from_of;

/// How deep a config is searched for the name of a field.
const MAX_DEPTH: usize = 8;

/// Reports inputs that lack what their bolt needs. Inputs that can't be themselves were reported before.
pub(super) fn check(
    spec: &TopologySpec,
    signatures: &Signatures,
    reads: &Reads,
    reporter: &mut Reporter<'_>,
) {
    for (id, bolt) in &spec.bolts {
        let Some(inputs) = reads.get(id) else {
            continue;
        };
        let at = Path::default().key("bolts").key(id.as_str());
        let mut check = Check {
            at,
            reader: quote(id.as_str()),
            bolt,
            inputs,
            signatures,
            reporter,
        };
        check.fields();
        if inputs.is_keyed() && !bolt.inputs.is_empty() {
            check.key();
        }
    }
}

struct Check<'a, 'r> {
    at: Path,
    reader: String,
    bolt: &'a BoltSpec,
    inputs: &'a Inputs,
    signatures: &'a Signatures,
    reporter: &'a mut Reporter<'r>,
}

impl<'a> Check<'a, '_> {
    fn fields(&mut self) {
        let (bolt, inputs) = (self.bolt, self.inputs);
        for need in inputs.needs() {
            for (idx, input) in bolt.inputs.iter().enumerate() {
                let Some(known) = self.fields_of(input) else {
                    continue;
                };
                if !need.iter().any(|field| known.contains(field)) {
                    self.missing(idx, need, known);
                    // Named once in the config, it is missed once.
                    if self.place_in_config(need).is_some() {
                        break;
                    }
                }
            }
        }
    }

    fn key(&mut self) {
        let bolt = self.bolt;
        let key = key_fields(bolt.inputs.iter().map(|input| &input.grouping));
        if key.is_empty() {
            self.not_keyed();
        }
        for (idx, input) in bolt.inputs.iter().enumerate() {
            let by_key = matches!(
                input.grouping,
                Grouping::Fields(_) | Grouping::PartialKey(_)
            );
            let known = self.fields_of(input).filter(|_| !by_key);
            for field in key
                .iter()
                .filter(|field| known.is_some_and(|known| !known.contains(field)))
            {
                self.missing(idx, std::slice::from_ref(field), known.unwrap_or_default());
            }
        }
    }

    fn not_keyed(&mut self) {
        let (reader, first) = (&self.reader, self.bolt.inputs.first());
        let known = first.and_then(|input| self.fields_of(input));
        let known = list(known.unwrap_or_default().iter().map(Str::as_str));
        let (message, give) = if self.bolt.inputs.len() == 1 {
            (
                format!("the input of {reader} isn't grouped by fields"),
                "give it a",
            )
        } else {
            let message = format!("the inputs of {reader} aren't grouped by the same fields");
            (message, "give them all the same")
        };
        let help = format!("{give} `grouping: {{ fields: […] }}`; its fields: {known}");
        self.report(&self.path_of_from(0), message, help);
    }

    fn missing(&mut self, input_idx: usize, need: &[Str], known: &[Str]) {
        let Some(input) = self.bolt.inputs.get(input_idx) else {
            return;
        };
        let path = self.place_in_config(need);
        let path = path.unwrap_or_else(|| self.path_of_from(input_idx));
        let names: Vec<_> = need.iter().map(|name| quote(name)).collect();
        let message = format!(
            "{} has no field {}, which {} needs",
            from_of(input),
            names.join(" or "),
            self.reader
        );
        let need = need.iter().map(Str::as_str);
        let help = did_you_mean_one(need, "its fields", known.iter().map(Str::as_str));
        self.report(&path, message, help);
    }

    fn report(&mut self, path: &Path, message: String, mut help: String) {
        if let Some(advice) = self.inputs.advice() {
            help = format!("{help}; {advice}");
        }
        self.reporter.error(path, Point::Value, message, Some(help));
    }

    /// Returns the fields of an input that is sound.
    fn fields_of(&self, input: &InputSpec) -> Option<&'a [Str]> {
        let outputs = self.signatures.get(&input.component)?;
        outputs.get(input.stream.as_str())
    }

    fn path_of_from(&self, input_idx: usize) -> Path {
        self.at.key("inputs").idx(input_idx).key("from")
    }

    /// Returns where the bolt's own config names the field that it needs, if it does.
    fn place_in_config(&self, need: &[Str]) -> Option<Path> {
        let [name] = need else {
            return None;
        };
        let at = self.at.key("config");
        find(&self.bolt.config, name, &at, MAX_DEPTH)
    }
}

/// Finds a text among the values of a config.
fn find(config: &Json, name: &str, at: &Path, levels: usize) -> Option<Path> {
    let levels = levels.checked_sub(1)?;
    match config {
        Json::String(text) if text == name => Some(at.clone()),
        Json::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(idx, item)| find(item, name, &at.idx(idx), levels))
        }
        Json::Object(map) => {
            let mut entries = map.iter();
            entries.find_map(|(key, value)| find(value, name, &at.key(key), levels))
        }
        _ => None,
    }
}
