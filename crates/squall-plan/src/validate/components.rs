//! Each component against its type: registered, buildable from its config, and what it emits.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::Value as Json;

use squall_core::{
    Bolt, BuildError, ComponentId, ComponentType, Inputs, Outputs, Registry, Spout, TopologySpec,
};

use crate::declare::Point;
use crate::path::Path;
use crate::report::Reporter;
use crate::{Kind, Signatures};

use super::config::{Refusal, explain};
use super::types;

/// What each bolt needs of its inputs.
pub(super) type Reads = HashMap<ComponentId, Inputs>;

/// Builds one instance of each component and asks for its outputs and its needs; those that fail are
/// reported and left out.
pub(super) fn check(
    spec: &TopologySpec,
    flawed: &HashSet<ComponentId>,
    registry: &Registry,
    reporter: &mut Reporter<'_>,
) -> (Signatures, Reads) {
    let (mut signatures, mut reads) = (Signatures::new(), Reads::new());
    let root = Path::default();
    for (id, spout) in spec.spouts.iter().filter(|(id, _)| !flawed.contains(*id)) {
        let at = root.key("spouts").key(id.as_str());
        let known = registry.get_spout(&spout.type_name);
        let outputs = match known {
            Some(known) => build(known, &spout.config, <dyn Spout>::outputs, &at, reporter),
            None => unknown(Kind::Spout, &spout.type_name, registry, &at, reporter),
        };
        signatures.extend(outputs.map(|outputs| (id.clone(), outputs)));
    }
    for (id, bolt) in spec.bolts.iter().filter(|(id, _)| !flawed.contains(*id)) {
        let at = root.key("bolts").key(id.as_str());
        let known = registry.get_bolt(&bolt.type_name);
        let words = match known {
            Some(known) => build(known, &bolt.config, words_of, &at, reporter),
            None => unknown(Kind::Bolt, &bolt.type_name, registry, &at, reporter),
        };
        if let Some((outputs, inputs)) = words {
            signatures.insert(id.clone(), outputs);
            reads.insert(id.clone(), inputs);
        }
    }
    (signatures, reads)
}

fn words_of(bolt: &(dyn Bolt + 'static)) -> (Outputs, Inputs) {
    (bolt.outputs(), bolt.inputs())
}

fn unknown<A>(
    kind: Kind,
    name: &str,
    registry: &Registry,
    at: &Path,
    reporter: &mut Reporter<'_>,
) -> Option<A> {
    let (message, help) = types::unknown(kind, name, registry);
    reporter.error(&at.key("type"), Point::Value, message, Some(help));
    None
}

/// Builds an instance and asks it what it says of itself.
fn build<T: ?Sized, A>(
    known: &ComponentType<T>,
    config: &Json,
    ask: impl FnOnce(&T) -> A,
    at: &Path,
    reporter: &mut Reporter<'_>,
) -> Option<A> {
    // User code: its panic is a mistake to report like any other.
    let built = catch_unwind(AssertUnwindSafe(|| {
        known.build(config).map(|instance| ask(&instance))
    }));
    let (words, refusal) = match built {
        Ok(Ok(words)) => (Some(words), None),
        Ok(Err(BuildError::Config { path, message })) => {
            let path = Path::from_text(&path);
            (None, Some(Refusal { path, message }))
        }
        Ok(Err(BuildError::Factory(error))) => {
            reporter.error(&at.key("config"), Point::Value, error.to_string(), None);
            (None, None)
        }
        Err(panic) => {
            let message = format!(
                "the component panicked while it was made: {}",
                text_of(&*panic)
            );
            reporter.error(&at.key("type"), Point::Value, message, None);
            return None;
        }
    };
    for misfit in explain(known.config_schema(), config, refusal) {
        reporter.misfit(&at.key("config"), misfit);
    }
    words
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
