//! Whether a daemon is well, as its parts say.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The longest text of a part, in bytes.
const MAX_TEXT_BYTES: usize = 1024;

/// The parts of a daemon and how they are. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// By name; `None` for who is well.
    parts: Arc<Mutex<BTreeMap<String, Option<String>>>>,
}

/// A part's say. Dropping it takes the part out.
#[derive(Debug)]
pub struct HealthPart {
    health: Health,
    name: String,
}

/// How a daemon is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthReport {
    /// Whether every part is well.
    pub is_healthy: bool,
    /// A line for each part, in the order of their names.
    pub text: String,
}

impl Health {
    /// Begins without parts, which is well.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a part, which is not well until it says so. Names are constants of the code: a few.
    #[must_use]
    pub fn part(&self, name: &str) -> HealthPart {
        let part = HealthPart {
            health: self.clone(),
            name: name.to_owned(),
        };
        part.set_unhealthy("starting");
        part
    }

    /// Asks all parts.
    #[must_use]
    pub fn report(&self) -> HealthReport {
        let parts = self.lock();
        let mut text = String::new();
        for (name, trouble) in parts.iter() {
            let trouble = trouble.as_deref().unwrap_or("ok");
            // Writing to a string never fails.
            writeln!(text, "{name}: {trouble}").unwrap_or_default();
        }
        HealthReport {
            is_healthy: parts.values().all(Option::is_none),
            text,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Option<String>>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HealthPart {
    /// Says that the part is well.
    pub fn set_healthy(&self) {
        self.set(None);
    }

    /// Says what ails it, in one line.
    pub fn set_unhealthy(&self, trouble: &str) {
        let end = trouble.floor_char_boundary(MAX_TEXT_BYTES);
        let line = trouble.get(..end).unwrap_or_default();
        self.set(Some(line.replace(char::is_control, " ")));
    }

    fn set(&self, trouble: Option<String>) {
        self.health.lock().insert(self.name.clone(), trouble);
    }
}

impl Drop for HealthPart {
    fn drop(&mut self) {
        self.health.lock().remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_is_well_when_all_its_parts_are() {
        let health = Health::new();
        assert!(health.report().is_healthy);
        let store = health.part("store");
        let grpc = health.part("grpc");
        grpc.set_healthy();
        let report = health.report();
        assert_eq!(report.text, "grpc: ok\nstore: starting\n");
        assert!(!report.is_healthy);
        store.set_healthy();
        assert!(health.report().is_healthy);
        store.set_unhealthy("no room\non the disk");
        assert_eq!(
            health.report().text,
            "grpc: ok\nstore: no room on the disk\n"
        );
        drop(store);
        assert!(health.report().is_healthy);
    }

    #[test]
    fn what_ails_a_part_is_cut_to_a_bound() {
        let health = Health::new();
        let part = health.part("store");
        part.set_unhealthy(&"é".repeat(10_000));
        let text = health.report().text;
        assert_eq!(text.len(), "store: ".len() + MAX_TEXT_BYTES + 1);
    }
}
