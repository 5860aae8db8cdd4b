//! The edges between tasks: one for each pair of a component and a task that reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use squall_core::engine::{ComponentIdx, EdgeId, Inlet, Outlet};
use squall_core::{Registry, Schema, Settings, TaskId};
use squall_plan::{ComponentLayout, InputLayout, Layout};

use crate::bell::Bell;
use crate::edge::Edge;
use crate::group::Router;
use crate::output::{StreamOut, Subscription, Target};
use crate::ports::{EdgeInlet, EdgeOutlet, Part};
use crate::services::StartError;
use crate::task::{Input, Neighbour};

/// The most batches that an edge keeps room for, whatever the setting: the room is taken at once.
const MAX_EDGE_BATCHES: usize = 65_536;

/// All edges of a topology.
pub(crate) struct Wiring {
    /// By emitting component and reading task.
    edges: BTreeMap<(usize, TaskId), Wire>,
}

struct Wire {
    edge: Arc<Edge>,
    senders: BTreeSet<TaskId>,
    /// The bell of the link that reads it, when the reader is elsewhere.
    outside: Option<Arc<Bell>>,
    /// A sender is elsewhere.
    has_far_sender: bool,
    /// Only the emitter's task with the reader's own index sends on it.
    fused: bool,
}

impl Wiring {
    /// Makes the edges that have an end here.
    pub(crate) fn new(
        layout: &Layout,
        settings: &Settings,
        bells: &[Arc<Bell>],
        part: Option<&Part>,
    ) -> Self {
        let is_here = |task: TaskId| part.is_none_or(|part| part.is_here(task));
        let n_batches = (settings.edge_batches as usize).clamp(1, MAX_EDGE_BATCHES);
        let mut edges = BTreeMap::new();
        for reader in &layout.components {
            for input in &reader.inputs {
                let emitter = input.from;
                let mut inputs = reader.inputs.iter().filter(|input| input.from == emitter);
                let fused = inputs.clone().all(|input| input.fused);
                let feedback = inputs.any(|input| input.feedback);
                for (reader_idx, task) in reader.task_ids().enumerate() {
                    let all = layout.components[emitter].task_ids().enumerate();
                    let senders: BTreeSet<TaskId> = all
                        .filter(|(idx, _)| !fused || *idx == reader_idx)
                        .map(|(_, sender)| sender)
                        .collect();
                    let has_far_sender = senders.iter().any(|sender| !is_here(*sender));
                    let has_near_sender = senders.iter().any(|sender| is_here(*sender));
                    if !is_here(task) && !has_near_sender {
                        continue;
                    }
                    let outside = (!is_here(task)).then(Bell::outside);
                    let bell = outside.as_ref().unwrap_or(&bells[task.idx()]).clone();
                    edges.entry((emitter, task)).or_insert_with(|| Wire {
                        edge: Arc::new(Edge::new(
                            n_batches,
                            settings.edge_bytes.as_usize(),
                            feedback,
                            bell,
                        )),
                        senders,
                        outside,
                        has_far_sender,
                        fused,
                    });
                }
            }
        }
        Self { edges }
    }

    /// Returns the number of edges.
    pub(crate) fn n_edges(&self) -> usize {
        self.edges.len()
    }

    /// Returns the ends that lead to readers elsewhere.
    pub(crate) fn outlets(&self) -> Vec<(EdgeId, Arc<dyn Outlet>)> {
        let outlet = |(key, wire): (&(usize, TaskId), &Wire)| {
            let outlet = EdgeOutlet::new(wire.edge.clone(), wire.outside.clone()?);
            Some((edge_id(*key), Arc::new(outlet) as Arc<dyn Outlet>))
        };
        self.edges.iter().filter_map(outlet).collect()
    }

    /// Returns the ends that senders elsewhere lead to.
    pub(crate) fn inlets(&self) -> Vec<(EdgeId, Arc<dyn Inlet>)> {
        let here = self
            .edges
            .iter()
            .filter(|(_, wire)| wire.outside.is_none() && wire.has_far_sender);
        here.map(|(key, wire)| {
            let inlet = EdgeInlet::new(wire.edge.clone());
            (edge_id(*key), Arc::new(inlet) as Arc<dyn Inlet>)
        })
        .collect()
    }

    /// Returns what a task reads.
    pub(crate) fn inputs_of(&self, task: TaskId) -> Vec<Input> {
        let edges = self.edges.iter().filter(|((_, reader), _)| *reader == task);
        edges
            .map(|(_, wire)| Input {
                edge: wire.edge.clone(),
                senders: wire.senders.clone(),
            })
            .collect()
    }

    /// Returns the streams of one task, an index into those of its component, and where they lead. `neighbour` has
    /// the readers that it can call.
    pub(crate) fn outputs_of(
        &self,
        layout: &Layout,
        (emitter_idx, task_idx): (usize, usize),
        schemas: &[Arc<Schema>],
        registry: &Registry,
        part: Option<&Part>,
        neighbour: impl Fn(TaskId) -> Option<Neighbour>,
    ) -> Result<(Vec<StreamOut>, Vec<Target>), StartError> {
        let emitter = &layout.components[emitter_idx];
        let mut targets = Vec::new();
        let mut target_of = BTreeMap::new();
        for ((_, reader), wire) in self
            .edges
            .iter()
            .filter(|((from, _), _)| *from == emitter_idx)
        {
            if !wire.fused || index_of(layout, *reader) == Some(task_idx) {
                target_of.insert(*reader, targets.len());
                // Only where no other sender's tuples could come between.
                let can_call = wire.fused && !wire.edge.feedback;
                let neighbour = can_call.then(|| neighbour(*reader)).flatten();
                targets.push(Target::new(wire.edge.clone(), neighbour));
            }
        }
        let mut streams: Vec<StreamOut> = schemas
            .iter()
            .map(|schema| StreamOut::new(schema.clone()))
            .collect();
        for reader in &layout.components {
            for input in reader
                .inputs
                .iter()
                .filter(|input| input.from == emitter_idx)
            {
                let Some(stream) = streams
                    .iter_mut()
                    .find(|stream| stream.schema.stream == input.stream)
                else {
                    return Err(no_stream(reader, emitter, input));
                };
                let custom = |name: &str| registry.build_grouping(name);
                let is_here = |task: &TaskId| part.is_none_or(|part| part.is_here(*task));
                let local: Vec<usize> = reader
                    .task_ids()
                    .enumerate()
                    .filter(|(_, task)| is_here(task))
                    .map(|(idx, _)| idx)
                    .collect();
                let router = Router::new(
                    &input.grouping,
                    &stream.schema,
                    reader.n_tasks(),
                    task_idx,
                    input.fused,
                    &local,
                    custom,
                )
                .map_err(|source| StartError::Grouping {
                    reader: reader.id.to_string(),
                    emitter: emitter.id.to_string(),
                    source,
                })?;
                // A fused task has one target; its router names no other.
                let target = |task| (task, target_of.get(&task).copied().unwrap_or(usize::MAX));
                let readers = reader.task_ids().map(target).collect();
                stream.subscribe(Subscription::new(router, readers));
            }
        }
        Ok((streams, targets))
    }
}

fn edge_id((emitter, reader): (usize, TaskId)) -> EdgeId {
    EdgeId {
        emitter: ComponentIdx(u32::try_from(emitter).unwrap_or(u32::MAX)),
        reader,
    }
}

/// The schemas of the streams that a component reads, in the order of its inputs.
pub(crate) fn schemas_read_by(layout: &Layout, reader: &ComponentLayout) -> Vec<Arc<Schema>> {
    let schema = |input: &InputLayout| {
        let emitter = &layout.components[input.from];
        let fields = emitter.outputs.get(input.stream.as_str())?;
        Some(Schema::new(
            emitter.id.clone(),
            input.stream.clone(),
            fields.to_vec(),
        ))
    };
    reader.inputs.iter().filter_map(schema).collect()
}

fn index_of(layout: &Layout, task: TaskId) -> Option<usize> {
    let component = layout
        .components
        .iter()
        .find(|component| component.tasks.contains(&task.0))?;
    Some((task.0 - component.tasks.start) as usize)
}

fn no_stream(
    reader: &ComponentLayout,
    emitter: &ComponentLayout,
    input: &InputLayout,
) -> StartError {
    StartError::NoStream {
        reader: reader.id.to_string(),
        emitter: emitter.id.to_string(),
        stream: input.stream.to_string(),
    }
}
