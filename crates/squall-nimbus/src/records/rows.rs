//! The rows themselves: JSON, with unknown keys refused, so that an older nimbus doesn't take a newer one's
//! state for its own.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use squall_core::{SupervisorId, TaskId};
use squall_plan::schedule::Slot;
use squall_proto::{FieldError, Handshake, Parallelism, Resources};

use crate::heart::{Known, Lifecycle, Record, Worker};

/// The counters.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CountersRow {
    pub(super) last_version: u64,
    pub(super) last_topology: u64,
}

/// What of a topology never changes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TopologyRow {
    pub(super) name: String,
    pub(super) spec_sha256: String,
    pub(super) binary_sha256: String,
    /// The name and the arguments of one that is built in Rust.
    pub(super) program: Option<(String, Vec<String>)>,
    pub(super) submitted_unix_ms: u64,
}

/// What of a topology changes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DesiredRow {
    pub(super) lifecycle: LifecycleRow,
    pub(super) launched: bool,
    pub(super) version: u64,
    pub(super) n_workers: NonZeroU32,
    pub(super) parallelism: Parallelism,
    /// The supervisors; workers refer to them by their places in this list.
    supervisors: Vec<SupervisorId>,
    workers: Vec<WorkerRow>,
}

/// One worker: its slot as a supervisor and a port, its epoch, its tasks as pairs of the first and how many.
#[derive(Debug, Serialize, Deserialize)]
struct WorkerRow(Option<(usize, u16)>, u64, Vec<(u32, u32)>);

/// A state.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "state")]
pub(super) enum LifecycleRow {
    Active,
    Inactive,
    Rebalancing {
        active: bool,
        wait_ms: u64,
        n_workers: NonZeroU32,
        parallelism: Parallelism,
    },
    Killed {
        wait_ms: u64,
        ending: bool,
    },
}

/// A supervisor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SupervisorRow {
    address: String,
    slots: Vec<u16>,
    draining: bool,
    protocols: (u32, u32),
    engine_version: String,
    target: String,
    glibc: Option<String>,
    n_cores: NonZeroU32,
    memory_bytes: u64,
}

impl From<&Record> for DesiredRow {
    fn from(record: &Record) -> Self {
        let slots = record
            .workers
            .iter()
            .filter_map(|worker| worker.slot.as_ref());
        let places: BTreeMap<&SupervisorId, usize> =
            slots.map(|slot| (&slot.supervisor, 0)).collect();
        let places: BTreeMap<&SupervisorId, usize> = places
            .into_keys()
            .enumerate()
            .map(|(place, id)| (id, place))
            .collect();
        let workers = record.workers.iter().map(|worker| {
            let slot = worker.slot.as_ref();
            let slot = slot.and_then(|slot| Some((*places.get(&slot.supervisor)?, slot.port)));
            WorkerRow(slot, worker.epoch, runs(&worker.tasks))
        });
        Self {
            lifecycle: (&record.lifecycle).into(),
            launched: record.launched,
            version: record.version,
            n_workers: record.topology.n_workers,
            parallelism: record.topology.parallelism.clone(),
            workers: workers.collect(),
            supervisors: places.into_keys().cloned().collect(),
        }
    }
}

impl DesiredRow {
    /// Returns the workers; `None` if one has a supervisor that isn't in the list.
    pub(super) fn workers(&self) -> Option<Vec<Worker>> {
        let workers = self.workers.iter().map(|WorkerRow(slot, epoch, runs)| {
            let slot = match slot {
                None => None,
                Some((place, port)) => Some(Slot {
                    supervisor: self.supervisors.get(*place)?.clone(),
                    port: *port,
                }),
            };
            let tasks = runs
                .iter()
                .flat_map(|(first, n)| (*first..first.saturating_add(*n)).map(TaskId));
            Some(Worker {
                tasks: tasks.collect(),
                slot,
                epoch: *epoch,
            })
        });
        workers.collect()
    }
}

impl From<&Lifecycle> for LifecycleRow {
    fn from(lifecycle: &Lifecycle) -> Self {
        match lifecycle {
            Lifecycle::Active => Self::Active,
            Lifecycle::Inactive => Self::Inactive,
            Lifecycle::Rebalancing {
                active,
                wait,
                n_workers,
                parallelism,
            } => Self::Rebalancing {
                active: *active,
                wait_ms: millis(*wait),
                n_workers: *n_workers,
                parallelism: parallelism.clone(),
            },
            Lifecycle::Killed { wait, ending } => Self::Killed {
                wait_ms: millis(*wait),
                ending: *ending,
            },
        }
    }
}

impl From<LifecycleRow> for Lifecycle {
    fn from(row: LifecycleRow) -> Self {
        match row {
            LifecycleRow::Active => Self::Active,
            LifecycleRow::Inactive => Self::Inactive,
            LifecycleRow::Rebalancing {
                active,
                wait_ms,
                n_workers,
                parallelism,
            } => Self::Rebalancing {
                active,
                wait: Duration::from_millis(wait_ms),
                n_workers,
                parallelism,
            },
            LifecycleRow::Killed { wait_ms, ending } => Self::Killed {
                wait: Duration::from_millis(wait_ms),
                ending,
            },
        }
    }
}

impl From<&Known> for SupervisorRow {
    fn from(known: &Known) -> Self {
        let handshake = &known.handshake;
        Self {
            address: known.address.to_string(),
            slots: known.slots.clone(),
            draining: known.draining,
            protocols: (*handshake.protocols.start(), *handshake.protocols.end()),
            engine_version: handshake.engine_version.clone(),
            target: handshake.target.clone(),
            glibc: handshake.glibc.map(|version| version.to_string()),
            n_cores: known.resources.n_cores,
            memory_bytes: known.resources.memory_bytes,
        }
    }
}

impl TryFrom<SupervisorRow> for Known {
    type Error = FieldError;

    fn try_from(row: SupervisorRow) -> Result<Self, FieldError> {
        let glibc = row.glibc.map(|version| version.parse()).transpose()?;
        Ok(Self {
            handshake: Handshake {
                protocols: RangeInclusive::new(row.protocols.0, row.protocols.1),
                engine_version: row.engine_version,
                target: row.target,
                glibc,
                cluster: None,
            },
            resources: Resources {
                n_cores: row.n_cores,
                memory_bytes: row.memory_bytes,
            },
            address: row.address.parse()?,
            slots: row.slots,
            draining: row.draining,
        })
    }
}

/// Writes ascending tasks as runs: the first and how many.
fn runs(tasks: &[TaskId]) -> Vec<(u32, u32)> {
    let runs = tasks.chunk_by(|a, b| a.0.checked_add(1) == Some(b.0));
    let pairs = runs.filter_map(|run| Some((run.first()?.0, u32::try_from(run.len()).ok()?)));
    pairs.collect()
}

fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}
