//! The parts of a report: rows that show the same quantities.

use super::quantity::Quantity;

/// A part of a report, a table of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// At full speed.
    Throughput,
    /// At a fixed rate.
    Latency,
    /// With next to nothing to do.
    Idle,
}

impl Section {
    /// All of them, in the order of a report.
    pub(super) const ALL: [Self; 3] = [Self::Throughput, Self::Latency, Self::Idle];

    /// Returns its name in JSON.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Throughput => "cases",
            Self::Latency => "latencies",
            Self::Idle => "idle",
        }
    }

    /// Returns what its rows show, in the order of the columns.
    pub(super) const fn quantities(self) -> &'static [Quantity] {
        use Quantity::{
            CpuNsPerHop, CpuPercent, IdleP99Us, Lost, P50Us, P99Us, RatePerSec, RecordsPerSec,
            SwitchesPerSec, SwitchesPerThousand,
        };
        match self {
            Self::Throughput => &[RecordsPerSec, CpuNsPerHop, SwitchesPerThousand, Lost],
            Self::Idle => &[CpuPercent, SwitchesPerSec, Lost],
            Self::Latency => &[RatePerSec, P50Us, P99Us, IdleP99Us, Lost],
        }
    }

    /// Returns what its numbers are, in a line above the table.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Throughput => "At full speed:",
            Self::Idle => "With next to nothing to do:",
            Self::Latency => "Latency from when a record was due until it was done:",
        }
    }
}
