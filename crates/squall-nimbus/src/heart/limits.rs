//! The heart's bounds and time-outs.

use std::time::Duration;

use squall_core::HumanDuration;

/// Bounds and time-outs of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a supervisor may be silent before it is lost and its workers move. Default 10s.
    pub supervisor_timeout: HumanDuration,
    /// How long a supervisor that the store knows may take to come back before it is lost, after nimbus has
    /// started, has stood still, or was cut off from all supervisors. Default 20s.
    pub start_grace: HumanDuration,
    /// The longest time between two ticks that isn't taken for a standstill of nimbus itself. Default 5s.
    pub standstill: HumanDuration,
    /// How often a worker may be started again in a slot within `shun_for` before it counts as crash-looping,
    /// should its supervisor not say so first. Default 10.
    pub max_restarts: u32,
    /// How long a supervisor is shunned by a worker that crash-looped there. Default 10m.
    pub shun_for: HumanDuration,
    /// How long a lost supervisor without workers is remembered. Default 1h.
    pub forget_after: HumanDuration,
    /// The most topologies. Default 1000.
    pub max_topologies: usize,
    /// The most bytes of specs of all topologies together. Default 32 MiB.
    pub max_spec_bytes: usize,
    /// The most supervisors. Default 2000.
    pub max_supervisors: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            supervisor_timeout: HumanDuration::from_secs(10),
            start_grace: HumanDuration::from_secs(20),
            standstill: HumanDuration::from_secs(5),
            max_restarts: 10,
            shun_for: HumanDuration(Duration::from_secs(600)),
            forget_after: HumanDuration(Duration::from_secs(3600)),
            max_topologies: 1000,
            max_spec_bytes: 32 << 20,
            max_supervisors: 2000,
        }
    }
}
