//! The words of a slot: what happens to it, what it has done, what it says of itself.

use squall_core::engine::WorkerIdx;
use squall_core::{Fence, TopologyId};
use squall_proto::{Cookie, Refusal, Sha256};

/// What a slot is to run, as far as it decides whether a running worker may stay: equal work is the same
/// worker, and anything else about an order is only forwarded to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Work {
    /// The topology.
    pub topology_id: TopologyId,
    /// Which of its workers.
    pub worker_idx: WorkerIdx,
    /// The assignment version in which this worker last moved.
    pub placement_epoch: u64,
    /// Its binary.
    pub binary: Sha256,
    /// Its topology's spec.
    pub spec: Sha256,
    /// Whatever else a worker is built from and can't change while it runs.
    pub shape: Sha256,
}

/// A process, told from a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// The process's number, which is also its group's.
    pub pid: u32,
    /// When it started, in clock ticks since the machine's start.
    pub start_ticks: u64,
}

/// One start of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// What it runs.
    pub work: Work,
    /// The number of this start, higher than those of all earlier ones in this slot.
    pub incarnation: u64,
    /// By what the worker is recognised.
    pub cookie: Cookie,
}

impl Launch {
    /// Returns the fence that the worker speaks under.
    #[must_use]
    pub const fn fence(&self) -> Fence {
        Fence {
            placement_epoch: self.work.placement_epoch,
            incarnation: self.incarnation,
        }
    }
}

/// What has to be known of a slot after the supervisor was killed at any moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The highest incarnation ever given.
    pub incarnation: u64,
    /// The latest start, unless its worker is known to be gone.
    pub launch: Option<Launch>,
    /// That start's process, once it is known.
    pub process: Option<Process>,
}

/// What happens to a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nimbus wants this, or nothing; the order's leader has been accepted.
    Order(Option<Work>),
    /// Nimbus has the worker that it wants here drain, and decides for how long.
    Drains,
    /// The answer to [`Effect::Fetch`]: the binary is there.
    Fetched(Sha256),
    /// The other answer to [`Effect::Fetch`].
    FetchFailed {
        /// Which binary.
        binary: Sha256,
        /// What went wrong, for people.
        reason: String,
        /// Whose fault it is.
        fault: Fault,
    },
    /// The answer to [`Effect::Launch`]: the worker's process runs.
    Spawned(Process),
    /// The other answer to [`Effect::Launch`]: there is no process.
    LaunchFailed {
        /// What went wrong, for people.
        reason: String,
    },
    /// A worker has called and presents itself.
    Attended {
        /// Its cookie.
        cookie: Cookie,
        /// Its fence.
        fence: Fence,
    },
    /// A worker that was accepted says how it is.
    Reported {
        /// Its cookie.
        cookie: Cookie,
        /// All its tasks are ready.
        ready: bool,
        /// Nothing is pending any more.
        drained: bool,
    },
    /// A process is gone.
    Exited {
        /// Which.
        process: Process,
        /// How it ended, for people.
        reason: String,
    },
    /// The moment of [`crate::slots::Slot::deadline`] has come.
    Tick,
    /// The supervisor ends: end the worker and start none.
    Drain,
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Something here, or the order itself: it counts.
    Here,
    /// Nobody answers: it will pass.
    Away,
}

/// What the shell has to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Make this binary available, then say [`Event::Fetched`] or [`Event::FetchFailed`].
    Fetch(Sha256),
    /// Make the record durable. If it precedes a launch and fails, so does the launch.
    Persist(Record),
    /// Write the launch file and start the worker, then say [`Event::Spawned`] or
    /// [`Event::LaunchFailed`].
    Launch(Launch),
    /// The worker that called may stay.
    Accept,
    /// The worker that called isn't this slot's: it has to end.
    Refuse(Refusal),
    /// Ask the worker to drain.
    AskDrain,
    /// Send SIGTERM to the process.
    Terminate(Process),
    /// Send SIGKILL to the process and its group.
    Kill(Process),
    /// Something that nimbus should know has changed.
    Report,
}

/// A slot's state as others see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing runs and nothing is wanted.
    Empty,
    /// There is no process yet: the binary is on its way, or the worker is just being started.
    Fetching,
    /// There is a process; it hasn't called yet.
    Starting,
    /// The worker has called.
    Running,
    /// The worker has to end.
    Stopping,
    /// The worker has ended or couldn't be started; the next attempt waits for its time.
    Failed,
}

/// What a slot says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Its state.
    pub phase: Phase,
    /// What runs, or else what is wanted.
    pub work: Option<Work>,
    /// The incarnation of the worker that runs, else of the last one since the order; 0 if there was none.
    pub incarnation: u64,
    /// The worker's process.
    pub pid: Option<u32>,
    /// All of the worker's tasks are ready.
    pub ready: bool,
    /// [`Phase::Failed`] only: it failed so often that attempts have become rare.
    pub crash_looping: bool,
    /// How often what is wanted has ended or couldn't be started.
    pub n_restarts: u32,
    /// What went wrong last, for people; kept until the order changes.
    pub reason: Option<String>,
}
