//! The bolts of a bench between source and sink.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use squall_core::{Bolt, Emitter, Outputs, Result, Str, TaskContext, Tuple, Value};

/// What `word-count` counts: sentences of eight words.
pub(super) const SENTENCES: [&str; 10] = [
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

/// Passes numbers on.
pub(super) struct Pass;

impl Bolt for Pass {
    fn outputs(&self) -> Outputs {
        Outputs::fields(["count", "due_ns"])
    }

    fn execute(&mut self, input: &Tuple, out: &mut Emitter<'_>) -> Result<()> {
        Ok(out.emit(input.values())?)
    }
}

/// Splits sentences into words.
pub(super) struct Split;

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

/// Counts by word, and emits each new count.
#[derive(Default)]
pub(super) struct Count {
    counts: HashMap<Str, i64, RandomState>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_have_eight_words() {
        for sentence in SENTENCES {
            assert_eq!(sentence.split(' ').count(), 8, "{sentence}");
        }
    }
}
