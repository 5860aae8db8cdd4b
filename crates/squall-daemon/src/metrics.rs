//! Metrics, rendered as the text that Prometheus reads.
//!
//! The registry is a value that is passed on: nothing is global. Names are `squall_<area>_<noun>_<unit>`, and
//! counters get their `_total` when they are rendered; the prefix `squall_` is added here.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use crate::identity::Identity;

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

#[cfg(test)]
mod tests {
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
}
