//! When, where and with what it was measured.

use std::fs;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;
use std::time::SystemTime;

use serde::Serialize;

use crate::args::{Allocator, Args};
use crate::contender::Contender;

/// What has to be known of figures beside them.
#[derive(Debug, Serialize)]
pub(crate) struct Setting {
    /// When it began, in UTC.
    pub(super) date: String,
    pub(super) n_cores: usize,
    pub(super) arch: &'static str,
    pub(super) os: &'static str,
    /// How many threads wanted a core in the minute before; `None` where the system doesn't say.
    pub(super) load_before: Option<f64>,
    pub(super) seconds: u64,
    pub(super) rounds: u32,
    /// Of timely and renoir.
    pub(super) allocator: &'static str,
    /// `None` where it is not measured.
    pub(super) flink_version: Option<String>,
}

impl Setting {
    /// Looks around. To be called before anything is built.
    pub(crate) fn look(args: &Args) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the date of a report is that of the machine"
        )]
        let now = SystemTime::now();
        Self {
            date: humantime::format_rfc3339_seconds(now).to_string(),
            n_cores: available_parallelism().map_or(1, NonZeroUsize::get),
            arch: std::env::consts::ARCH,
            os: std::env::consts::OS,
            load_before: fs::read_to_string("/proc/loadavg")
                .ok()
                .and_then(|text| load(&text)),
            seconds: args.span().as_secs(),
            rounds: args.repeat.get(),
            allocator: match args.allocator {
                Allocator::Mimalloc => "mimalloc, as Squall does",
                Allocator::System => "the system's allocator",
            },
            flink_version: None,
        }
    }

    /// Adds which Flink is measured.
    pub(crate) fn with_flink(mut self, version: Option<&str>) -> Self {
        self.flink_version = version.map(str::to_owned);
        self
    }

    /// Returns the name and version of a contender's engine.
    pub(super) fn engine(&self, contender: Contender) -> String {
        match (contender, &self.flink_version) {
            (Contender::Flink, Some(version)) => format!("{} {version}", contender.name()),
            _ => contender.name().to_owned(),
        }
    }

    #[cfg(test)]
    pub(super) fn example() -> Self {
        Self {
            date: "2026-11-23T10:00:00Z".into(),
            n_cores: 2,
            arch: "x86_64",
            os: "linux",
            load_before: Some(0.1),
            seconds: 5,
            rounds: 3,
            allocator: "mimalloc, as Squall does",
            flink_version: None,
        }
    }
}

fn load(text: &str) -> Option<f64> {
    text.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_is_that_of_the_last_minute() {
        assert_eq!(load("0.52 1.11 0.73 2/345 24864\n"), Some(0.52));
        assert_eq!(load(""), None);
    }

    #[test]
    fn flink_is_named_with_its_version() {
        let setting = Setting::example().with_flink(Some("2.3.0"));
        assert_eq!(setting.engine(Contender::Flink), "Flink 2.3.0");
        assert_eq!(setting.engine(Contender::SquallAcked), "Squall, acked");
    }
}
