//! What a worker is to run, made of its launch file and of what its binary has. Nothing runs yet.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::Digest;
use squall_core::engine::WorkerIdx;
use squall_core::{ComponentId, Registry, Schema, TaskId, TopologySpec};
use squall_plan::schedule::assign_workers;
use squall_plan::{ComponentLayout, Layout, Problems, Signatures};
use squall_proto::{Assignment, Launch, Program, Sha256, Topology};
use squall_runtime::Part;
use squall_transport::wire::{ComponentSchemas, SchemaTable};
use thiserror::Error;

/// How a binary builds a topology of its own: by the name and the arguments with which it was submitted.
pub type Rebuild<'a> = &'a dyn Fn(&Program) -> squall_core::Result<TopologySpec>;

/// A worker's part of a topology that its binary can run.
#[derive(Clone, Debug)]
pub struct Blueprint {
    /// The topology, with the numbers of tasks that it has now.
    pub(crate) spec: TopologySpec,
    /// What its components emit.
    pub(crate) signatures: Signatures,
    /// Which worker has which task.
    pub(crate) part: Part,
    /// All streams, as frames name them.
    pub(crate) schemas: Arc<SchemaTable>,
}

/// Why a binary can't run what it was started for.
#[derive(Debug, Error)]
pub enum BlueprintError {
    /// The spec isn't the one that was submitted.
    #[error("the launch file's spec has the SHA-256 {found}, not {expected}: the file is damaged")]
    Damaged {
        /// What was submitted.
        expected: Sha256,
        /// What is there.
        found: Sha256,
    },
    /// The binary can't build its topology any more.
    #[error("this binary can't build its topology `{name}` as it was submitted: {why}")]
    NotBuilt {
        /// The name under which the binary has it.
        name: String,
        /// What it said.
        why: String,
    },
    /// The binary builds something else than what was submitted.
    #[error(
        "this binary builds topology `{name}` differently here: what it builds depends on something besides \
         its arguments, such as the environment, the time or a file; pass that as an argument, and submit \
         it again"
    )]
    OtherSpec {
        /// The name under which the binary has it.
        name: String,
    },
    /// The spec can't be read.
    #[error("the spec can't be read: {0}; the binary may be older than the one that submitted it")]
    Unreadable(#[from] serde_json::Error),
    /// A component is to have another number of tasks, and isn't there.
    #[error("the topology has no component `{component}`, which is to have {n_tasks} tasks")]
    NoComponent {
        /// The component.
        component: ComponentId,
        /// How many tasks.
        n_tasks: u32,
    },
    /// The binary's components don't fit the topology.
    #[error("this binary can't run the topology:\n{0}")]
    Invalid(Problems),
    /// The assignment has tasks that the topology doesn't have.
    #[error("task {task} was assigned to worker {worker}, and the topology has {n_tasks} tasks")]
    NoTask {
        /// The task.
        task: TaskId,
        /// Whose it is said to be.
        worker: WorkerIdx,
        /// How many there are.
        n_tasks: usize,
    },
}

impl Blueprint {
    /// Checks that the binary can run the worker's part, and lays it out. Builds one instance of each
    /// component, as validation does; no I/O.
    ///
    /// # Errors
    /// [`BlueprintError`].
    pub fn new(
        launch: &Launch,
        registry: &Registry,
        rebuild: Rebuild<'_>,
    ) -> Result<Self, BlueprintError> {
        let spec = spec_of(&launch.topology, rebuild)?;
        let checked = squall_plan::check(&spec, registry).map_err(BlueprintError::Invalid)?;
        let layout = Layout::new(&spec, &checked.signatures, true);
        let n_workers = launch.topology.n_workers.get();
        Ok(Self {
            part: Part {
                me: launch.worker,
                workers: owners(&layout, &launch.assignment, n_workers)?,
            },
            schemas: schemas(&layout),
            spec,
            signatures: checked.signatures,
        })
    }
}

/// Reads the spec, having checked that it is the one that was submitted.
fn spec_of(topology: &Topology, rebuild: Rebuild<'_>) -> Result<TopologySpec, BlueprintError> {
    let expected = topology.spec_sha256;
    let found = sha256(&topology.spec_json);
    if found != expected {
        return Err(BlueprintError::Damaged { expected, found });
    }
    let mut spec = match &topology.program {
        Some(program) => built(program, expected, rebuild)?,
        None => serde_json::from_slice(&topology.spec_json)?,
    };
    for (component, n_tasks) in &topology.parallelism {
        let declared = match spec.spouts.get_mut(component) {
            Some(spout) => Some(&mut spout.parallelism),
            None => spec
                .bolts
                .get_mut(component)
                .map(|bolt| &mut bolt.parallelism),
        };
        *declared.ok_or_else(|| BlueprintError::NoComponent {
            component: component.clone(),
            n_tasks: n_tasks.get(),
        })? = *n_tasks;
    }
    Ok(spec)
}

/// Builds a topology of the binary's own again.
fn built(
    program: &Program,
    expected: Sha256,
    rebuild: Rebuild<'_>,
) -> Result<TopologySpec, BlueprintError> {
    let name = || program.name.clone();
    let spec = rebuild(program).map_err(|error| BlueprintError::NotBuilt {
        name: name(),
        why: error.to_string(),
    })?;
    if sha256(&serde_json::to_vec(&spec)?) != expected {
        return Err(BlueprintError::OtherSpec { name: name() });
    }
    Ok(spec)
}

/// Returns the worker of each task. Of workers that have no place, the assignment doesn't say what they
/// will run: they get what the scheduler deals out. Should it turn out otherwise, the worker has to be
/// started again.
fn owners(
    layout: &Layout,
    assignment: &Assignment,
    n_workers: u32,
) -> Result<Vec<WorkerIdx>, BlueprintError> {
    // No worker has this index: a task of nobody's.
    let mut owners = vec![WorkerIdx(n_workers); layout.n_tasks()];
    let dealt = (0..).map(WorkerIdx).zip(assign_workers(layout, n_workers));
    let placed: HashMap<WorkerIdx, &[TaskId]> = assignment
        .workers
        .iter()
        .map(|placement| (placement.worker, placement.tasks.as_slice()))
        .collect();
    for (worker, tasks) in dealt.filter(|(worker, _)| !placed.contains_key(worker)) {
        for task in tasks {
            if let Some(owner) = owners.get_mut(task.idx()) {
                *owner = worker;
            }
        }
    }
    for placement in &assignment.workers {
        for task in &placement.tasks {
            *owners.get_mut(task.idx()).ok_or(BlueprintError::NoTask {
                task: *task,
                worker: placement.worker,
                n_tasks: layout.n_tasks(),
            })? = placement.worker;
        }
    }
    Ok(owners)
}

fn schemas(layout: &Layout) -> Arc<SchemaTable> {
    let of_component = |component: &ComponentLayout| {
        let id = &component.id;
        let streams = component.outputs.iter();
        ComponentSchemas {
            component: id.clone(),
            n_tasks: component.tasks.end - component.tasks.start,
            schemas: streams
                .map(|(stream, fields)| Schema::new(id.clone(), stream.clone(), fields.to_vec()))
                .collect(),
        }
    };
    let components: Vec<ComponentSchemas> = layout.components.iter().map(of_component).collect();
    Arc::new(SchemaTable::new(&components))
}

/// Returns what a spec is known by.
fn sha256(bytes: &[u8]) -> Sha256 {
    Sha256::new(sha2::Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests;
