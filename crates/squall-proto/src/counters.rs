//! What the tasks of a worker, or of a whole topology, did: summed by component, so that nimbus can add
//! workers up without knowing the runtime.

mod convert;
mod fit;

use std::collections::BTreeMap;

use squall_core::{ComponentId, MetricReading};

use crate::note::Note;

pub(crate) use convert::of_worker;

/// The counters of a worker or a topology.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Each component once.
    pub components: Vec<ComponentCounters>,
    /// How many metrics and components were left out for want of room.
    pub n_omitted: u32,
}

/// What the tasks of one component did, since their workers started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentCounters {
    /// The component.
    pub component: ComponentId,
    /// How many tasks are added up here.
    pub n_tasks: u32,
    /// Whether it is a spout.
    pub spout: bool,
    /// Calls of `emit`.
    pub emitted: u64,
    /// Tuples sent.
    pub transferred: u64,
    /// Tuples executed.
    pub executed: u64,
    /// Tuples acked by a bolt, or trees acked to a spout.
    pub acked: u64,
    /// Tuples failed by a bolt, or trees failed to a spout.
    pub failed: Failed,
    /// Trees without a verdict, held ones not counted.
    pub pending: u64,
    /// The bytes of those trees' first tuples.
    pub pending_bytes: u64,
    /// Trees that a window holds.
    pub held: u64,
    /// Tuples that are deferred and whose tokens live.
    pub deferred: u64,
    /// Messages of a spout whose last verdict was a failure.
    pub unacked: u64,
    /// Bytes that wait in front of the tasks.
    pub queued_bytes: u64,
    /// How often a task was started anew.
    pub restarts: u64,
    /// How often a task could not be started.
    pub failed_starts: u64,
    /// Tasks that a failure keeps from working.
    pub n_down: u32,
    /// Tasks that fail again and again.
    pub n_crash_looping: u32,
    /// The last error of a task that failed no tuple or made it restart.
    pub last_error: Option<Note>,
    /// How long tuples waited in front of the tasks.
    pub queue: Latency,
    /// How long `execute` took.
    pub execute: Latency,
    /// How long trees took from emit to ack.
    pub complete: Latency,
    /// The component's own metrics, each name and label once.
    pub metrics: Vec<MetricReading>,
}

/// Failures by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failed {
    /// A bolt refused the tuple, panicked, or dropped its token.
    pub rejected: u64,
    /// The tree outlived the message timeout.
    pub timed_out: u64,
    /// The engine lost a tuple.
    pub lost: u64,
    /// The tuple was held while the topology drained.
    pub drained: u64,
}

/// A distribution of times in microseconds. All zero where nothing was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// How many were measured.
    pub n: u64,
    /// The median.
    pub p50_us: u64,
    /// The 95th percentile.
    pub p95_us: u64,
    /// The 99th percentile.
    pub p99_us: u64,
    /// The largest.
    pub max_us: u64,
}

impl Counters {
    /// Adds the counters of another worker. Sums stop at the largest number there is. Percentiles can't be
    /// added: the larger one stays, so that no worker is slower than the sum says.
    pub fn add(&mut self, other: &Self) {
        for component in &other.components {
            let known = self
                .components
                .iter_mut()
                .find(|known| known.component == component.component);
            match known {
                Some(known) => known.add(component),
                None => self.components.push(component.clone()),
            }
        }
        self.n_omitted = self.n_omitted.saturating_add(other.n_omitted);
    }

    /// Returns the counters of one component.
    #[must_use]
    pub fn of(&self, component: &str) -> Option<&ComponentCounters> {
        self.components
            .iter()
            .find(|counters| counters.component == *component)
    }
}

impl ComponentCounters {
    /// Begins at zero.
    #[must_use]
    pub fn new(component: ComponentId, spout: bool) -> Self {
        Self {
            component,
            spout,
            n_tasks: 0,
            emitted: 0,
            transferred: 0,
            executed: 0,
            acked: 0,
            failed: Failed::default(),
            pending: 0,
            pending_bytes: 0,
            held: 0,
            deferred: 0,
            unacked: 0,
            queued_bytes: 0,
            restarts: 0,
            failed_starts: 0,
            n_down: 0,
            n_crash_looping: 0,
            last_error: None,
            queue: Latency::default(),
            execute: Latency::default(),
            complete: Latency::default(),
            metrics: Vec::new(),
        }
    }

    /// Adds other tasks of the same component.
    pub fn add(&mut self, other: &Self) {
        let more = |sum: &mut u64, n: u64| *sum = sum.saturating_add(n);
        more(&mut self.emitted, other.emitted);
        more(&mut self.transferred, other.transferred);
        more(&mut self.executed, other.executed);
        more(&mut self.acked, other.acked);
        more(&mut self.failed.rejected, other.failed.rejected);
        more(&mut self.failed.timed_out, other.failed.timed_out);
        more(&mut self.failed.lost, other.failed.lost);
        more(&mut self.failed.drained, other.failed.drained);
        more(&mut self.pending, other.pending);
        more(&mut self.pending_bytes, other.pending_bytes);
        more(&mut self.held, other.held);
        more(&mut self.deferred, other.deferred);
        more(&mut self.unacked, other.unacked);
        more(&mut self.queued_bytes, other.queued_bytes);
        more(&mut self.restarts, other.restarts);
        more(&mut self.failed_starts, other.failed_starts);
        self.n_tasks = self.n_tasks.saturating_add(other.n_tasks);
        self.n_down = self.n_down.saturating_add(other.n_down);
        self.n_crash_looping = self.n_crash_looping.saturating_add(other.n_crash_looping);
        if other.last_error.is_some() {
            self.last_error.clone_from(&other.last_error);
        }
        self.queue.add(&other.queue);
        self.execute.add(&other.execute);
        self.complete.add(&other.complete);
        self.add_metrics(&other.metrics);
    }

    /// Adds up what has the same name and label.
    fn add_metrics(&mut self, others: &[MetricReading]) {
        let mut places = BTreeMap::new();
        for (idx, metric) in self.metrics.iter().enumerate() {
            places.insert((metric.name.clone(), metric.label.clone()), idx);
        }
        for other in others {
            let place = places.get(&(other.name.clone(), other.label.clone()));
            match place.and_then(|idx| self.metrics.get_mut(*idx)) {
                Some(known) => known.value = known.value.saturating_add(other.value),
                None => self.metrics.push(other.clone()),
            }
        }
    }
}

impl Failed {
    /// Returns the sum over all reasons.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.rejected
            .saturating_add(self.timed_out)
            .saturating_add(self.lost)
            .saturating_add(self.drained)
    }
}

impl Latency {
    /// Adds another distribution: see [`Counters::add`].
    pub fn add(&mut self, other: &Self) {
        self.n = self.n.saturating_add(other.n);
        self.p50_us = self.p50_us.max(other.p50_us);
        self.p95_us = self.p95_us.max(other.p95_us);
        self.p99_us = self.p99_us.max(other.p99_us);
        self.max_us = self.max_us.max(other.max_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_add_up_by_component_and_metric() {
        let metric = |label: &str, value| MetricReading {
            name: "lag_ms".into(),
            label: label.into(),
            value,
        };
        let worker = |acked, label: &str| Counters {
            components: vec![ComponentCounters {
                n_tasks: 2,
                acked,
                complete: Latency {
                    n: 10,
                    p99_us: acked,
                    ..Latency::default()
                },
                metrics: vec![metric("all", 5), metric(label, 1)],
                ..ComponentCounters::new("in".into(), true)
            }],
            n_omitted: 1,
        };
        let mut sum = Counters::default();
        sum.add(&worker(3, "a"));
        sum.add(&worker(u64::MAX, "b"));
        let counters = sum.of("in").unwrap();
        assert_eq!((counters.acked, counters.n_tasks), (u64::MAX, 4));
        assert_eq!(
            (counters.complete.n, counters.complete.p99_us),
            (20, u64::MAX)
        );
        let expected = [metric("all", 10), metric("a", 1), metric("b", 1)];
        assert_eq!(counters.metrics, expected);
        assert_eq!((sum.components.len(), sum.n_omitted), (1, 2));
    }
}
