//! A topology in this process, measured from outside: its counters and the process's.

use std::sync::Arc;
use std::time::Duration;

use squall::local::{self, Local, Totals};
use squall::{Program, Result};
use squall_core::Registry;
use squall_plan::Declared;
use squall_runtime::Options;
use squall_store::MemoryStore;

use super::board::Board;
use super::chain::Chain;
use super::components::registry;
use super::mode::Mode;
use super::run::Run;
use super::stopwatch::cpu_nanos;
use super::switches::context_switches;
use super::truth::lost;

/// How often it is looked whether it is time to take figures.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How much longer than what is measured a run may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a topology in this process and measures its middle. Has it looked at ten times a second.
///
/// # Errors
/// It can't be started, can't go on, or ends too early.
pub(super) fn run(
    chain: &Chain,
    mode: &Mode,
    program: &Program,
    look: &mut dyn FnMut(&Local),
) -> Result<Run> {
    let board = Board::shared();
    let local = start(chain, mode, &registry(&board), program)?;

    // The middle of the run is measured: not its begin, not its drain. It ends once it is measured, which a busy
    // machine puts off.
    let mut marks = Vec::new();
    let due = [mode.warm_up, mode.warm_up + mode.span];
    let begun = local.clock().now();
    local.watch(
        LOOK_EVERY,
        Some(mode.warm_up + mode.span + PATIENCE),
        |local| {
            look(local);
            let ran = local.clock().now().since(begun);
            if due.get(marks.len()).is_some_and(|due| ran >= *due) {
                marks.push(Mark::take(local, mode.acked));
                if marks.len() == due.len() {
                    local.running().drain();
                }
            }
        },
    )?;
    let [first, last] = marks.as_slice() else {
        return Err("the run was too short to be measured")?;
    };
    let figures = board.take()?;
    Ok(Run {
        records_per_sec: first.per_sec_until(last, |mark| mark.n_records),
        cpu_nanos_per_sec: first.per_sec_until(last, |mark| mark.cpu_nanos),
        switches_per_sec: first.per_sec_until(last, |mark| mark.n_switches),
        lost: lost(chain, mode.acked, &figures)?,
        n_failed: figures.n_failed,
        latencies: figures.latencies,
    })
}

/// Starts a topology in this process.
///
/// # Errors
/// It can't be started.
pub(super) fn start(
    chain: &Chain,
    mode: &Mode,
    registry: &Arc<Registry>,
    program: &Program,
) -> Result<Local> {
    let spec = chain.topology(mode)?;
    let checked = squall_plan::check(&spec, registry)?;
    let declared = Declared {
        spec,
        signatures: checked.signatures,
        warnings: checked.warnings,
    };
    let (store, options) = (Arc::new(MemoryStore::new()), Options::default());
    let local = local::start(&declared, registry, store, program.tokio(), &options)?;
    Ok(local)
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

    fn per_sec_until(&self, later: &Self, count: impl Fn(&Self) -> u64) -> u64 {
        let n = u128::from(count(later).saturating_sub(count(self)));
        let nanos = later.uptime.saturating_sub(self.uptime).as_nanos().max(1);
        u64::try_from(n * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
    }
}
