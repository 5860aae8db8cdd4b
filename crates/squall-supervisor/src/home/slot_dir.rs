//! A slot's directory.

use std::cmp::Reverse;
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use squall_core::TopologyId;
use squall_core::engine::WorkerIdx;
use squall_proto::limits::{MAX_LAUNCH_BYTES, MAX_ORDER_BYTES};
use tracing::warn;

use crate::files::{self, FailPoints};
use crate::slots::{Launch, Process, Record, Work};

/// The longest `slot.json`, in bytes.
const MAX_RECORD_BYTES: u64 = 64 << 10;
/// How many workers' directories a slot keeps: the latest, the present one among them.
const MAX_WORKER_DIRS: usize = 4;

/// A slot's directory, which exists.
#[derive(Clone, Debug)]
pub(crate) struct SlotDir {
    path: PathBuf,
    points: FailPoints,
}

impl SlotDir {
    pub(super) const fn new(path: PathBuf, points: FailPoints) -> Self {
        Self { path, points }
    }

    /// Returns where the worker's lock is.
    pub(crate) fn lock(&self) -> PathBuf {
        self.path.join("lock")
    }

    /// Returns where the launch file is.
    pub(crate) fn launch(&self) -> PathBuf {
        self.path.join("launch")
    }

    /// Reads the record; `None` if there is none or it is damaged, which is logged. Blocks.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn record(&self) -> io::Result<Option<Record>> {
        let path = self.record_path();
        let Some(content) = files::read(&path, MAX_RECORD_BYTES)? else {
            return Ok(None);
        };
        match parse(&content) {
            Ok(record) => Ok(Some(record)),
            Err(reason) => {
                warn!(path = %path.display(), reason, "slot's record is damaged: starting without it");
                Ok(None)
            }
        }
    }

    /// Stores the record. Blocks.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn store_record(&self, record: &Record) -> io::Result<()> {
        let content = serde_json::to_vec_pretty(&Format::from(record.clone()))?;
        files::replace(&self.record_path(), &content, &self.points)
    }

    /// Reads the last order. Blocks.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn order(&self) -> io::Result<Option<Vec<u8>>> {
        files::read(&self.path.join("order"), MAX_ORDER_BYTES as u64)
    }

    /// Stores the last order. Blocks.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn store_order(&self, order: &[u8]) -> io::Result<()> {
        files::replace(&self.path.join("order"), order, &self.points)
    }

    /// Reads the last launch file. Blocks.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn launch_file(&self) -> io::Result<Option<Vec<u8>>> {
        files::read(&self.launch(), MAX_LAUNCH_BYTES as u64)
    }

    /// Writes the launch file. Blocks.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn store_launch(&self, launch: &[u8]) -> io::Result<()> {
        files::replace(&self.launch(), launch, &self.points)
    }

    /// Returns the directory that a worker of this slot runs in.
    pub(crate) fn worker(&self, topology_id: &TopologyId, worker_idx: WorkerIdx) -> PathBuf {
        // An id has no separators: it was checked when it came in.
        self.workers()
            .join(format!("{topology_id}.{}", worker_idx.0))
    }

    /// Makes that directory, and removes the oldest of others. Blocks.
    ///
    /// # Errors
    /// It can't be made; what can't be removed is left.
    pub(crate) fn make_worker(&self, work: &Work) -> io::Result<PathBuf> {
        let path = self.worker(&work.topology_id, work.worker_idx);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)?;
        if let Err(error) = self.prune(&path) {
            warn!(path = %self.workers().display(), %error, "old workers' directories can't be removed");
        }
        Ok(path)
    }

    fn prune(&self, present: &Path) -> io::Result<()> {
        let mut others = Vec::new();
        for entry in fs::read_dir(self.workers())? {
            let entry = entry?;
            if entry.path() != present {
                others.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        others.sort_by_key(|(modified, _)| Reverse(*modified));
        for (_, path) in others.into_iter().skip(MAX_WORKER_DIRS - 1) {
            match fs::remove_dir_all(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn workers(&self) -> PathBuf {
        self.path.join("workers")
    }

    fn record_path(&self) -> PathBuf {
        self.path.join("slot.json")
    }
}

/// The record as it is stored.
#[derive(Serialize, Deserialize)]
struct Format {
    incarnation: u64,
    launch: Option<LaunchFormat>,
    process: Option<ProcessFormat>,
}

#[derive(Serialize, Deserialize)]
struct LaunchFormat {
    topology_id: String,
    worker_idx: u32,
    placement_epoch: u64,
    binary_sha256: String,
    spec_sha256: String,
    shape_sha256: String,
    incarnation: u64,
    cookie: String,
}

#[derive(Serialize, Deserialize)]
struct ProcessFormat {
    pid: u32,
    start_ticks: u64,
}

fn parse(content: &[u8]) -> Result<Record, String> {
    let format: Format = serde_json::from_slice(content).map_err(|error| error.to_string())?;
    Ok(Record {
        incarnation: format.incarnation,
        launch: format.launch.map(LaunchFormat::parse).transpose()?,
        process: format.process.map(|process| Process {
            pid: process.pid,
            start_ticks: process.start_ticks,
        }),
    })
}

impl LaunchFormat {
    fn parse(self) -> Result<Launch, String> {
        let text = |error: squall_proto::FieldError| error.to_string();
        Ok(Launch {
            work: Work {
                topology_id: TopologyId::new(self.topology_id),
                worker_idx: WorkerIdx(self.worker_idx),
                placement_epoch: self.placement_epoch,
                binary: self.binary_sha256.parse().map_err(text)?,
                spec: self.spec_sha256.parse().map_err(text)?,
                shape: self.shape_sha256.parse().map_err(text)?,
            },
            incarnation: self.incarnation,
            cookie: self.cookie.parse().map_err(text)?,
        })
    }
}

impl From<Record> for Format {
    fn from(record: Record) -> Self {
        Self {
            incarnation: record.incarnation,
            launch: record.launch.map(|launch| LaunchFormat {
                topology_id: launch.work.topology_id.to_string(),
                worker_idx: launch.work.worker_idx.0,
                placement_epoch: launch.work.placement_epoch,
                binary_sha256: launch.work.binary.to_string(),
                spec_sha256: launch.work.spec.to_string(),
                shape_sha256: launch.work.shape.to_string(),
                incarnation: launch.incarnation,
                cookie: launch.cookie.to_string(),
            }),
            process: record.process.map(|process| ProcessFormat {
                pid: process.pid,
                start_ticks: process.start_ticks,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use squall_proto::{Cookie, Sha256};

    use super::*;

    fn slot_dir(directory: &Path) -> SlotDir {
        SlotDir::new(directory.to_owned(), FailPoints::default())
    }

    fn work(number: u64) -> Work {
        Work {
            topology_id: TopologyId::new(format!("clicks-{number}")),
            worker_idx: WorkerIdx(2),
            placement_epoch: 5,
            binary: Sha256::new([1; 32]),
            spec: Sha256::new([2; 32]),
            shape: Sha256::new([3; 32]),
        }
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let slot = slot_dir(directory.path());
        assert_eq!(slot.record().unwrap(), None);
        let mut record = Record {
            incarnation: 9,
            launch: Some(Launch {
                work: work(1),
                incarnation: 9,
                cookie: Cookie::new([4; 16]),
            }),
            process: None,
        };
        slot.store_record(&record).unwrap();
        assert_eq!(slot.record().unwrap().as_ref(), Some(&record));
        record.process = Some(Process {
            pid: 77,
            start_ticks: 123,
        });
        slot.store_record(&record).unwrap();
        assert_eq!(slot.record().unwrap(), Some(record));
        fs::write(directory.path().join("slot.json"), "{\"incarnation\": 9").unwrap();
        assert_eq!(slot.record().unwrap(), None);
    }

    #[test]
    fn old_workers_directories_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let slot = slot_dir(directory.path());
        for number in 0..10 {
            let path = slot.make_worker(&work(number)).unwrap();
            fs::write(path.join("worker.log"), "hello").unwrap();
        }
        let n_left = fs::read_dir(directory.path().join("workers"))
            .unwrap()
            .count();
        assert_eq!(n_left, MAX_WORKER_DIRS);
        let present = slot.worker(&work(9).topology_id, WorkerIdx(2));
        assert!(present.join("worker.log").exists());
    }
}
