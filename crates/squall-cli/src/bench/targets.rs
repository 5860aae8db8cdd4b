//! What is to be reached, as data: on two cores, in a release build, with the machine left alone.

use super::idle::{NOTHING, ONE_PER_SEC};
use super::pending::{KEPT, QUEUED};
use super::quantity::Quantity;
use super::section::Section;
use super::speed::{AT_RATE, HALF_OF_FULL};

/// Something to be reached.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) name: &'static str,
    pub(super) measure: Measure,
    pub(super) bound: Bound,
    /// What the numbers are.
    pub(super) unit: &'static str,
}

/// What has to keep a bound.
#[derive(Clone, Copy, Debug)]
pub(super) enum Measure {
    /// The median of an acked row.
    Median(Section, &'static str, Place, Quantity),
    /// How much more a tuple costs at most than at the smallest size.
    Growth,
    /// By how much acking lowers a case's throughput, in percent.
    AckingCost(&'static str),
}

/// Which of a case's rows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// The only one over so many processes.
    Processes(u32),
    /// The one of this setting, in one process.
    Setting(&'static str),
}

/// How much it has to be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bound {
    /// This, or more.
    AtLeast(f64),
    /// This, or less.
    AtMost(f64),
}

const fn throughput(
    name: &'static str,
    case: &'static str,
    processes: u32,
    records_per_sec: f64,
) -> Target {
    let place = Place::Processes(processes);
    Target {
        name,
        measure: Measure::Median(Section::Throughput, case, place, Quantity::RecordsPerSec),
        bound: Bound::AtLeast(records_per_sec),
        unit: "records/s",
    }
}

const fn acking_cost(name: &'static str, case: &'static str) -> Target {
    Target {
        name,
        measure: Measure::AckingCost(case),
        bound: Bound::AtMost(20.0),
        unit: "%",
    }
}

const fn latency(
    name: &'static str,
    setting: &'static str,
    quantity: Quantity,
    at_most_us: f64,
) -> Target {
    let place = Place::Setting(setting);
    Target {
        name,
        measure: Measure::Median(Section::Latency, "word-count", place, quantity),
        bound: Bound::AtMost(at_most_us),
        unit: "µs",
    }
}

const fn idle(name: &'static str, setting: &'static str) -> Target {
    let place = Place::Setting(setting);
    Target {
        name,
        measure: Measure::Median(Section::Idle, "idle", place, Quantity::CpuPercent),
        bound: Bound::AtMost(1.0),
        unit: "% of a core",
    }
}

const fn memory(name: &'static str, setting: &'static str) -> Target {
    let place = Place::Setting(setting);
    let bytes = Quantity::BytesPerPending;
    Target {
        name,
        measure: Measure::Median(Section::Pending, "pending-tuples", place, bytes),
        bound: Bound::AtMost(64.0),
        unit: "bytes",
    }
}

/// All of them.
#[rustfmt::skip]
pub(super) const TARGETS: [Target; 15] = [
    throughput("word count, one process, acked", "word-count", 1, 1_600_000.0),
    throughput("word count, two processes, acked", "word-count", 2, 1_200_000.0),
    throughput("pass-through, acked", "pass-through", 1, 24_000_000.0),
    throughput("pass-through over a hop, acked", "pass-through-hop", 1, 9_000_000.0),
    acking_cost("cost of acking, word count", "word-count"),
    acking_cost("cost of acking, pass-through", "pass-through"),
    acking_cost("cost of acking, pass-through over a hop", "pass-through-hop"),
    latency("word count at 10,000/s, p50", AT_RATE, Quantity::P50Us, 60.0),
    latency("word count at 10,000/s, p99", AT_RATE, Quantity::P99Us, 1_000.0),
    latency("word count at half of full speed, p99", HALF_OF_FULL, Quantity::P99Us, 2_000.0),
    idle("idle, nothing emitted", NOTHING),
    idle("idle, one sentence a second", ONE_PER_SEC),
    memory("memory of a pending tuple, kept by a bolt", KEPT),
    memory("memory of a pending tuple, in a queue", QUEUED),
    Target {
        name: "CPU time of a tuple, with more of everything",
        measure: Measure::Growth,
        bound: Bound::AtMost(1.15),
        unit: "times",
    },
];
