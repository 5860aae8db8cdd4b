//! From one desired state to the next: what is to be written.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use crate::heart::{Desired, Record};

use super::rows::{CountersRow, DesiredRow, SupervisorRow, TopologyRow};
use super::{BATCH_BYTES, COUNTERS, DESIRED, SPEC, SUPERVISOR, TOPOLOGY, numbered};

/// What is written at once: keys with their new values, `None` to delete.
pub type Batch = Vec<(String, Option<Bytes>)>;

/// Returns what has to be written for `new` to stand in the store where `old` stands, in the order in which
/// the batches are to be written.
///
/// It is nearly always one; more for very many changes at once. Then what is deleted comes first, for a slot
/// that a topology has left may be another's already. Whoever reads after any of them finds no topology that
/// lacks a part.
#[must_use]
pub fn changes(old: &Desired, new: &Desired) -> Vec<Batch> {
    let mut writer = Writer::default();
    let numbers: BTreeSet<&u64> = old.topologies.keys().chain(new.topologies.keys()).collect();
    let pairs = numbers
        .iter()
        .map(|number| (old.topologies.get(number), new.topologies.get(number)));
    for (before, after) in pairs.clone() {
        if let (Some(record), None) = (before, after) {
            writer.delete(numbered(TOPOLOGY, record.number));
            writer.delete(numbered(DESIRED, record.number));
            writer.delete(numbered(SPEC, record.number));
        }
    }
    for id in old
        .supervisors
        .keys()
        .filter(|id| !new.supervisors.contains_key(*id))
    {
        writer.delete(format!("{SUPERVISOR}{id}"));
    }
    if (old.last_version, old.last_topology) != (new.last_version, new.last_topology) {
        let counters = CountersRow {
            last_version: new.last_version,
            last_topology: new.last_topology,
        };
        writer.put(COUNTERS.to_owned(), &counters);
    }
    for (before, after) in pairs {
        let Some(record) = after else { continue };
        if before.is_some_and(|before| Arc::ptr_eq(before, record)) {
            continue;
        }
        if before.is_none() {
            let spec_json = record.topology.spec_json.clone();
            writer.push(numbered(SPEC, record.number), Some(spec_json));
        }
        writer.put(
            numbered(DESIRED, record.number),
            &DesiredRow::from(&**record),
        );
        if before.is_none() {
            // Last: with it the topology is there, and whoever reads it looks for the others.
            writer.put(numbered(TOPOLOGY, record.number), &row_of(record));
        }
    }
    for (id, known) in &new.supervisors {
        if old
            .supervisors
            .get(id)
            .is_none_or(|before| !Arc::ptr_eq(before, known))
        {
            writer.put(format!("{SUPERVISOR}{id}"), &SupervisorRow::from(&**known));
        }
    }
    writer.full.push(writer.batch);
    writer.full.retain(|batch| !batch.is_empty());
    writer.full
}

/// Fills batches.
#[derive(Default)]
struct Writer {
    full: Vec<Batch>,
    batch: Batch,
    n_bytes: usize,
}

impl Writer {
    fn delete(&mut self, key: String) {
        self.push(key, None);
    }

    fn put(&mut self, key: String, row: &impl Serialize) {
        // Rows have only text for keys and no maps of floats: they can always be written.
        let value = serde_json::to_vec(row).unwrap_or_default();
        self.push(key, Some(value.into()));
    }

    fn push(&mut self, key: String, value: Option<Bytes>) {
        let n_bytes = key.len() + value.as_ref().map_or(0, Bytes::len);
        if self.n_bytes + n_bytes > BATCH_BYTES && !self.batch.is_empty() {
            self.full.push(std::mem::take(&mut self.batch));
            self.n_bytes = 0;
        }
        self.n_bytes += n_bytes;
        self.batch.push((key, value));
    }
}

fn row_of(record: &Record) -> TopologyRow {
    let topology = &record.topology;
    let program = topology.program.as_ref();
    TopologyRow {
        name: record.name.to_string(),
        spec_sha256: topology.spec_sha256.to_string(),
        binary_sha256: topology.binary_sha256.to_string(),
        program: program.map(|program| (program.name.clone(), program.args.clone())),
        submitted_unix_ms: record.submitted_unix_ms,
    }
}
