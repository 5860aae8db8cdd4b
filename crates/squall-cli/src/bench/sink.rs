//! The end of a bench: counts what comes, and when.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use squall_core::{Bolt, Clock, Emitter, Moment, Result, Str, TaskContext, Tuple, Value};

use super::board::Board;
use super::figures::Figures;
use super::host::Host;
use super::mode::Mode;

/// How a sink is set up.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct SinkConfig {
    /// The bench, where it is another process.
    host: Option<Host>,
}

impl SinkConfig {
    pub(super) fn new(mode: &Mode) -> Self {
        Self {
            host: mode.host.clone(),
        }
    }

    pub(super) const fn host(&self) -> Option<&Host> {
        self.host.as_ref()
    }
}

/// Reads `count` and `due_ns`, and `word` where there is one. Records that were not due at any time, as at
/// full speed, are counted only.
pub(super) struct Sink {
    config: SinkConfig,
    board: Board,
    figures: Figures,
    counts: HashMap<Str, i64, RandomState>,
    clock: Option<Arc<dyn Clock>>,
}

impl Sink {
    pub(super) fn new(config: SinkConfig, board: Board) -> Self {
        Self {
            config,
            board,
            figures: Figures::default(),
            counts: HashMap::default(),
            clock: None,
        }
    }
}

impl Bolt for Sink {
    fn prepare(&mut self, ctx: &mut TaskContext) -> Result<()> {
        match self.config.host() {
            // Each worker has a sink. Clocks of several processes have nothing to do with each other.
            Some(host) => host.end_with_it(ctx),
            None => self.clock = Some(ctx.clock().clone()),
        }
        Ok(())
    }

    fn execute(&mut self, input: &Tuple, _: &mut Emitter<'_>) -> Result<()> {
        self.figures.n_sunk += 1;
        let values = input.values();
        let Some(Value::I64(due_ns)) = values.get(1) else {
            return Err("a sink reads when records were due")?;
        };
        if let (Some(Value::I64(count)), Some(Value::Str(word))) = (values.first(), values.get(2)) {
            match self.counts.get_mut(word) {
                Some(last) => *last = *count,
                None => drop(self.counts.insert(word.clone(), *count)),
            }
        }
        if let (Ok(due @ 1..), Some(clock)) = (u64::try_from(*due_ns), &self.clock) {
            let now = clock.now();
            self.figures.note_latency(Moment::from_nanos(due), now);
        }
        Ok(())
    }

    fn close(&mut self) {
        let mut figures = std::mem::take(&mut self.figures);
        let counts = self.counts.drain();
        figures.counts = counts
            .map(|(word, count)| (word.to_string(), count))
            .collect();
        self.board.leave(figures);
    }
}
