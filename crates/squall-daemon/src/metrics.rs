//! Metrics, rendered as the text that Prometheus reads.
//!
//! The registry is a value that is passed on: nothing is global. Names are `squall_<area>_<noun>_<unit>`, and
//! counters get their `_total` when they are rendered; the prefix `squall_` is added here.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use crate::identity::Identity;
use crate::net::ListenerStats;

/// The metrics of a process. Clones are the same.
#[derive(Clone)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Metrics {
    /// Begins with one metric: which engine this is.
    #[must_use]
    pub fn new(identity: &Identity) -> Self {
        let mut registry = Registry::with_prefix("squall");
        let glibc = identity.glibc.map(|glibc| glibc.to_string());
        let info = Info::new(vec![
            ("version", identity.engine_version.clone()),
            ("target", identity.target.clone()),
            ("glibc", glibc.unwrap_or_default()),
        ]);
        registry.register("engine", "The engine that runs here", info);
        Self(Arc::new(Mutex::new(registry)))
    }

    /// Adds a metric. The text is for people and ends without a full stop. The values of its labels must be
    /// few and bounded.
    pub fn register(&self, name: &str, help: &str, metric: impl Metric) {
        self.with(|registry| registry.register(name, help, metric));
    }

    /// Adds something that is asked for its metrics each time they are rendered: for what is known elsewhere.
    pub fn register_collector(&self, collector: Box<dyn Collector>) {
        self.with(|registry| registry.register_collector(collector));
    }

    /// Adds what a listener counts, under names that begin with `area`.
    pub fn register_listener(&self, area: &str, stats: Arc<ListenerStats>) {
        let area = area.to_owned();
        self.register_collector(Box::new(ListenerCollector { area, stats }));
    }

    /// Renders all of them.
    ///
    /// # Errors
    /// A collector fails.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        self.with(|registry| encode(&mut text, registry))?;
        Ok(text)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Registry) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// Reads a listener's counters when they are asked for.
#[derive(Debug)]
struct ListenerCollector {
    area: String,
    stats: Arc<ListenerStats>,
}

impl Collector for ListenerCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let stats = &self.stats;
        for (name, help, n) in [
            ("accepted", "Connections taken", stats.n_accepted()),
            (
                "refused",
                "Connections closed because there were as many as there may be",
                stats.n_refused(),
            ),
            (
                "silent",
                "Connections closed because nothing was said",
                stats.n_silent(),
            ),
        ] {
            let (name, counter) = (
                format!("{}_connections_{name}", self.area),
                ConstCounter::new(n),
            );
            // The registry adds the full stop to those that it describes itself.
            let help = format!("{help}.");
            let metric = encoder.encode_descriptor(&name, &help, None, counter.metric_type())?;
            counter.encode(metric)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[test]
    fn renders_what_was_registered_under_our_prefix() {
        let identity = Identity {
            engine_version: "1.2.3".to_owned(),
            target: "x86_64-unknown-linux-gnu".to_owned(),
            glibc: Some("2.36".parse().unwrap()),
        };
        let metrics = Metrics::new(&identity);
        let counter = Counter::<u64>::default();
        metrics.register("nimbus_submits", "Topologies submitted", counter.clone());
        counter.inc_by(3);
        let text = metrics.render().unwrap();
        let expected = concat!(
            "# HELP squall_engine The engine that runs here.\n",
            "# TYPE squall_engine info\n",
            "squall_engine_info{version=\"1.2.3\",target=\"x86_64-unknown-linux-gnu\",glibc=\"2.36\"} 1\n",
            "# HELP squall_nimbus_submits Topologies submitted.\n",
            "# TYPE squall_nimbus_submits counter\n",
            "squall_nimbus_submits_total 3\n",
            "# EOF\n",
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn a_listeners_counters_are_read_when_they_are_asked_for() {
        let identity = Identity {
            engine_version: "1.2.3".to_owned(),
            target: "x86_64-unknown-linux-gnu".to_owned(),
            glibc: None,
        };
        let metrics = Metrics::new(&identity);
        let stats = Arc::new(ListenerStats::default());
        metrics.register_listener("nimbus", Arc::clone(&stats));
        stats.refused.fetch_add(2, Ordering::Relaxed);
        let text = metrics.render().unwrap();
        for expected in [
            "# HELP squall_nimbus_connections_refused Connections closed because there were as many as there may be.\n",
            "# TYPE squall_nimbus_connections_refused counter\nsquall_nimbus_connections_refused_total 2\n",
            "\nsquall_nimbus_connections_accepted_total 0\n",
            "\nsquall_nimbus_connections_silent_total 0\n",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }
}
