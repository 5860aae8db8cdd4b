//! What `/metrics` says of nimbus. Everything is counted where it happens; labels have few values.

use squall_core::Moment;
use squall_daemon::metrics::Metrics;
use squall_daemon::prometheus_client::metrics::counter::Counter;
use squall_daemon::prometheus_client::metrics::family::Family;
use squall_daemon::prometheus_client::metrics::gauge::Gauge;
use squall_plan::schedule::Liveness;
use squall_proto::TopologyState;

use crate::heart::{Desired, Limits, Observed};

/// The metrics of nimbus. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct NimbusMetrics {
    /// Changes of the cluster's state that were stored.
    pub(crate) commits: Counter,
    /// Changes that could not be.
    pub(crate) failed_commits: Counter,
    /// Reports of supervisors.
    pub(crate) reports: Counter,
    /// Transactions of checkpoints, and the writes in them.
    pub(crate) checkpoint_commits: Counter,
    pub(crate) checkpoint_writes: Counter,
    /// Checkpoints that were refused: conflicts and stale fences.
    pub(crate) checkpoint_refusals: Counter,
    /// Bytes of binaries that came in and went out.
    pub(crate) uploaded_bytes: Counter,
    pub(crate) fetched_bytes: Counter,
    refusals: Family<Label, Counter>,
    topologies: Family<Label, Gauge>,
    supervisors: Family<Label, Gauge>,
    unplaced_tasks: Gauge,
}

/// A label and its value.
type Label = [(&'static str, &'static str); 1];

impl NimbusMetrics {
    /// Makes the metrics and has them rendered.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let ours = Self::default();
        let counters = [
            (
                "nimbus_commits",
                "Changes of the cluster's state that were stored",
                &ours.commits,
            ),
            (
                "nimbus_failed_commits",
                "Changes that could not be stored",
                &ours.failed_commits,
            ),
            ("nimbus_reports", "Reports of supervisors", &ours.reports),
            (
                "nimbus_checkpoint_commits",
                "Transactions of checkpoints",
                &ours.checkpoint_commits,
            ),
            (
                "nimbus_checkpoint_writes",
                "Checkpoints written",
                &ours.checkpoint_writes,
            ),
            (
                "nimbus_checkpoint_refusals",
                "Commits of checkpoints refused for a version or a fence",
                &ours.checkpoint_refusals,
            ),
            (
                "nimbus_uploaded_bytes",
                "Bytes of binaries that were uploaded",
                &ours.uploaded_bytes,
            ),
            (
                "nimbus_fetched_bytes",
                "Bytes of binaries that were fetched",
                &ours.fetched_bytes,
            ),
        ];
        for (name, help, counter) in counters {
            metrics.register(name, help, counter.clone());
        }
        metrics.register(
            "nimbus_refusals",
            "Calls refused, by service",
            ours.refusals.clone(),
        );
        metrics.register(
            "nimbus_topologies",
            "Topologies by state",
            ours.topologies.clone(),
        );
        metrics.register(
            "nimbus_supervisors",
            "Supervisors by state",
            ours.supervisors.clone(),
        );
        metrics.register(
            "nimbus_unplaced_tasks",
            "Tasks for which there is no slot",
            ours.unplaced_tasks.clone(),
        );
        ours
    }

    /// Counts a refused call.
    pub(crate) fn refused(&self, service: &'static str) {
        self.refusals.get_or_create(&[("service", service)]).inc();
    }

    /// Counts what there is.
    pub(crate) fn observe(
        &self,
        desired: &Desired,
        observed: &Observed,
        now: Moment,
        limits: &Limits,
    ) {
        let (mut states, mut n_unplaced) = ([0; 4], 0);
        for record in desired.topologies.values() {
            let place = match record.state() {
                TopologyState::Active => 0,
                TopologyState::Inactive => 1,
                TopologyState::Rebalancing => 2,
                TopologyState::Killed => 3,
            };
            states[place] += 1;
            n_unplaced += record.n_tasks_unplaced();
        }
        let names = ["active", "inactive", "rebalancing", "killed"];
        set(&self.topologies, names.into_iter().zip(states));
        let mut liveness = [0; 3];
        for (id, known) in &desired.supervisors {
            let place = match observed.liveness(id, known, now, limits) {
                Liveness::Live => 0,
                Liveness::Draining => 1,
                Liveness::Lost => 2,
            };
            liveness[place] += 1;
        }
        set(
            &self.supervisors,
            ["live", "draining", "lost"].into_iter().zip(liveness),
        );
        self.unplaced_tasks
            .set(i64::try_from(n_unplaced).unwrap_or(i64::MAX));
    }
}

fn set(family: &Family<Label, Gauge>, numbers: impl Iterator<Item = (&'static str, i64)>) {
    for (state, number) in numbers {
        family.get_or_create(&[("state", state)]).set(number);
    }
}
