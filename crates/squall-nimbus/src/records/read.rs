//! From the store's entries to the desired state.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use squall_core::SupervisorId;
use squall_proto::{FieldError, Program, Topology, TopologyName};
use thiserror::Error;

use crate::heart::{Desired, Record, lay_out, read};

use super::rows::{CountersRow, DesiredRow, SupervisorRow, TopologyRow};
use super::{COUNTERS, DESIRED, SPEC, SUPERVISOR, TOPOLOGY, numbered};

/// An entry that this nimbus can't read.
#[derive(Debug, Error)]
#[error(
    "the entry `{key}` of the cluster store can't be read: {why}; was it written by a newer nimbus?"
)]
pub struct Broken {
    /// Its key.
    pub key: String,
    /// What is wrong with it.
    pub why: String,
}

/// Reads the desired state out of all entries under [`super::PREFIX`].
///
/// # Errors
/// [`Broken`].
pub fn desired_from(entries: impl IntoIterator<Item = (String, Bytes)>) -> Result<Desired, Broken> {
    let entries: BTreeMap<String, Bytes> = entries.into_iter().collect();
    let counters: CountersRow = match entries.get(COUNTERS) {
        Some(value) => parse(COUNTERS, value)?,
        None => CountersRow::default(),
    };
    let mut desired = Desired {
        last_version: counters.last_version,
        last_topology: counters.last_topology,
        ..Desired::default()
    };
    for (key, value) in &entries {
        if let Some(digits) = key.strip_prefix(TOPOLOGY) {
            let number = digits
                .parse()
                .map_err(|_| broken(key, &"its number is none"))?;
            let record = record(&entries, key, value, number)?;
            desired.topologies.insert(number, Arc::new(record));
        } else if let Some(id) = key.strip_prefix(SUPERVISOR) {
            let row: SupervisorRow = parse(key, value)?;
            let known = row
                .try_into()
                .map_err(|error: FieldError| broken(key, &error))?;
            desired
                .supervisors
                .insert(SupervisorId::new(id), Arc::new(known));
        }
    }
    Ok(desired)
}

fn record(
    entries: &BTreeMap<String, Bytes>,
    key: &str,
    value: &Bytes,
    number: u64,
) -> Result<Record, Broken> {
    let row: TopologyRow = parse(key, value)?;
    let desired_key = numbered(DESIRED, number);
    let value = entries
        .get(&desired_key)
        .ok_or_else(|| broken(&desired_key, &"it is missing"))?;
    let desired: DesiredRow = parse(&desired_key, value)?;
    let spec_key = numbered(SPEC, number);
    let spec_json = entries
        .get(&spec_key)
        .ok_or_else(|| broken(&spec_key, &"it is missing"))?;
    let field = |error: FieldError| broken(key, &error);
    let name: TopologyName = row.name.parse().map_err(field)?;
    let spec = read(spec_json, &desired.parallelism).map_err(|why| broken(key, &why.message))?;
    let program = row.program.map(|(name, args)| Program { name, args });
    let workers = desired.workers();
    Ok(Record {
        number,
        topology: Topology {
            id: name.id(number),
            spec_json: spec_json.clone(),
            spec_sha256: row.spec_sha256.parse().map_err(field)?,
            binary_sha256: row.binary_sha256.parse().map_err(field)?,
            n_workers: desired.n_workers,
            program,
            parallelism: desired.parallelism,
        },
        name,
        submitted_unix_ms: row.submitted_unix_ms,
        layout: lay_out(&spec),
        lifecycle: desired.lifecycle.into(),
        launched: desired.launched,
        version: desired.version,
        workers: workers
            .ok_or_else(|| broken(&desired_key, &"a worker's supervisor is missing"))?,
    })
}

fn parse<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, Broken> {
    serde_json::from_slice(value).map_err(|error| broken(key, &error))
}

fn broken(key: &str, why: &impl ToString) -> Broken {
    Broken {
        key: key.to_owned(),
        why: why.to_string(),
    }
}
