//! One case, measured: at full speed, then at a rate.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use squall::local::{self, Local, Totals};
use squall::{Program, Result};
use squall_plan::Declared;
use squall_runtime::Options;
use squall_store::MemoryStore;

use super::WARM_UP;
use super::board::Board;
use super::case::{Case, Mode, add_words, registry};
use super::figures::Figures;
use super::latencies::Latencies;
use super::quantity::Quantity;
use super::report::Report;
use super::row::{Key, Sample};
use super::section::Section;
use super::stopwatch::cpu_nanos;
use super::switches::context_switches;

/// The rate at which latency is measured.
const RATE_PER_SEC: u64 = 10_000;

/// How often it is looked whether it is time to take figures.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How much longer than what is measured a run may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What one run showed.
pub(super) struct Run {
    pub(super) records_per_sec: u64,
    pub(super) cpu_ns_per_record: f64,
    pub(super) switches_per_record: f64,
    pub(super) latencies: Latencies,
    pub(super) lost: u64,
}

impl Run {
    /// Returns what a run at full speed says.
    pub(super) fn throughput(&self, case: Case) -> Sample {
        Sample::from([
            (Quantity::RecordsPerSec, self.records_per_sec as f64),
            (
                Quantity::CpuNsPerHop,
                self.cpu_ns_per_record / case.hops() as f64,
            ),
            (
                Quantity::SwitchesPerThousand,
                self.switches_per_record * 1000.0,
            ),
            (Quantity::Lost, self.lost as f64),
        ])
    }

    /// Returns what a run at this rate says.
    pub(super) fn latency(&self, rate_per_sec: u64) -> Sample {
        let us = |quantile| self.latencies.value_us(quantile) as f64;
        Sample::from([
            (Quantity::RatePerSec, rate_per_sec as f64),
            (Quantity::P50Us, us(0.5)),
            (Quantity::P99Us, us(0.99)),
            (Quantity::Lost, self.lost as f64),
        ])
    }
}

/// Measures a case for `secs` at full speed and for `secs` at a rate.
///
/// # Errors
/// The topology can't be run, or for too short a time.
pub(super) fn measure(
    case: Case,
    acked: bool,
    secs: u32,
    (program, report): (&Program, &mut Report),
) -> Result<()> {
    let run = |rate_per_sec| {
        let mode = Mode {
            acked,
            rate_per_sec,
            warm_up: WARM_UP,
            span: Duration::from_secs(u64::from(secs)),
            processes: 1,
            host: None,
        };
        run(case, &mode, program)
    };
    let key = Key {
        case: case.name().to_owned(),
        acked,
        processes: 1,
        parallelism: case.parallelism(1),
        setting: String::new(),
    };
    report.add(
        Section::Throughput,
        key.clone(),
        run(None)?.throughput(case),
    );
    let paced = run(Some(RATE_PER_SEC))?;
    report.add(Section::Latency, key, paced.latency(RATE_PER_SEC));
    Ok(())
}

fn run(case: Case, mode: &Mode, program: &Program) -> Result<Run> {
    let board = Board::shared();
    let registry = registry(&board);
    let spec = case.topology(mode)?;
    let checked = squall_plan::check(&spec, &registry)?;
    let declared = Declared {
        spec,
        signatures: checked.signatures,
        warnings: checked.warnings,
    };
    let (store, options) = (Arc::new(MemoryStore::new()), Options::default());
    let local = local::start(&declared, &registry, store, program.tokio(), &options)?;

    // The middle of the run is measured: not its begin, not its drain. It ends once it is measured, which a busy
    // machine puts off.
    let mut marks = Vec::new();
    let due = [WARM_UP, WARM_UP + mode.span];
    let begun = local.clock().now();
    local.watch(LOOK_EVERY, Some(WARM_UP + mode.span + PATIENCE), |local| {
        let ran = local.clock().now().since(begun);
        if due.get(marks.len()).is_some_and(|due| ran >= *due) {
            marks.push(Mark::take(local, mode.acked));
            if marks.len() == due.len() {
                local.running().drain();
            }
        }
    })?;
    let [first, last] = marks.as_slice() else {
        return Err("the run was too short to be measured")?;
    };
    let n_records = last.n_records.saturating_sub(first.n_records).max(1) as f64;
    let figures = board.take()?;
    Ok(Run {
        records_per_sec: first.rate_until(last),
        cpu_ns_per_record: last.cpu_nanos.saturating_sub(first.cpu_nanos) as f64 / n_records,
        switches_per_record: last.n_switches.saturating_sub(first.n_switches) as f64 / n_records,
        lost: lost(case, &figures),
        latencies: figures.latencies,
    })
}

/// Counters at one moment.
struct Mark {
    uptime: Duration,
    cpu_nanos: u64,
    n_switches: u64,
    n_records: u64,
}

impl Mark {
    fn take(local: &Local, acked: bool) -> Self {
        let snapshot = local.running().snapshot();
        let totals = Totals::of(&snapshot);
        Self {
            uptime: snapshot.uptime,
            cpu_nanos: cpu_nanos(),
            n_switches: context_switches(),
            n_records: if acked { totals.acked } else { totals.emitted },
        }
    }

    fn rate_until(&self, later: &Self) -> u64 {
        let n_records = u128::from(later.n_records.saturating_sub(self.n_records));
        let nanos = later.uptime.saturating_sub(self.uptime).as_nanos().max(1);
        u64::try_from(n_records * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
    }
}

/// Compares what came to the sinks with what follows from the number of records emitted.
pub(super) fn lost(case: Case, figures: &Figures) -> u64 {
    let n_emitted: u64 = figures.emitted.values().sum();
    let missing = (n_emitted * case.sunk()).abs_diff(figures.n_sunk);
    if case != Case::WordCount {
        return missing;
    }
    let mut expected = HashMap::new();
    for n_records in figures.emitted.values() {
        add_words(*n_records, &mut expected);
    }
    let miscounted = expected.iter().map(|(word, times)| {
        let counted = figures.counts.get(*word).copied().unwrap_or(0);
        times.abs_diff(counted)
    });
    missing.max(miscounted.sum())
}
