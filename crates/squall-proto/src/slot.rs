//! What a supervisor's slot is doing.

use std::num::NonZeroU32;

use squall_core::engine::WorkerIdx;
use squall_core::{Fence, TopologyId};

use crate::check;
use crate::counters::{self, Counters};
use crate::fence;
use crate::field::FieldError;
use crate::names::topology_id;
use crate::note::Note;
use crate::wire;

/// One slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotStatus {
    /// Its TCP port, never 0.
    pub port: u16,
    /// The worker in it; none when it is empty.
    pub worker: Option<SlotWorker>,
}

/// The worker in a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotWorker {
    /// Its topology.
    pub topology: TopologyId,
    /// Which of the topology's workers.
    pub worker: WorkerIdx,
    /// Which copy of it. The incarnation is 0 until the first start.
    pub fence: Fence,
    /// How it fares.
    pub state: SlotState,
    /// How often it was started again since it was placed here.
    pub n_restarts: u32,
    /// How the process before this one ended, or why none can be started.
    pub last_exit: Option<Note>,
}

/// What a slot with a worker is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// The binary is on its way.
    Fetching,
    /// The process is there and hasn't said that it is ready.
    Starting {
        /// The process.
        pid: NonZeroU32,
    },
    /// The worker has built its tasks.
    Running(RunningWorker),
    /// The worker was told to end.
    Stopping {
        /// The process.
        pid: NonZeroU32,
    },
    /// The worker has ended or can't be started; why, says `last_exit`.
    Failed {
        /// It fails again and again and waits the longest time between starts.
        crash_looping: bool,
    },
}

/// A worker that has built its tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningWorker {
    /// The process.
    pub pid: NonZeroU32,
    /// All its tasks and links stand.
    pub ready: bool,
    /// It drains and nothing of its own is pending any more.
    pub drained: bool,
    /// The version of the assignment that it last heard of; 0 if of none.
    pub assignment_version: u64,
    /// How long ago its slowest loop last began a turn.
    pub oldest_turn_ms: u64,
    /// What it did since it started.
    pub counters: Counters,
}

impl TryFrom<wire::SlotStatus> for SlotStatus {
    type Error = FieldError;

    fn try_from(wire: wire::SlotStatus) -> Result<Self, FieldError> {
        let port = check::port("port", wire.port)?;
        let worker = match wire::SlotState::try_from(wire.state) {
            Ok(wire::SlotState::Empty) => {
                check::text("topology_id", wire.topology_id, 0..=0)?;
                None
            }
            _ => Some(worker(wire)?),
        };
        Ok(Self { port, worker })
    }
}

fn worker(wire: wire::SlotStatus) -> Result<SlotWorker, FieldError> {
    let fence: Fence = match wire.state() {
        wire::SlotState::Fetching | wire::SlotState::Failed => {
            check::number("pid", wire.pid, 0..=0)?;
            check::required("fence", wire.fence)?
        }
        _ => fence::started("fence", wire.fence)?,
    };
    let pid = || {
        let expected = "the process's id, not 0";
        NonZeroU32::new(wire.pid).ok_or_else(|| FieldError::new("pid", expected, 0))
    };
    let state = match wire.state() {
        wire::SlotState::Fetching => SlotState::Fetching,
        wire::SlotState::Starting => SlotState::Starting { pid: pid()? },
        wire::SlotState::Running => SlotState::Running(RunningWorker {
            pid: pid()?,
            ready: wire.ready,
            drained: wire.drained,
            assignment_version: wire.assignment_version,
            oldest_turn_ms: wire.oldest_turn_ms,
            counters: counters::of_worker("counters", wire.counters)?,
        }),
        wire::SlotState::Stopping => SlotState::Stopping { pid: pid()? },
        wire::SlotState::Failed => SlotState::Failed {
            crash_looping: wire.crash_looping,
        },
        wire::SlotState::Unspecified | wire::SlotState::Empty => {
            let expected = "what a slot can do";
            return Err(FieldError::new("state", expected, wire.state));
        }
    };
    Ok(SlotWorker {
        topology: topology_id("topology_id", wire.topology_id)?,
        worker: check::worker_idx("worker_idx", wire.worker_idx)?,
        fence,
        state,
        n_restarts: wire.n_restarts,
        last_exit: Note::given("last_exit", wire.last_exit)?,
    })
}

impl From<SlotStatus> for wire::SlotStatus {
    fn from(slot: SlotStatus) -> Self {
        let port = u32::from(slot.port);
        let Some(worker) = slot.worker else {
            return Self {
                port,
                state: wire::SlotState::Empty.into(),
                ..Self::default()
            };
        };
        let wire = Self {
            port,
            topology_id: worker.topology.to_string(),
            worker_idx: worker.worker.0,
            fence: Some(worker.fence.into()),
            n_restarts: worker.n_restarts,
            last_exit: Note::or_empty(worker.last_exit),
            ..Self::default()
        };
        worker.state.write(wire)
    }
}

impl SlotState {
    /// Adds itself to a message.
    fn write(self, wire: wire::SlotStatus) -> wire::SlotStatus {
        let (state, pid) = match &self {
            Self::Fetching => (wire::SlotState::Fetching, 0),
            Self::Starting { pid } => (wire::SlotState::Starting, pid.get()),
            Self::Running(running) => (wire::SlotState::Running, running.pid.get()),
            Self::Stopping { pid } => (wire::SlotState::Stopping, pid.get()),
            Self::Failed { .. } => (wire::SlotState::Failed, 0),
        };
        let wire = wire::SlotStatus {
            state: state.into(),
            pid,
            ..wire
        };
        match self {
            Self::Running(running) => wire::SlotStatus {
                ready: running.ready,
                drained: running.drained,
                assignment_version: running.assignment_version,
                oldest_turn_ms: running.oldest_turn_ms,
                counters: Some(running.counters.into()),
                ..wire
            },
            Self::Failed { crash_looping } => wire::SlotStatus {
                crash_looping,
                ..wire
            },
            Self::Fetching | Self::Starting { .. } | Self::Stopping { .. } => wire,
        }
    }
}
