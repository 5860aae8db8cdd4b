//! The edges between tasks: one for each pair of a component and a task that reads it, and one more where a task of
//! that component shares the reader's loop: what it emits for the reader is its own business, and mostly never
//! comes into an edge at all.

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
    edges: BTreeMap<Key, Wire>,
}

/// Emitting component, reading task, and the one sender of an edge between neighbours on one loop.
type Key = (usize, TaskId, Option<TaskId>);

struct Wire {
    edge: Arc<Edge>,
    senders: BTreeSet<TaskId>,
    /// The bell of the link that reads it, when the reader is elsewhere.
    outside: Option<Arc<Bell>>,
    /// A sender is elsewhere.
    has_far_sender: bool,
}

impl Wiring {
    /// Makes the edges that have an end here. `loop_of` has the loop of each task that is to call its neighbours.
    pub(crate) fn new(
        layout: &Layout,
        settings: &Settings,
        bells: &[Arc<Bell>],
        part: Option<&Part>,
        loop_of: &[Option<usize>],
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
                    let mut senders: BTreeSet<TaskId> = all
                        .filter(|(idx, _)| !fused || *idx == reader_idx)
                        .map(|(_, sender)| sender)
                        .collect();
                    let near = match feedback {
                        false => near_sender(&senders, task, loop_of),
                        true => None,
                    };
                    let mut wire = |senders: BTreeSet<TaskId>, near: Option<TaskId>| {
                        let has_far_sender = senders.iter().any(|sender| !is_here(*sender));
                        let has_near_sender = senders.iter().any(|sender| is_here(*sender));
                        if senders.is_empty() || (!is_here(task) && !has_near_sender) {
                            return;
                        }
                        let outside = (!is_here(task)).then(Bell::outside);
                        let bell = outside.as_ref().unwrap_or(&bells[task.idx()]).clone();
                        let bytes = settings.edge_bytes.as_usize();
                        edges.entry((emitter, task, near)).or_insert_with(|| Wire {
                            edge: Arc::new(Edge::new(n_batches, bytes, feedback, bell)),
                            senders,
                            outside,
                            has_far_sender,
                        });
                    };
                    if let Some(sender) = near {
                        senders.remove(&sender);
                        wire(BTreeSet::from([sender]), near);
                    }
                    wire(senders, None);
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
        let outlet = |(key, wire): (&Key, &Wire)| {
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
        let edges = self
            .edges
            .iter()
            .filter(|((_, reader, _), _)| *reader == task);
        edges
            .map(|(_, wire)| Input {
                edge: wire.edge.clone(),
                senders: wire.senders.clone(),
            })
            .collect()
    }

    /// Returns the streams of one task, an index into those of its component, and where they lead. `neighbour`
    /// makes the readers callable that share its loop.
    pub(crate) fn outputs_of(
        &self,
        layout: &Layout,
        (emitter_idx, task_idx): (usize, usize),
        schemas: &[Arc<Schema>],
        registry: &Registry,
        part: Option<&Part>,
        neighbour: impl Fn(TaskId) -> Neighbour,
    ) -> Result<(Vec<StreamOut>, Vec<Target>), StartError> {
        let emitter = &layout.components[emitter_idx];
        let mut targets = Vec::new();
        let mut target_of = BTreeMap::new();
        let task = emitter.task_ids().nth(task_idx);
        for ((from, reader, near), wire) in &self.edges {
            if *from == emitter_idx && task.is_some_and(|task| wire.senders.contains(&task)) {
                // Only where no other sender's tuples could come between.
                let neighbour = near.map(|_| neighbour(*reader));
                target_of.insert(*reader, targets.len());
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

fn edge_id((emitter, reader, _): Key) -> EdgeId {
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

/// Returns the one of `senders` that shares the reader's loop; `None` also where several do: an edge for each of them
/// would be too many to look into.
fn near_sender(
    senders: &BTreeSet<TaskId>,
    reader: TaskId,
    loop_of: &[Option<usize>],
) -> Option<TaskId> {
    let own = loop_of[reader.idx()]?;
    let mut near = senders
        .iter()
        .filter(|sender| loop_of[sender.idx()] == Some(own));
    near.next().copied().filter(|_| near.next().is_none())
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
