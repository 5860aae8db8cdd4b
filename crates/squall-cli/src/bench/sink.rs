//! The end of a bench: counts what comes, and when.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use squall_core::{Bolt, Clock, Emitter, Moment, Result, Str, TaskContext, Tuple, Value};

use super::board::Board;

/// Reads `count` and `due_ns`, and `word` where there is one. Records that were not due at any time, as at
/// full speed, are counted only.
pub(super) struct Sink {
    board: Board,
    n_sunk: u64,
    counts: HashMap<Str, i64, RandomState>,
    clock: Option<Arc<dyn Clock>>,
}

impl Sink {
    pub(super) fn new(board: Board) -> Self {
        Self {
            board,
            n_sunk: 0,
            counts: HashMap::default(),
            clock: None,
        }
    }
}

impl Bolt for Sink {
    fn prepare(&mut self, ctx: &mut TaskContext) -> Result<()> {
        self.clock = Some(ctx.clock().clone());
        Ok(())
    }

    fn execute(&mut self, input: &Tuple, _: &mut Emitter<'_>) -> Result<()> {
        self.n_sunk += 1;
        let (Some(Value::I64(count)), Some(Value::I64(due_ns))) =
            (input.values().first(), input.values().get(1))
        else {
            return Err("a sink reads numbers")?;
        };
        if let Some(Value::Str(word)) = input.values().get(2) {
            match self.counts.get_mut(word) {
                Some(last) => *last = *count,
                None => drop(self.counts.insert(word.clone(), *count)),
            }
        }
        if let (Ok(due @ 1..), Some(clock)) = (u64::try_from(*due_ns), &self.clock) {
            let now = clock.now();
            self.board.lock().note_latency(Moment::from_nanos(due), now);
        }
        Ok(())
    }

    fn close(&mut self) {
        let mut board = self.board.lock();
        board.n_sunk += self.n_sunk;
        for (word, count) in self.counts.drain() {
            let last = board.counts.entry(word).or_default();
            // Of two sinks that heard of a word, one has the later count.
            *last = count.max(*last);
        }
    }
}
