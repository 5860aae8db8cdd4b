//! What one run of a topology showed.

use super::chain::Chain;
use super::latencies::Latencies;
use super::quantity::Quantity;
use super::row::Sample;

/// What one run showed: of its middle, without begin and end.
#[derive(Debug)]
pub(super) struct Run {
    /// Records done: acked where they are tracked, else emitted.
    pub(super) records_per_sec: u64,
    /// CPU time of all threads.
    pub(super) cpu_ns_per_record: f64,
    /// Context switches of all threads.
    pub(super) switches_per_record: f64,
    /// From due to done; none at full speed.
    pub(super) latencies: Latencies,
    /// What is lost of the whole run.
    pub(super) lost: u64,
}

impl Run {
    /// Returns what a run at full speed says.
    pub(super) fn throughput(&self, chain: &Chain) -> Sample {
        Sample::from([
            (Quantity::RecordsPerSec, self.records_per_sec as f64),
            (Quantity::CpuNsPerHop, self.cpu_ns_per_record / chain.hops()),
            (
                Quantity::SwitchesPerThousand,
                self.switches_per_record * 1000.0,
            ),
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
