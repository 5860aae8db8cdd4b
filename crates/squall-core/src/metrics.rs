//! Counters and gauges of a component's own, shown beside the engine's.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::value::Str;

/// The largest number of differently named or labelled metrics of one task; more share one entry.
pub const MAX_METRICS_PER_TASK: usize = 10_000;

/// A number that a component updates and others read. Updating is one relaxed atomic operation.
#[derive(Clone, Debug, Default)]
pub struct Metric(Arc<AtomicI64>);

impl Metric {
    /// Adds to the number: for counters.
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Sets the number: for gauges.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Reads the number.
    #[must_use]
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The metrics of one task, by name and label. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    entries: Arc<Mutex<BTreeMap<(Str, Str), Metric>>>,
}

/// One metric's name, label and value, as read at some moment.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MetricReading {
    /// The name, in snake case, ending in its unit: `lag_ms`.
    pub name: Str,
    /// What it is of: `shardId-000000000000`; empty where there is just one.
    pub label: Str,
    /// The value.
    pub value: i64,
}

impl Metrics {
    /// Returns the metric of that name and label, made at zero when it is new.
    ///
    /// Takes a lock: call it once and keep the metric. `label` is empty where there is just one.
    #[must_use]
    pub fn get(&self, name: &str, label: &str) -> Metric {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (Str::new(name), Str::new(label));
        if entries.len() >= MAX_METRICS_PER_TASK && !entries.contains_key(&key) {
            key = (Str::new(name), Str::new_static("(others)"));
        }
        entries.entry(key).or_default().clone()
    }

    /// Forgets a metric: for labels that come and go, as shards do.
    pub fn remove(&self, name: &str, label: &str) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.remove(&(Str::new(name), Str::new(label)));
    }

    /// Reads all metrics, ordered by name and label.
    #[must_use]
    pub fn read(&self) -> Vec<MetricReading> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries
            .iter()
            .map(|((name, label), metric)| MetricReading {
                name: name.clone(),
                label: label.clone(),
                value: metric.get(),
            })
            .collect()
    }
}
