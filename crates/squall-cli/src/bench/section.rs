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
    /// Memory.
    Pending,
    /// With more and more of everything.
    Growth,
}

impl Section {
    /// All of them, in the order of a report.
    pub(super) const ALL: [Self; 6] = [
        Self::Throughput,
        Self::Latency,
        Self::Idle,
        Self::BackPressure,
        Self::Pending,
        Self::Growth,
    ];

    /// Returns its name in JSON.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Throughput => "cases",
            Self::Latency => "latencies",
            Self::Idle => "idle",
            Self::BackPressure => "back_pressure",
            Self::Pending => "pending",
            Self::Growth => "growth",
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
            Self::Pending => &[Q::BytesPerPending, Q::TokenBytes, Q::LedgerBytes],
            Self::Growth => &[
                Q::RecordsPerSec,
                Q::CpuNsPerHop,
                Q::RatioToSmallest,
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
            Self::Pending => "Memory of a pending tuple, beyond its values:",
            Self::Growth => "With more of everything:",
            Self::BackPressure => "Behind a bolt that can't keep up:",
            Self::Idle => "With next to nothing to do:",
            Self::Latency => "Latency from when a record was due until it was done:",
        }
    }
}
