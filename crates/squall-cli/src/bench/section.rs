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
    /// With a bolt that can't keep up.
    BackPressure,
}

impl Section {
    /// All of them, in the order of a report.
    pub(super) const ALL: [Self; 4] = [
        Self::Throughput,
        Self::Latency,
        Self::Idle,
        Self::BackPressure,
    ];

    /// Returns its name in JSON.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Throughput => "cases",
            Self::Latency => "latencies",
            Self::Idle => "idle",
            Self::BackPressure => "back_pressure",
        }
    }

    /// Returns what its rows show, in the order of the columns.
    pub(super) const fn quantities(self) -> &'static [Quantity] {
        use Quantity as Q;
        match self {
            Self::Throughput => &[
                Q::RecordsPerSec,
                Q::CpuNsPerHop,
                Q::SwitchesPerThousand,
                Q::Lost,
            ],
            Self::BackPressure => &[
                Q::RecordsPerSec,
                Q::MaxPending,
                Q::PendingBound,
                Q::MaxQueuedBytes,
                Q::Failed,
                Q::Lost,
            ],
            Self::Idle => &[Q::CpuPercent, Q::SwitchesPerSec, Q::Lost],
            Self::Latency => &[Q::RatePerSec, Q::P50Us, Q::P99Us, Q::IdleP99Us, Q::Lost],
        }
    }

    /// Returns what its numbers are, in a line above the table.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Throughput => "At full speed:",
            Self::BackPressure => "Behind a bolt that can't keep up:",
            Self::Idle => "With next to nothing to do:",
            Self::Latency => "Latency from when a record was due until it was done:",
        }
    }
}
