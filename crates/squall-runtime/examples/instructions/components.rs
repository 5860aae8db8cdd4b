//! Components that do next to nothing, so that what is counted is the engine. Those of `squall bench`, without
//! what measures time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::FixedState;

use squall_core::{
    Activity, Bolt, Emitter, MessageId, Outputs, Result, Spout, SpoutEmitter, Str, TaskContext,
    Tuple, Value,
};

/// How many words each sentence has.
pub(crate) const N_WORDS: u64 = 8;

const SENTENCES: [&str; 10] = [
    "the wind came up before the boats came",
    "a squall is a wind that comes suddenly",
    "rain and wind hid the end of harbour",
    "every boat in the harbour pulled its ropes",
    "the old man counted the boats once more",
    "nothing was lost and nothing was counted twice",
    "after the squall the sea was very calm",
    "one boat came late with a torn sail",
    "they mended the sail before the next wind",
    "and the old man counted every boat again",
];

/// What the tasks of a run have seen by their end.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Records that came back acked.
    pub(crate) n_acked: AtomicU64,
    /// Tuples that came to the sinks.
    pub(crate) n_sunk: AtomicU64,
}

/// Emits a number of records, then says that it has finished.
pub(crate) struct Source {
    values: Vec<Value>,
    acked: bool,
    n_left: u64,
    n_acked: u64,
    tally: Arc<Tally>,
}

impl Source {
    pub(crate) fn new(sentences: bool, acked: bool, n_records: u64, tally: Arc<Tally>) -> Self {
        let values = match sentences {
            true => SENTENCES.map(Value::from).to_vec(),
            false => vec![Value::I64(1)],
        };
        Self {
            values,
            acked,
            n_left: n_records,
            n_acked: 0,
            tally,
        }
    }
}

impl Spout for Source {
    fn outputs(&self) -> Outputs {
        Outputs::fields(["value", "due_ns"])
    }

    fn next_tuple(&mut self, out: &mut SpoutEmitter<'_>) -> Result<Activity> {
        if self.n_left == 0 {
            return Ok(Activity::Finished);
        }
        self.n_left -= 1;
        let value_idx = usize::try_from(self.n_left)? % self.values.len();
        let row = (self.values[value_idx].clone(), 0);
        match self.acked {
            true => out.tracked(MessageId(self.n_left)).emit(row)?,
            false => out.emit(row)?,
        }
        Ok(Activity::Emitted)
    }

    fn ack(&mut self, _: MessageId) {
        self.n_acked += 1;
    }

    fn close(&mut self) {
        self.tally
            .n_acked
            .fetch_add(self.n_acked, Ordering::Relaxed);
    }
}

/// Passes numbers on.
pub(crate) struct Pass;

impl Bolt for Pass {
    fn outputs(&self) -> Outputs {
        Outputs::fields(["count", "due_ns"])
    }

    fn execute(&mut self, input: &Tuple, out: &mut Emitter<'_>) -> Result<()> {
        Ok(out.emit(input.values())?)
    }
}

/// Splits sentences into words.
pub(crate) struct Split;

impl Bolt for Split {
    fn outputs(&self) -> Outputs {
        Outputs::fields(["word", "due_ns"])
    }

    fn execute(&mut self, input: &Tuple, out: &mut Emitter<'_>) -> Result<()> {
        let due_ns = input.i64("due_ns")?;
        for word in input.str("value")?.split(' ') {
            out.emit((word, due_ns))?;
        }
        Ok(())
    }
}

/// Counts by word, and emits each new count. Its map hashes the same in each run.
#[derive(Default)]
pub(crate) struct Count {
    counts: HashMap<Str, i64, FixedState>,
    word_idx: usize,
}

impl Bolt for Count {
    fn outputs(&self) -> Outputs {
        Outputs::fields(["count", "due_ns", "word"])
    }

    fn prepare(&mut self, ctx: &mut TaskContext) -> Result<()> {
        self.word_idx = ctx.field("word")?;
        Ok(())
    }

    fn execute(&mut self, input: &Tuple, out: &mut Emitter<'_>) -> Result<()> {
        let Some(Value::Str(word)) = input.values().get(self.word_idx) else {
            return Err("a word is text")?;
        };
        let count = match self.counts.get_mut(word) {
            Some(count) => count,
            None => self.counts.entry(word.clone()).or_default(),
        };
        *count += 1;
        Ok(out.emit((*count, input.i64("due_ns")?, word))?)
    }
}

/// Counts what comes.
pub(crate) struct Sink {
    n_sunk: u64,
    tally: Arc<Tally>,
}

impl Sink {
    pub(crate) fn new(tally: Arc<Tally>) -> Self {
        Self { n_sunk: 0, tally }
    }
}

impl Bolt for Sink {
    fn execute(&mut self, input: &Tuple, _: &mut Emitter<'_>) -> Result<()> {
        let (Some(Value::I64(_)), Some(Value::I64(_))) =
            (input.values().first(), input.values().get(1))
        else {
            return Err("a sink reads numbers")?;
        };
        self.n_sunk += 1;
        Ok(())
    }

    fn close(&mut self) {
        self.tally.n_sunk.fetch_add(self.n_sunk, Ordering::Relaxed);
    }
}
