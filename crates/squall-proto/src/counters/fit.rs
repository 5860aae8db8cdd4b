//! Cuts a worker's counters to what one report has room for.

use prost::Message;
use squall_core::MetricReading;

use crate::bounds::{
    MAX_COMPONENTS, MAX_COUNTERS_BYTES, MAX_METRIC_LABEL_BYTES, MAX_METRIC_NAME_BYTES, MAX_METRICS,
};
use crate::counters::{ComponentCounters, Counters};
use crate::wire;

/// The tag and length before an element of a list, and the count of what was left out, in bytes.
const FRAMING_BYTES: usize = 8;

impl Counters {
    /// Leaves out what one report has no room for: metrics first, those of the last components before
    /// those of the first, and components only when there are thousands. Call it before sending.
    #[must_use]
    pub fn fit(self) -> Self {
        let mut room = MAX_COUNTERS_BYTES - FRAMING_BYTES;
        let mut n_omitted = self.n_omitted;
        let mut kept = Vec::new();
        for mut component in self.components {
            let metrics = std::mem::take(&mut component.metrics);
            if kept.len() < MAX_COMPONENTS && take(&mut room, component_bytes(&component)) {
                kept.push((component, metrics));
            } else {
                n_omitted = n_omitted.saturating_add(1);
            }
        }
        let components = kept.into_iter().map(|(mut component, metrics)| {
            for metric in metrics {
                let fits = is_sendable(&metric) && component.metrics.len() < MAX_METRICS;
                if fits && take(&mut room, metric_bytes(&metric)) {
                    component.metrics.push(metric);
                } else {
                    n_omitted = n_omitted.saturating_add(1);
                }
            }
            component
        });
        Self {
            components: components.collect(),
            n_omitted,
        }
    }
}

/// Takes so much of the room, if there is as much.
fn take(room: &mut usize, n_bytes: usize) -> bool {
    match room.checked_sub(n_bytes) {
        Some(rest) => {
            *room = rest;
            true
        }
        None => false,
    }
}

fn is_sendable(metric: &MetricReading) -> bool {
    (1..=MAX_METRIC_NAME_BYTES).contains(&metric.name.len())
        && metric.label.len() <= MAX_METRIC_LABEL_BYTES
}

fn component_bytes(component: &ComponentCounters) -> usize {
    wire::ComponentCounters::from(component.clone()).encoded_len() + FRAMING_BYTES
}

fn metric_bytes(metric: &MetricReading) -> usize {
    wire::MetricReading::from(metric.clone()).encoded_len() + FRAMING_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowded(n_components: usize, n_metrics: usize) -> Counters {
        let metrics = |idx: usize| MetricReading {
            name: "lag_ms".into(),
            label: format!("shardId-{idx:012}").into(),
            value: i64::MIN,
        };
        let component = |idx: usize| ComponentCounters {
            emitted: u64::MAX,
            metrics: (0..n_metrics).map(metrics).collect(),
            ..ComponentCounters::new(format!("c{idx}").as_str().into(), false)
        };
        Counters {
            components: (0..n_components).map(component).collect(),
            n_omitted: 0,
        }
    }

    #[test]
    fn counters_that_fit_stay_whole() {
        let counters = crowded(10, 10);
        assert_eq!(counters.clone().fit(), counters);
    }

    #[test]
    fn what_has_no_room_is_left_out_and_counted() {
        for (n_components, n_metrics) in [(10, 500), (3, 3000), (10_000, 1)] {
            let fitted = crowded(n_components, n_metrics).fit();
            let n_metrics_kept: usize = fitted.components.iter().map(|c| c.metrics.len()).sum();
            let n_kept = fitted.components.len();
            let lost_with_components = n_components - n_kept;
            let n_omitted = lost_with_components + n_kept * n_metrics - n_metrics_kept;
            assert_eq!(usize::try_from(fitted.n_omitted), Ok(n_omitted));
            let wire = wire::Counters::from(fitted.clone());
            assert!(wire.encoded_len() <= MAX_COUNTERS_BYTES);
            assert!(
                wire.encoded_len() > MAX_COUNTERS_BYTES / 2,
                "{n_components}"
            );
            assert_eq!(Counters::try_from(wire), Ok(fitted));
        }
    }
}
