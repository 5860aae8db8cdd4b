//! A spout that emits given tuples, and again those that fail.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use schemars::JsonSchema;
use serde::Deserialize;

use squall_core::replay::{Decision, OnExhausted, Pending, ReplayConfig};
use squall_core::{
    Activity, Clock, ComponentId, Failure, MessageId, Outputs, Result, Spout, SpoutEmitter,
    StreamId, TaskContext, Tuple, Value,
};

/// Which spout of the topology is replaced.
#[derive(Deserialize, JsonSchema)]
pub(super) struct FeedConfig {
    pub(super) spout: ComponentId,
}

/// One emit to come.
#[derive(Clone, Debug)]
pub(super) struct Row {
    stream: StreamId,
    values: Vec<Value>,
}

/// A given tuple whose attempts are used up.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenUp {
    /// The spout that emitted it.
    pub spout: ComponentId,
    /// Its values, in the order of the declared fields.
    pub values: Vec<Value>,
    /// Why its last attempt failed.
    pub why: Failure,
}

/// Emits its rows, those that fail again, and finishes.
pub(super) struct Feed {
    spout: ComponentId,
    outputs: Outputs,
    rows: Arc<[Row]>,
    next_row: usize,
    n_tasks: usize,
    open: Option<(Pending<Row>, Arc<dyn Clock>)>,
    given_up: Arc<Mutex<Vec<GivenUp>>>,
}

impl Row {
    /// Orders a tuple's values as the stream declares its fields; `None` where they don't fit.
    pub(super) fn new(tuple: &Tuple, declared: &Outputs) -> Option<Self> {
        let fields = declared.get(tuple.stream().as_str())?;
        let values = fields.iter().map(|field| tuple.get(field).ok().cloned());
        let values = values.collect::<Option<Vec<_>>>()?;
        (values.len() == tuple.fields().len()).then(|| Self {
            stream: tuple.stream().clone(),
            values,
        })
    }
}

impl Feed {
    pub(super) const fn new(
        spout: ComponentId,
        outputs: Outputs,
        rows: Arc<[Row]>,
        given_up: Arc<Mutex<Vec<GivenUp>>>,
    ) -> Self {
        Self {
            spout,
            outputs,
            rows,
            next_row: 0,
            n_tasks: 1,
            open: None,
            given_up,
        }
    }
}

impl Spout for Feed {
    fn outputs(&self) -> Outputs {
        self.outputs.clone()
    }

    fn open(&mut self, ctx: &mut TaskContext) -> Result<()> {
        let config = ReplayConfig {
            max_items: NonZeroU32::MAX,
            on_exhausted: OnExhausted::Drop,
            ..ReplayConfig::default()
        };
        self.open = Some((Pending::new(&config, ctx.seed()), ctx.clock().clone()));
        // Several tasks share the rows: each takes every n-th.
        (self.next_row, self.n_tasks) = (ctx.task_idx(), ctx.n_tasks());
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutEmitter<'_>) -> Result<Activity> {
        let Some((pending, clock)) = &mut self.open else {
            return Ok(Activity::Idle);
        };
        let now = clock.now();
        if let Some(retry) = pending.next_due(now) {
            let (id, row) = (retry.id, retry.body.clone());
            out.tracked(id)
                .stream(row.stream.as_str())
                .emit(row.values)?;
            return Ok(Activity::Emitted);
        }
        if let Some(row) = self.rows.get(self.next_row) {
            self.next_row += self.n_tasks;
            let id = pending.insert(row.clone(), 0);
            let emit = out.tracked(id).stream(row.stream.as_str());
            emit.emit(row.values.as_slice())?;
            return Ok(Activity::Emitted);
        }
        Ok(match pending.next_due_at() {
            Some(at) => Activity::IdleFor(at.since(now)),
            None => Activity::Finished,
        })
    }

    fn ack(&mut self, id: MessageId) {
        if let Some((pending, _)) = &mut self.open {
            drop(pending.ack(id));
        }
    }

    fn fail(&mut self, id: MessageId, why: &Failure) {
        let Some((pending, clock)) = &mut self.open else {
            return;
        };
        if let Decision::Dropped(row) = pending.fail(id, why, clock.now()) {
            let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
            given_up.push(GivenUp {
                spout: self.spout.clone(),
                values: row.values,
                why: why.clone(),
            });
        }
    }
}
