//! What one run of a topology showed.

use squall::Result;

use super::chain::Chain;
use super::latencies::Latencies;
use super::quantity::Quantity;
use super::row::Sample;

/// What one run showed: of its middle, without begin and end.
#[derive(Debug)]
pub(super) struct Run {
    /// Records done: acked where they are tracked, else emitted.
    pub(super) records_per_sec: u64,
    /// CPU time of all threads, in nanoseconds.
    pub(super) cpu_nanos_per_sec: u64,
    /// How often threads gave way to others.
    pub(super) switches_per_sec: u64,
    /// From due to done; none at full speed.
    pub(super) latencies: Latencies,
    /// How many records came back failed, of the whole run.
    pub(super) n_failed: u64,
    /// What is lost of the whole run.
    pub(super) lost: u64,
}

impl Run {
    /// Returns what a run at full speed says.
    ///
    /// # Errors
    /// The source's file can't be read.
    pub(super) fn throughput(&self, chain: &Chain) -> Result<Sample> {
        let n_records = self.records_per_sec.max(1) as f64;
        let cpu_ns = self.cpu_nanos_per_sec as f64 / n_records;
        let n_switches = self.switches_per_sec as f64 / n_records;
        Ok(Sample::from([
            (Quantity::RecordsPerSec, self.records_per_sec as f64),
            (Quantity::CpuNsPerHop, cpu_ns / chain.hops()?),
            (Quantity::SwitchesPerThousand, n_switches * 1000.0),
            (Quantity::Lost, self.lost as f64),
        ]))
    }

    /// Returns what a run with next to nothing to do says.
    pub(super) fn idleness(&self) -> Sample {
        let cores = self.cpu_nanos_per_sec as f64 / 1e9;
        Sample::from([
            (Quantity::CpuPercent, cores * 100.0),
            (Quantity::SwitchesPerSec, self.switches_per_sec as f64),
            (Quantity::Lost, self.lost as f64),
        ])
    }

    /// Returns what a run at this rate says, on a machine that was so late itself.
    pub(super) fn latency(&self, rate_per_sec: u64, idle_us: u64) -> Sample {
        let us = |quantile| self.latencies.value_us(quantile) as f64;
        Sample::from([
            (Quantity::RatePerSec, rate_per_sec as f64),
            (Quantity::P50Us, us(0.5)),
            (Quantity::P99Us, us(0.99)),
            (Quantity::IdleP99Us, idle_us as f64),
            (Quantity::Lost, self.lost as f64),
        ])
    }
}
