//! The click stream of this repository as a process: reads slowly enough to be stopped in the middle, and
//! writes down each record that it has processed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{Process, root};

/// Laid over the topology.
const OVERLAY: &str = r#"
spouts:
  clicks:
    config:
      endpoint_url: "${ENDPOINT}"
      page_records: 100
      poll_interval: 250ms
      tip_interval: 250ms
      checkpoint_interval: 300ms
bolts:
  record: { type: jsonl, config: { path: out.jsonl }, inputs: [clicks] }
"#;

/// A shard and a sequence number.
pub type Place = (String, String);

/// A folder that the click stream runs in, again and again.
pub struct Clickstream {
    folder: PathBuf,
}

/// One processed record.
#[derive(Debug, Deserialize)]
pub struct Processed {
    /// The shard it came from.
    pub shard_id: String,
    /// Its sequence number there.
    pub sequence: String,
    /// What was put.
    pub data: String,
}

impl Processed {
    /// Returns where the record stands in the stream.
    #[must_use]
    pub fn place(&self) -> Place {
        (self.shard_id.clone(), self.sequence.clone())
    }
}

impl Clickstream {
    /// Prepares `folder` for runs against the Kinesis endpoint at `url`.
    ///
    /// # Errors
    /// If it can't be written to.
    pub fn new(folder: &Path, url: &str) -> Result<Self> {
        fs::write(
            folder.join("overlay.yaml"),
            OVERLAY.replace("${ENDPOINT}", url),
        )?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Starts it; what it says goes to the file `talk`.
    ///
    /// # Errors
    /// If `squall` can't be built or started.
    pub fn run(&self, talk: &str) -> Result<Process> {
        let topology = root().join("topologies/clickstream/topology.yaml");
        let topology = topology.to_str().context("a path that is text")?;
        Process::start(&["run", topology, "-f", "overlay.yaml"], &self.folder, talk)
    }

    /// Returns what all runs have processed, in order; a line that is half written is left out.
    ///
    /// # Errors
    /// If the record can't be read.
    pub fn processed(&self) -> Result<Vec<Processed>> {
        let path = self.folder.join("out.jsonl");
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text = fs::read(path)?;
        let lines = text.split(|byte| *byte == b'\n');
        Ok(lines
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect())
    }

    /// Returns where the runs keep their checkpoints.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.folder.join(".squall/clickstream.redb")
    }
}
