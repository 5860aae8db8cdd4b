//! The engine that one spout or bolt believes to run in, as far as a harness plays it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

use squall_core::{
    ComponentId, Fence, ManualClock, Metrics, Schema, Str, TaskContext, TaskId, TaskInfo,
    TaskServices,
};
use squall_store::MemoryStore;

use crate::testing::{COMPONENT, TestSpawner};

/// What a harness gives its component: a clock wound by hand, async tasks run by hand, a store in
/// memory.
pub(super) struct TestTask {
    pub(super) clock: Arc<ManualClock>,
    pub(super) metrics: Metrics,
    pub(super) seed: u64,
    pub(super) task_idx: u32,
    pub(super) n_tasks: u32,
    /// The fields that the inputs are grouped by.
    pub(super) key_fields: Vec<Str>,
    /// Tasks of other components, for direct emits.
    pub(super) others: Vec<(ComponentId, Vec<TaskId>)>,
    spawner: Arc<TestSpawner>,
    checkpoints: Arc<MemoryStore>,
    woken: Arc<WakeFlag>,
}

#[derive(Default)]
struct WakeFlag(AtomicBool);

impl Wake for WakeFlag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl TestTask {
    pub(super) fn new() -> Self {
        Self {
            clock: Arc::new(ManualClock::new()),
            metrics: Metrics::default(),
            seed: 1,
            task_idx: 0,
            n_tasks: 1,
            key_fields: Vec::new(),
            others: Vec::new(),
            spawner: Arc::new(TestSpawner::new()),
            checkpoints: Arc::new(MemoryStore::new()),
            woken: Arc::default(),
        }
    }

    pub(super) fn context(&self, inputs: Vec<Arc<Schema>>) -> TaskContext {
        let own = (COMPONENT.into(), (0..self.n_tasks).map(TaskId).collect());
        let tasks = std::iter::once(own).chain(self.others.iter().cloned());
        let info = TaskInfo {
            topology: "test".into(),
            component: COMPONENT.into(),
            task: TaskId(self.task_idx),
            task_idx: self.task_idx as usize,
            n_tasks: self.n_tasks as usize,
            inputs,
            key_fields: self.key_fields.clone(),
            tasks: Arc::new(tasks.collect()),
        };
        let services = TaskServices {
            clock: self.clock.clone(),
            seed: self.seed,
            fence: Fence::default(),
            waker: Waker::from(self.woken.clone()),
            spawner: self.spawner.clone(),
            checkpoints: self.checkpoints.clone(),
            metrics: self.metrics.clone(),
        };
        TaskContext::new(info, services)
    }

    /// Moves the clock on and lets async tasks run.
    pub(super) fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.spawner.advance(by);
    }

    /// Lets async tasks run; tells whether the task was woken since it was last asked.
    pub(super) fn settle(&self) -> bool {
        self.spawner.settle();
        self.woken.0.swap(false, Ordering::SeqCst)
    }
}
