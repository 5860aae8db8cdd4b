//! Counters on the wire.

use prost::Message;
use squall_core::MetricReading;

use crate::bounds::{
    MAX_COMPONENTS, MAX_COUNTERS_BYTES, MAX_METRIC_LABEL_BYTES, MAX_METRIC_NAME_BYTES, MAX_METRICS,
};
use crate::check;
use crate::counters::{ComponentCounters, Counters, Failed, Latency};
use crate::field::{At, FieldError};
use crate::note::Note;
use crate::wire;

/// Takes one worker's counters, which are held to [`MAX_COUNTERS_BYTES`]; absent ones are empty.
pub(crate) fn of_worker(field: &str, wire: Option<wire::Counters>) -> Result<Counters, FieldError> {
    let wire = wire.unwrap_or_default();
    let n_bytes = wire.encoded_len();
    check::within(field, n_bytes, &(0..=MAX_COUNTERS_BYTES), "bytes")?;
    Counters::try_from(wire).at(field)
}

impl TryFrom<wire::Counters> for Counters {
    type Error = FieldError;

    fn try_from(wire: wire::Counters) -> Result<Self, FieldError> {
        let components: Vec<ComponentCounters> =
            check::list("components", wire.components, 0..=MAX_COMPONENTS)?;
        let ids = components.iter().map(|counters| &counters.component);
        check::distinct("components", ids, "component")?;
        Ok(Self {
            components,
            n_omitted: wire.n_omitted,
        })
    }
}

impl From<Counters> for wire::Counters {
    fn from(counters: Counters) -> Self {
        Self {
            components: counters.components.into_iter().map(Into::into).collect(),
            n_omitted: counters.n_omitted,
        }
    }
}

impl TryFrom<wire::ComponentCounters> for ComponentCounters {
    type Error = FieldError;

    fn try_from(wire: wire::ComponentCounters) -> Result<Self, FieldError> {
        let metrics: Vec<MetricReading> = check::list("metrics", wire.metrics, 0..=MAX_METRICS)?;
        let keys = metrics.iter().map(|metric| (&metric.name, &metric.label));
        check::distinct("metrics", keys, "metric")?;
        Ok(Self {
            component: check::component("component_id", wire.component_id)?,
            n_tasks: wire.n_tasks,
            spout: wire.spout,
            emitted: wire.emitted,
            transferred: wire.transferred,
            executed: wire.executed,
            acked: wire.acked,
            failed: Failed {
                rejected: wire.failed_rejected,
                timed_out: wire.failed_timed_out,
                lost: wire.failed_lost,
                drained: wire.failed_drained,
            },
            pending: wire.pending,
            pending_bytes: wire.pending_bytes,
            held: wire.held,
            deferred: wire.deferred,
            unacked: wire.unacked,
            queued_bytes: wire.queued_bytes,
            restarts: wire.restarts,
            failed_starts: wire.failed_starts,
            n_down: wire.n_down,
            n_crash_looping: wire.n_crash_looping,
            last_error: Note::given("last_error", wire.last_error)?,
            queue: wire.queue.unwrap_or_default().into(),
            execute: wire.execute.unwrap_or_default().into(),
            complete: wire.complete.unwrap_or_default().into(),
            metrics,
        })
    }
}

impl From<ComponentCounters> for wire::ComponentCounters {
    fn from(counters: ComponentCounters) -> Self {
        Self {
            component_id: counters.component.to_string(),
            n_tasks: counters.n_tasks,
            spout: counters.spout,
            emitted: counters.emitted,
            transferred: counters.transferred,
            executed: counters.executed,
            acked: counters.acked,
            failed_rejected: counters.failed.rejected,
            failed_timed_out: counters.failed.timed_out,
            failed_lost: counters.failed.lost,
            failed_drained: counters.failed.drained,
            pending: counters.pending,
            pending_bytes: counters.pending_bytes,
            held: counters.held,
            deferred: counters.deferred,
            unacked: counters.unacked,
            queued_bytes: counters.queued_bytes,
            restarts: counters.restarts,
            failed_starts: counters.failed_starts,
            n_down: counters.n_down,
            n_crash_looping: counters.n_crash_looping,
            last_error: Note::or_empty(counters.last_error),
            queue: Some(counters.queue.into()),
            execute: Some(counters.execute.into()),
            complete: Some(counters.complete.into()),
            metrics: counters.metrics.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<wire::Latency> for Latency {
    fn from(wire: wire::Latency) -> Self {
        Self {
            n: wire.n,
            p50_us: wire.p50_us,
            p95_us: wire.p95_us,
            p99_us: wire.p99_us,
            max_us: wire.max_us,
        }
    }
}

impl From<Latency> for wire::Latency {
    fn from(latency: Latency) -> Self {
        Self {
            n: latency.n,
            p50_us: latency.p50_us,
            p95_us: latency.p95_us,
            p99_us: latency.p99_us,
            max_us: latency.max_us,
        }
    }
}

impl TryFrom<wire::MetricReading> for MetricReading {
    type Error = FieldError;

    fn try_from(wire: wire::MetricReading) -> Result<Self, FieldError> {
        Ok(Self {
            name: check::text("name", wire.name, 1..=MAX_METRIC_NAME_BYTES)?.into(),
            label: check::text("label", wire.label, 0..=MAX_METRIC_LABEL_BYTES)?.into(),
            value: wire.value,
        })
    }
}

impl From<MetricReading> for wire::MetricReading {
    fn from(metric: MetricReading) -> Self {
        Self {
            name: metric.name.into(),
            label: metric.label.into(),
            value: metric.value,
        }
    }
}
