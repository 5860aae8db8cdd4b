//! The parts of a report: rows that show the same quantities.

use super::quantity::Quantity;

/// A part of a report, a table of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// At full speed.
    Throughput,
    /// At a fixed rate.
    Latency,
}

impl Section {
    /// All of them, in the order of a report.
    pub(super) const ALL: [Self; 2] = [Self::Throughput, Self::Latency];

    /// Returns its name in JSON.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Throughput => "cases",
            Self::Latency => "latencies",
        }
    }

    /// Returns what its rows show, in the order of the columns.
    pub(super) const fn quantities(self) -> &'static [Quantity] {
        use Quantity::{
            CpuNsPerHop, IdleP99Us, Lost, P50Us, P99Us, RatePerSec, RecordsPerSec,
            SwitchesPerThousand,
        };
        match self {
            Self::Throughput => &[RecordsPerSec, CpuNsPerHop, SwitchesPerThousand, Lost],
            Self::Latency => &[RatePerSec, P50Us, P99Us, IdleP99Us, Lost],
        }
    }

    /// Returns what its numbers are, in a line above the table.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Throughput => "At full speed:",
            Self::Latency => "Latency from when a record was due until it was done:",
        }
    }
}
