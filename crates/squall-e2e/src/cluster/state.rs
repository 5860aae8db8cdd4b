//! What `squall list`, `describe` and `supervisors` print as JSON, as far as tests look at it.

use serde::Deserialize;

/// A topology in one line.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the command line documents them")]
pub struct Summary {
    pub name: String,
    pub id: String,
    pub state: String,
    pub phase: String,
    pub tasks: u32,
    pub workers: u32,
    pub workers_ready: u32,
    pub tasks_unplaced: u32,
}

/// All about a topology.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the command line documents them")]
pub struct Described {
    pub summary: Summary,
    pub plan: Plan,
    pub workers: Vec<Worker>,
    pub components: Vec<Component>,
}

/// Where its workers are.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the command line documents them")]
pub struct Plan {
    pub version: u64,
    pub workers: Vec<Placed>,
}

/// Where a worker is.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the command line documents them")]
pub struct Placed {
    pub worker: u32,
    pub supervisor: String,
    pub address: String,
    pub tasks: Vec<u32>,
    pub placement_epoch: u64,
}

/// How a worker fares, as its supervisor last said.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the command line documents them")]
pub struct Worker {
    pub worker: u32,
    pub supervisor: String,
    pub state: String,
    pub pid: Option<u32>,
    pub placement_epoch: u64,
    pub incarnation: u64,
    pub restarts: u32,
    pub last_exit: Option<String>,
}

/// What the tasks of a component did, since their workers started.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the command line documents them")]
pub struct Component {
    pub component: String,
    pub tasks: u32,
    pub emitted: u64,
    pub executed: u64,
    pub acked: u64,
    pub failed: Failed,
    pub pending: u64,
    pub restarts: u64,
    pub last_error: Option<String>,
}

/// Failures by their reasons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the command line documents them")]
pub struct Failed {
    pub rejected: u64,
    pub timed_out: u64,
    pub lost: u64,
    pub drained: u64,
}

/// A supervisor.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the command line documents them")]
pub struct Supervisor {
    pub id: String,
    pub address: String,
    pub state: String,
    pub age_ms: u64,
}

impl Described {
    /// Returns the worker that has a task, if its supervisor has told of it. Task ids count through the spouts,
    /// then the bolts, in the order of declaration.
    #[must_use]
    pub fn worker_with(&self, task: u32) -> Option<&Worker> {
        let placed = self.plan.workers.iter();
        let placed = { placed }.find(|placed| placed.tasks.contains(&task))?;
        let mut workers = self.workers.iter();
        workers
            .find(|worker| worker.worker == placed.worker && worker.supervisor == placed.supervisor)
    }

    /// Returns a component's counters.
    #[must_use]
    pub fn component(&self, name: &str) -> Option<&Component> {
        self.components.iter().find(|each| each.component == name)
    }

    /// Returns how many trees a spout was told to be acked; 0 while nothing is known of it.
    #[must_use]
    pub fn acked(&self, spout: &str) -> u64 {
        self.component(spout).map_or(0, |spout| spout.acked)
    }

    /// Tells whether every worker is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.summary.workers_ready == self.summary.workers
    }
}
