//! What the engine gives a task when it starts.

use std::sync::Arc;
use std::task::Waker;

use thiserror::Error;

use crate::checkpoint::{BoxFuture, CheckpointStore, Fence};
use crate::clock::Clock;
use crate::fields::Schema;
use crate::ids::{ComponentId, TaskId};
use crate::metrics::Metrics;
use crate::value::Str;

/// Who a task is, and what the topology around it looks like.
#[derive(Clone, Debug)]
pub struct TaskInfo {
    /// The topology's name.
    pub topology: Str,
    /// The component that the task is an instance of.
    pub component: ComponentId,
    /// The task.
    pub task: TaskId,
    /// The task's number among the component's, from 0.
    pub task_idx: usize,
    /// How many tasks the component has.
    pub n_tasks: usize,
    /// The streams that the component reads.
    pub inputs: Vec<Arc<Schema>>,
    /// The fields that the component's inputs with a fields or partial-key grouping are grouped by;
    /// empty where there is no such input, or where two differ.
    pub key_fields: Vec<Str>,
    /// All components and their tasks, in order.
    pub tasks: Arc<Vec<(ComponentId, Vec<TaskId>)>>,
}

/// What the engine does for a task.
#[derive(Clone)]
pub struct TaskServices {
    /// The engine's clock.
    pub clock: Arc<dyn Clock>,
    /// A seed of this task's own; the same in each run under a fixed seed.
    pub seed: u64,
    /// The fence of this copy of the task.
    pub fence: Fence,
    /// Wakes the task: `wake` or `next_tuple` is called soon.
    pub waker: Waker,
    /// Runs asynchronous work.
    pub spawner: Arc<dyn Spawner>,
    /// Remembers how far a source came.
    pub checkpoints: Arc<dyn CheckpointStore>,
    /// The task's own metrics.
    pub metrics: Metrics,
}

/// Runs asynchronous work on behalf of a task, within a tokio runtime.
pub trait Spawner: Send + Sync {
    /// Starts `future` under `name`. It is dropped at its next await once the task has closed.
    fn spawn(&self, name: &str, future: BoxFuture<'static, ()>);
}

/// A field that can't be resolved once for all inputs.
#[derive(Debug, Error)]
pub enum ResolveError {
    /// One of the inputs lacks the field.
    #[error("input {component}/{stream} has no field `{field}`; it has: {}", .declared.join(", "))]
    Missing {
        /// The component that emits the input.
        component: ComponentId,
        /// The stream.
        stream: Str,
        /// The field asked for.
        field: String,
        /// The fields there are.
        declared: Vec<Str>,
    },
    /// The field stands at different places in different inputs.
    #[error(
        "field `{field}` stands at different places in the component's inputs: read it by name"
    )]
    Ambiguous {
        /// The field asked for.
        field: String,
    },
}

/// A task's view of its engine; core traits only.
#[derive(Clone)]
pub struct TaskContext {
    info: TaskInfo,
    services: TaskServices,
}

impl TaskContext {
    /// Makes a context. Engine use.
    #[must_use]
    pub const fn new(info: TaskInfo, services: TaskServices) -> Self {
        Self { info, services }
    }

    /// Returns the topology's name.
    #[must_use]
    pub fn topology(&self) -> &str {
        &self.info.topology
    }

    /// Returns the component's name.
    #[must_use]
    pub const fn component(&self) -> &ComponentId {
        &self.info.component
    }

    /// Returns the task's id.
    #[must_use]
    pub const fn task(&self) -> TaskId {
        self.info.task
    }

    /// Returns the task's number among the component's, from 0.
    #[must_use]
    pub const fn task_idx(&self) -> usize {
        self.info.task_idx
    }

    /// Returns how many tasks the component has.
    #[must_use]
    pub const fn n_tasks(&self) -> usize {
        self.info.n_tasks
    }

    /// Returns the tasks of another component, for direct emits; empty where there is none.
    #[must_use]
    pub fn tasks_of(&self, component: &str) -> &[TaskId] {
        let found = self.info.tasks.iter().find(|(id, _)| id == component);
        found.map_or(&[], |(_, tasks)| tasks)
    }

    /// Resolves a field's index once, the same for all inputs: `tuple.values()[idx]`.
    ///
    /// # Errors
    /// [`ResolveError`] where an input lacks the field, or has it at another place than the others.
    pub fn field(&self, field: &str) -> Result<usize, ResolveError> {
        let mut resolved = None;
        for input in &self.info.inputs {
            let idx = input.index_of(field).ok_or_else(|| ResolveError::Missing {
                component: input.component.clone(),
                stream: Str::new(&input.stream),
                field: field.to_owned(),
                declared: input.fields.clone(),
            })?;
            if *resolved.get_or_insert(idx) != idx {
                return Err(ResolveError::Ambiguous {
                    field: field.to_owned(),
                });
            }
        }
        resolved.ok_or_else(|| ResolveError::Ambiguous {
            field: field.to_owned(),
        })
    }

    /// Returns the streams that the component reads.
    #[must_use]
    pub fn inputs(&self) -> &[Arc<Schema>] {
        &self.info.inputs
    }

    /// Returns the fields that the inputs are grouped by; empty where none is keyed, or two differ.
    #[must_use]
    pub fn key_fields(&self) -> &[Str] {
        &self.info.key_fields
    }

    /// Returns the engine's clock.
    #[must_use]
    pub const fn clock(&self) -> &Arc<dyn Clock> {
        &self.services.clock
    }

    /// Returns a seed of this task's own; the same in each run under a fixed seed.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.services.seed
    }

    /// Returns the fence of this copy of the task, for checkpoints.
    #[must_use]
    pub const fn fence(&self) -> Fence {
        self.services.fence
    }

    /// Returns what wakes the task, from any thread.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.services.waker.clone()
    }

    /// Starts asynchronous work that ends with the task.
    pub fn spawn(&self, name: &str, future: impl Future<Output = ()> + Send + 'static) {
        self.services.spawner.spawn(name, Box::pin(future));
    }

    /// Returns the checkpoint store.
    #[must_use]
    pub const fn checkpoints(&self) -> &Arc<dyn CheckpointStore> {
        &self.services.checkpoints
    }

    /// Returns the task's own metrics.
    #[must_use]
    pub const fn metrics(&self) -> &Metrics {
        &self.services.metrics
    }
}
