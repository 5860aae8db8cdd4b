//! A topology against what its program has: types, configs, streams, fields, groupings and bounds.
//!
//! Works on the [`TopologySpec`] alone, so that one built in Rust is held to the same rules as a declared
//! one. Everything wrong is found in one pass; a mistake doesn't bring others in its train.

mod components;
mod config;
mod graph;
mod names;
mod reads;
mod schema;
mod settings;
mod types;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use squall_core::{ComponentId, Registry, TopologySpec};

use crate::Signatures;
use crate::declare::SourceMap;
use crate::problem::Problems;
use crate::report::Reporter;

pub use settings::{MAX_TASKS, MAX_WORKERS};

pub(crate) use config::{Misfit, judge};

/// What was found out about a topology that is sound.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    /// What each component emits.
    pub signatures: Signatures,
    /// What is doubtful; never an error.
    pub warnings: Problems,
}

/// Checks a topology that was built in Rust, or that came over the wire, against a program's components.
///
/// Builds one instance of each component to ask for its outputs; factories do no I/O. Problems name the
/// path in the topology: `bolts.count.inputs[0].from`.
///
/// # Errors
/// All that is wrong, warnings included.
pub fn check(spec: &TopologySpec, registry: &Registry) -> Result<Checked, Problems> {
    let mut warnings = Problems::default();
    let map = SourceMap::built_in_rust();
    let mut reporter = Reporter::new(&map, &mut warnings);
    let signatures = validate(spec, &HashSet::new(), registry, &mut reporter);
    if warnings.has_errors() {
        return Err(warnings);
    }
    Ok(Checked {
        signatures,
        warnings,
    })
}

/// Checks what can be checked of a topology without its program: names, settings, numbers of tasks, and that
/// every input names a component.
///
/// # Errors
/// All that is wrong, warnings included.
pub fn check_shape(spec: &TopologySpec) -> Result<(), Problems> {
    let mut problems = Problems::default();
    let map = SourceMap::built_in_rust();
    let mut reporter = Reporter::new(&map, &mut problems);
    names::check(spec, &mut reporter);
    settings::check(spec, &mut reporter);
    let unknown = (HashSet::new(), Signatures::default());
    graph::check((spec, &unknown.0), &unknown.1, None, &mut reporter);
    if problems.has_errors() {
        return Err(problems);
    }
    Ok(())
}

/// Checks a topology; of `flawed` components it was reported already that they can't be judged.
pub(crate) fn validate(
    spec: &TopologySpec,
    flawed: &HashSet<ComponentId>,
    registry: &Registry,
    reporter: &mut Reporter<'_>,
) -> Signatures {
    names::check(spec, reporter);
    settings::check(spec, reporter);
    let (signatures, reads) = components::check(spec, flawed, registry, reporter);
    graph::check((spec, flawed), &signatures, Some(registry), reporter);
    reads::check(spec, &signatures, &reads, reporter);
    signatures
}
