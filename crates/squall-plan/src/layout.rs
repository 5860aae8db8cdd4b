//! Lays a checked topology out over tasks and decides which of them share a loop.
//!
//! Task ids count from 0 through the spouts and then the bolts, each in the order of declaration, so
//! that one spec always gives the same ids.

mod cycle;
mod fuse;

use std::ops::Range;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::Value as Json;

use squall_core::{ComponentId, Grouping, InputSpec, Outputs, Str, StreamId, TaskId, TopologySpec};

/// What each component emits, found by building one instance of each.
pub type Signatures = IndexMap<ComponentId, Outputs>;

/// Which trait a component implements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A source.
    Spout,
    /// A step.
    Bolt,
}

/// A topology as tasks, ready to be routed and run.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The components: spouts, then bolts, each in the order of declaration.
    pub components: Vec<ComponentLayout>,
}

/// One component and its tasks.
#[derive(Clone, Debug)]
pub struct ComponentLayout {
    /// The component's name.
    pub id: ComponentId,
    /// Spout or bolt.
    pub kind: Kind,
    /// The name under which it is registered.
    pub type_name: String,
    /// Its own config.
    pub config: Json,
    /// The streams that it emits to.
    pub outputs: Outputs,
    /// Its tasks' ids.
    pub tasks: Range<u32>,
    /// The streams that it reads.
    pub inputs: Vec<InputLayout>,
    /// The declared tick interval.
    pub tick: Option<Duration>,
    /// Each task gets an OS thread of its own.
    pub dedicated: bool,
    /// Components with the same chain are fused: task `i` of each shares a loop with task `i` of the
    /// others. A component that is fused with none has a chain to itself.
    pub chain: usize,
    /// How far the component is from the spouts, feedback left out: sinks have the largest depth.
    pub depth: usize,
}

/// One stream that a component reads.
#[derive(Clone, Debug)]
pub struct InputLayout {
    /// The emitting component's index in [`Layout::components`].
    pub from: usize,
    /// The stream.
    pub stream: StreamId,
    /// How its tuples are spread.
    pub grouping: Grouping,
    /// Task `i` of the emitter sends to task `i` alone.
    pub fused: bool,
    /// The edge closes a cycle: when the cycle jams, it is the one that gives way.
    pub feedback: bool,
}

impl ComponentLayout {
    /// Iterates over the component's task ids.
    pub fn task_ids(&self) -> impl ExactSizeIterator<Item = TaskId> + use<> {
        self.tasks.clone().map(TaskId)
    }

    /// Returns the number of tasks.
    #[must_use]
    pub fn n_tasks(&self) -> usize {
        self.tasks.len()
    }

    /// Returns the fields that the inputs are grouped by; empty where none is, or two differ.
    #[must_use]
    pub fn key_fields(&self) -> Vec<Str> {
        key_fields(self.inputs.iter().map(|input| &input.grouping))
    }
}

impl Layout {
    /// Lays out a spec that has passed `check`; inputs that name no component are left out.
    ///
    /// With `fuse`, neighbours are fused where that changes nothing but the speed.
    #[must_use]
    pub fn new(spec: &TopologySpec, signatures: &Signatures, fuse: bool) -> Self {
        let mut components = Vec::new();
        let mut next_task = 0;
        let mut tasks = |parallelism: u32| {
            let first = next_task;
            next_task += parallelism;
            first..next_task
        };
        let outputs = |id| signatures.get(id).cloned().unwrap_or_default();
        for (id, spout) in &spec.spouts {
            components.push(ComponentLayout {
                id: id.clone(),
                kind: Kind::Spout,
                type_name: spout.type_name.to_string(),
                config: spout.config.clone(),
                outputs: outputs(id),
                tasks: tasks(spout.parallelism.get()),
                inputs: Vec::new(),
                tick: None,
                dedicated: spout.dedicated,
                chain: 0,
                depth: 0,
            });
        }
        for (id, bolt) in &spec.bolts {
            components.push(ComponentLayout {
                id: id.clone(),
                kind: Kind::Bolt,
                type_name: bolt.type_name.to_string(),
                config: bolt.config.clone(),
                outputs: outputs(id),
                tasks: tasks(bolt.parallelism.get()),
                inputs: resolve(spec, &bolt.inputs),
                tick: bolt.tick.map(|tick| tick.0),
                dedicated: bolt.dedicated,
                chain: 0,
                depth: 0,
            });
        }
        cycle::mark_feedback(&mut components);
        fuse::fuse(&mut components, fuse);
        Self { components }
    }

    /// Returns the number of tasks.
    #[must_use]
    pub fn n_tasks(&self) -> usize {
        self.components.iter().map(ComponentLayout::n_tasks).sum()
    }
}

/// Returns the fields that a component's groupings name; empty where none does, or two differ.
pub(crate) fn key_fields<'g>(groupings: impl Iterator<Item = &'g Grouping>) -> Vec<Str> {
    let mut keys = groupings.filter_map(|grouping| match grouping {
        Grouping::Fields(fields) | Grouping::PartialKey(fields) => Some(fields),
        _ => None,
    });
    match keys.next() {
        Some(first) if keys.all(|other| other == first) => first.clone(),
        _ => Vec::new(),
    }
}

fn resolve(spec: &TopologySpec, inputs: &[InputSpec]) -> Vec<InputLayout> {
    let ids = spec.spouts.keys().chain(spec.bolts.keys());
    let index_of = |id: &ComponentId| ids.clone().position(|known| known == id);
    let resolved = inputs.iter().filter_map(|input| {
        Some(InputLayout {
            from: index_of(&input.component)?,
            stream: input.stream.clone(),
            grouping: input.grouping.clone(),
            fused: false,
            feedback: false,
        })
    });
    resolved.collect()
}
