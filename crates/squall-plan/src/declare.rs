//! From text to a checked topology: parse each file, merge them, apply `--set`, fill in variables, read.
//!
//! Each step works on a tree of [`node::Node`]s that remember where they were written, so that whatever is
//! found wrong later, in the graph or in a component's own config, still has its line.

mod limits;
mod node;
mod overlay;
mod parse;
mod read;
mod scalar;
mod source;
mod variables;

use serde::{Deserialize, Serialize};

use squall_core::{Registry, TopologySpec};

use crate::Signatures;
use crate::problem::Problems;
use crate::report::Reporter;
use crate::validate::validate;

pub use limits::{MAX_DEPTH, MAX_INPUT_BYTES, MAX_NODES, MAX_TEXT_BYTES};
pub use source::{SourceFile, Sources};

pub(crate) use read::{BOLT_KEYS, GROUPING_WORDS, INPUT_KEYS, SPOUT_KEYS, TOPOLOGY_KEYS};
pub(crate) use scalar::describe;
pub(crate) use source::{Point, SourceMap};

/// A topology that was declared in files and found sound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Declared {
    /// What was declared; equal to what [`squall_core::TopologyBuilder`] gives for the same.
    pub spec: TopologySpec,
    /// What each component emits.
    pub signatures: Signatures,
    /// What is doubtful; never an error.
    pub warnings: Problems,
}

/// Reads and checks a topology that is declared in YAML.
///
/// Pure: reads no file and no environment, takes memory within the bounds of [`MAX_INPUT_BYTES`],
/// [`MAX_NODES`] and [`MAX_TEXT_BYTES`], and never panics, whatever the text.
///
/// # Errors
/// All that is wrong, warnings included. Only a text that is no YAML hides what else is wrong.
pub fn declare(sources: &Sources<'_>, registry: &Registry) -> Result<Declared, Problems> {
    let mut problems = Problems::default();
    let tree = tree(sources, &mut problems);
    let names: Vec<_> = sources.files.iter().map(|file| &*file.name).collect();
    let outcome = tree.and_then(|map| {
        let mut reporter = Reporter::new(&map, &mut problems);
        let read::Draft { spec, flawed } = read::read(&map, &mut reporter)?;
        let signatures = validate(&spec, &flawed, registry, &mut reporter);
        Some((spec, signatures))
    });
    problems.sort(&names);
    match outcome {
        Some((spec, signatures)) if !problems.has_errors() => Ok(Declared {
            spec,
            signatures,
            warnings: problems,
        }),
        _ => Err(problems),
    }
}

/// Makes the one tree of all sources, or none where they can't be read.
fn tree(sources: &Sources<'_>, problems: &mut Problems) -> Option<SourceMap> {
    let mut budget = limits::Budget::default();
    let texts = source::Texts::new(sources, problems)?;
    let mut root = overlay::merge_files(&texts, &mut budget, problems)?;
    overlay::apply_sets(&mut root, &texts, &mut budget, problems);
    read::drop_extensions(&mut root);
    variables::fill_in(&mut root, &texts, sources.env, &mut budget, problems);
    Some(SourceMap::new(texts, root))
}
