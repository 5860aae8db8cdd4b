//! The source of a bench: numbered records, at full speed or at a rate.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use squall_core::{
    Activity, Clock, MessageId, Moment, Outputs, Result, Spout, SpoutEmitter, TaskContext, Value,
};

use super::board::Board;
use super::case::{Case, Mode};
use super::words::SENTENCES;

/// What a source emits.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct SourceConfig {
    /// Sentences; else numbers.
    sentences: bool,
    /// Tracks each record to its end.
    acked: bool,
    /// All tasks together; `None` is full speed.
    rate_per_sec: Option<u64>,
}

/// Emits records for as long as the topology is active.
///
/// At a rate, record `n` of a task is due `n` periods after its first one, whatever becomes of those
/// before it: a stall shows in the latencies of all that it delays.
pub(super) struct Source {
    config: SourceConfig,
    board: Board,
    values: Vec<Value>,
    n_emitted: u64,
    task_idx: usize,
    open: Option<Open>,
}

struct Open {
    clock: Arc<dyn Clock>,
    began: Moment,
    /// Between two records of this task; zero is full speed.
    period: Duration,
}

impl SourceConfig {
    pub(super) fn new(case: Case, mode: Mode) -> Self {
        Self {
            sentences: case == Case::WordCount,
            acked: mode.acked,
            rate_per_sec: mode.rate_per_sec,
        }
    }
}

impl Source {
    pub(super) fn new(config: SourceConfig, board: Board) -> Self {
        let values = if config.sentences {
            SENTENCES
                .iter()
                .map(|sentence| Value::from(*sentence))
                .collect()
        } else {
            vec![Value::I64(1)]
        };
        Self {
            config,
            board,
            values,
            n_emitted: 0,
            task_idx: 0,
            open: None,
        }
    }
}

impl Open {
    fn due(&self, number: u64) -> Moment {
        let nanos = u64::try_from(self.period.as_nanos()).unwrap_or(u64::MAX);
        self.began + Duration::from_nanos(nanos.saturating_mul(number))
    }
}

impl Spout for Source {
    fn outputs(&self) -> Outputs {
        Outputs::fields(["value", "due_ns"])
    }

    fn open(&mut self, ctx: &mut TaskContext) -> Result<()> {
        let n_tasks = u64::try_from(ctx.n_tasks()).unwrap_or(1);
        let period = self.config.rate_per_sec.map_or(Duration::ZERO, |rate| {
            Duration::from_nanos(1_000_000_000 * n_tasks / rate.max(1))
        });
        self.task_idx = ctx.task_idx();
        self.open = Some(Open {
            clock: ctx.clock().clone(),
            began: ctx.clock().now(),
            period,
        });
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutEmitter<'_>) -> Result<Activity> {
        let Some(open) = &self.open else {
            return Ok(Activity::Idle);
        };
        let mut due_ns = 0;
        if open.period > Duration::ZERO {
            let (due, now) = (open.due(self.n_emitted), open.clock.now());
            if due > now {
                return Ok(Activity::IdleFor(due.since(now)));
            }
            due_ns = i64::try_from(due.as_nanos()).unwrap_or(i64::MAX);
        }
        let value_idx = usize::try_from(self.n_emitted).unwrap_or(0) % self.values.len().max(1);
        let value = self.values.get(value_idx).cloned().unwrap_or_default();
        let row = (value, due_ns);
        if self.config.acked {
            out.tracked(MessageId(self.n_emitted)).emit(row)?;
        } else {
            out.emit(row)?;
        }
        self.n_emitted += 1;
        Ok(Activity::Emitted)
    }

    fn ack(&mut self, id: MessageId) {
        if let Some(open) = self
            .open
            .as_ref()
            .filter(|open| open.period > Duration::ZERO)
        {
            let now = open.clock.now();
            self.board.lock().note_latency(open.due(id.0), now);
        }
    }

    fn close(&mut self) {
        self.board
            .lock()
            .emitted
            .insert(self.task_idx, self.n_emitted);
    }
}
