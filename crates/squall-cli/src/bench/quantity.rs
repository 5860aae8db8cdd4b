//! What is measured: its name in JSON, its heading in tables, and which way is better.

/// Something that a run of a case shows as one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Quantity {
    /// Records of all sources that were done in a second: acked where they are tracked, else emitted.
    RecordsPerSec,
    /// CPU time of all threads for each tuple sent from one task to another, in nanoseconds.
    CpuNsPerHop,
    /// How often threads gave way to others, willingly or not, for 1,000 records.
    SwitchesPerThousand,
    /// CPU time of all threads, in percent of a core.
    CpuPercent,
    /// How often threads gave way to others in a second.
    SwitchesPerSec,
    /// At which latency was measured.
    RatePerSec,
    /// Half of the records were done within this time after they were due, in microseconds.
    P50Us,
    /// And 99 of 100.
    P99Us,
    /// What it took a byte to go to another thread and back, while nothing else ran, in microseconds.
    IdleP99Us,
    /// The most tuple trees that were seen pending.
    MaxPending,
    /// The most that may be.
    PendingBound,
    /// The most bytes that were seen waiting in front of bolts.
    MaxQueuedBytes,
    /// Records that came back failed, by a time-out or otherwise.
    Failed,
    /// Memory for each pending tuple, beyond its values.
    BytesPerPending,
    /// As much of that as the token takes that its bolt keeps.
    TokenBytes,
    /// As much of that as the ledger may take for its tree.
    LedgerBytes,
    /// CPU time for each tuple, by that at the smallest size.
    RatioToSmallest,
    /// What didn't come to the sink, or was counted wrong, or wasn't acked.
    Lost,
}

/// Which way a quantity gets better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Better {
    /// The more of it, the faster.
    Higher,
    /// The less of it, the faster.
    Lower,
    /// The less of it, the better; it is no speed.
    Less,
    /// It is neither good nor bad.
    Neither,
}

impl Quantity {
    /// Returns its name in JSON.
    pub(super) const fn name(self) -> &'static str {
        self.known_as().0
    }

    /// Returns its heading in tables.
    pub(super) const fn heading(self) -> &'static str {
        self.known_as().1
    }

    const fn known_as(self) -> (&'static str, &'static str) {
        match self {
            Self::RecordsPerSec => ("source_records_per_s", "records/s"),
            Self::CpuNsPerHop => ("cpu_ns_per_hop", "ns/hop"),
            Self::SwitchesPerThousand => ("switches_per_1000_records", "switches/1000"),
            Self::CpuPercent => ("cpu_percent_of_core", "% of a core"),
            Self::SwitchesPerSec => ("switches_per_s", "switches/s"),
            Self::RatePerSec => ("rate_per_s", "records/s"),
            Self::P50Us => ("p50_us", "p50 µs"),
            Self::P99Us => ("p99_us", "p99 µs"),
            Self::IdleP99Us => ("idle_p99_us", "idle p99 µs"),
            Self::MaxPending => ("max_pending", "most pending"),
            Self::PendingBound => ("max_spout_pending", "bound"),
            Self::MaxQueuedBytes => ("max_queued_bytes", "most bytes queued"),
            Self::Failed => ("failed", "failed"),
            Self::BytesPerPending => ("bytes_per_pending_tuple", "bytes/tuple"),
            Self::TokenBytes => ("token_bytes", "token"),
            Self::LedgerBytes => ("ledger_bytes_at_most", "ledger at most"),
            Self::RatioToSmallest => ("ratio_to_smallest", "ratio"),
            Self::Lost => ("lost", "lost"),
        }
    }

    /// Returns which way it gets better.
    pub(super) const fn better(self) -> Better {
        match self {
            Self::RecordsPerSec => Better::Higher,
            Self::CpuNsPerHop | Self::P50Us | Self::P99Us => Better::Lower,
            Self::CpuPercent | Self::BytesPerPending => Better::Less,
            Self::SwitchesPerThousand
            | Self::SwitchesPerSec
            | Self::RatePerSec
            | Self::IdleP99Us
            | Self::MaxPending
            | Self::PendingBound
            | Self::MaxQueuedBytes
            | Self::Failed
            | Self::TokenBytes
            | Self::LedgerBytes
            | Self::RatioToSmallest
            | Self::Lost => Better::Neither,
        }
    }

    /// Writes a value of it, with as many decimals as mean anything.
    pub(super) fn text(self, value: f64) -> String {
        let n_decimals = match self {
            Self::CpuNsPerHop | Self::BytesPerPending | Self::TokenBytes | Self::LedgerBytes => 1,
            Self::SwitchesPerThousand | Self::CpuPercent | Self::RatioToSmallest => 2,
            _ => 0,
        };
        format!("{value:.n_decimals$}")
    }
}
