//! The figures of a bench, as a table and as JSON.

use std::fmt;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

/// Where the p99 of an idle ping-pong is above this, latencies say more about the machine than about Squall.
const NOISY_ABOVE_US: u64 = 1_000;

/// All cases.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    cases: Vec<Measured>,
}

/// One case.
#[derive(Debug, Serialize)]
pub(super) struct Measured {
    pub(super) case: &'static str,
    pub(super) acked: bool,
    pub(super) processes: u32,
    pub(super) parallelism: u32,
    /// At full speed.
    pub(super) source_records_per_s: u64,
    /// CPU time of all threads, at full speed, for each tuple sent from one task to another.
    pub(super) cpu_ns_per_hop: u64,
    /// At which latency was measured.
    pub(super) rate_per_s: u64,
    /// From the moment a record was due until it was done.
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
    /// What it took a byte to go to another thread and back just before, while nothing else ran; where several
    /// processes were measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) idle_p99_us: Option<u64>,
    /// What didn't come to the sink, or was counted wrong.
    pub(super) lost: u64,
}

impl Report {
    pub(super) fn push(&mut self, measured: Measured) {
        self.cases.push(measured);
    }

    /// Tells whether nothing was lost.
    pub(super) fn is_complete(&self) -> bool {
        self.cases.iter().all(|case| case.lost == 0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(NOTHING).set_header([
            "case",
            "acked",
            "processes",
            "tasks",
            "records/s",
            "ns/hop",
            "p50 µs",
            "p99 µs",
            "lost",
        ]);
        for case in &self.cases {
            table.add_row([
                case.case.to_owned(),
                if case.acked { "yes" } else { "no" }.to_owned(),
                case.processes.to_string(),
                case.parallelism.to_string(),
                case.source_records_per_s.to_string(),
                case.cpu_ns_per_hop.to_string(),
                case.p50_us.to_string(),
                case.p99_us.to_string(),
                case.lost.to_string(),
            ]);
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        writeln!(f, "{table}")?;
        let mut rates: Vec<u64> = self.cases.iter().map(|case| case.rate_per_s).collect();
        rates.dedup();
        for rate in rates {
            write!(
                f,
                "\nLatency from when a record was due, at {rate} records/s."
            )?;
        }
        for us in self.cases.iter().filter_map(|case| case.idle_p99_us) {
            let noisy = if us > NOISY_ABOVE_US { ": noisy" } else { "" };
            write!(f, "\nAn idle ping-pong's p99 just before: {us} µs{noisy}.")?;
        }
        Ok(())
    }
}
