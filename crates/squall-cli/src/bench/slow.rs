//! A bolt that can't keep up: what is pending and what waits in queues has to stay within their bounds.

use std::hint::spin_loop;
use std::sync::Arc;
use std::time::Duration;

use squall_core::{Bolt, Clock, Emitter, Outputs, Result, Settings, TaskContext, Tuple};

use super::chain::Chain;
use super::mode::Pace;
use super::quantity::Quantity;
use super::rig::{Rig, key};
use super::row::Sample;
use super::section::Section;

/// How long the bolt takes for a tuple.
const TAKES: Duration = Duration::from_micros(100);

/// Passes everything on, slowly.
#[derive(Default)]
pub(super) struct Slow {
    clock: Option<Arc<dyn Clock>>,
}

impl Bolt for Slow {
    fn outputs(&self) -> Outputs {
        Outputs::fields(["value", "due_ns"])
    }

    fn prepare(&mut self, ctx: &mut TaskContext) -> Result<()> {
        self.clock = Some(ctx.clock().clone());
        Ok(())
    }

    fn execute(&mut self, input: &Tuple, out: &mut Emitter<'_>) -> Result<()> {
        if let Some(clock) = &self.clock {
            let until = clock.now() + TAKES;
            while clock.now() < until {
                spin_loop();
            }
        }
        Ok(out.emit(input.values())?)
    }
}

/// Runs a topology at full speed and looks how much is pending, and how much waits, at most.
///
/// # Errors
/// The topology can't be run.
pub(super) fn measure(chain: &Chain, rig: &mut Rig<'_>) -> Result<()> {
    let (mut max_pending, mut max_queued_bytes) = (0, 0);
    let run = rig.watch(chain, (true, Pace::Full), &mut |local| {
        let snapshot = local.running().snapshot();
        let queued_bytes = snapshot.tasks.iter().map(|task| task.queued_bytes);
        max_pending = snapshot.pending().max(max_pending);
        max_queued_bytes = queued_bytes.sum::<u64>().max(max_queued_bytes);
    })?;
    let bound = u64::from(Settings::default().max_spout_pending);
    let sample = Sample::from([
        (Quantity::RecordsPerSec, run.records_per_sec as f64),
        (Quantity::MaxPending, max_pending as f64),
        (Quantity::PendingBound, bound as f64),
        (Quantity::MaxQueuedBytes, max_queued_bytes as f64),
        (Quantity::Failed, run.n_failed as f64),
        (Quantity::Lost, run.lost as f64),
    ]);
    rig.add(Section::BackPressure, key(chain, true, ""), sample);
    Ok(())
}
