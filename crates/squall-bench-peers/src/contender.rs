//! Who is compared: an engine, and how it runs a job.

use serde::Serialize;

use crate::job::Job;

/// A row of the report, for each of its jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Contender {
    SquallAcked,
    SquallUnacked,
    Timely,
    Renoir,
    RenoirHops,
    RenoirTextHops,
    Flink,
}

impl Contender {
    /// Returns the engine and its version, where it is built in; reports say those of the others.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SquallAcked => "Squall, acked",
            Self::SquallUnacked => "Squall, unacked",
            Self::Timely => "timely 0.32.0",
            Self::Renoir => "renoir 0.6.0",
            Self::RenoirHops => "renoir 0.6.0, two hops",
            Self::RenoirTextHops => "renoir 0.6.0, two hops of text",
            Self::Flink => "Flink",
        }
    }

    /// Returns what it promises for what goes through, and where its job is another than Squall's.
    pub(crate) const fn terms(self, job: Job) -> &'static str {
        match (self, job) {
            (Self::SquallAcked, _) => "each record acked",
            (Self::SquallUnacked, _) => "none",
            (Self::Timely, _) => "none; queues bounded by the source",
            (Self::Renoir, Job::PassThrough) => "none; compiled into one loop",
            (Self::Renoir | Self::RenoirHops, _) => "none",
            (Self::RenoirTextHops, _) => "none; a new String for each record",
            (Self::Flink, Job::WordCountOverTwo) => {
                "checkpoints each second; two task managers over loopback, in one JVM"
            }
            (Self::Flink, _) => "checkpoints each second",
        }
    }

    /// Tells whether it is Squall.
    pub(crate) const fn is_ours(self) -> bool {
        matches!(self, Self::SquallAcked | Self::SquallUnacked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_manifest() {
        let manifest = include_str!("../Cargo.toml");
        for contender in [Contender::Timely, Contender::Renoir] {
            let (name, version) = contender.name().split_once(' ').unwrap();
            let line = manifest.lines().find(|line| {
                let rest = line.strip_prefix(name);
                rest.is_some_and(|rest| rest.starts_with(" = "))
            });
            let line = line.unwrap();
            assert!(line.contains(&format!("\"={version}\"")), "{line}");
        }
    }
}
