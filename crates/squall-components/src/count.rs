//! `count`: how often each key came.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use squall_core::{
    Bolt, Emitter, Inputs, Outputs, Remediable, Result, Str, TaskContext, Tuple, Value,
};

use crate::input::InputField;

/// Counts tuples by key and emits the key's new count for each.
///
/// Use it behind a fields grouping, so that a key has one task that counts it. Output fields: `key` (the
/// key as text; several fields joined by commas) and `count`. At least once: a message that is
/// replayed after it was counted counts again. A task that is restarted starts from zero.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CountConfig {
    /// The fields that make the key. Default: those that the inputs are grouped by.
    pub by: Vec<String>,
    /// How many keys a task counts, about 100 bytes of memory each; a tuple with one more fails for good.
    /// Default 1000000.
    pub max_keys: usize,
}

impl Default for CountConfig {
    fn default() -> Self {
        Self {
            by: Vec::new(),
            max_keys: 1_000_000,
        }
    }
}

/// See [`CountConfig`].
pub struct Count {
    config: CountConfig,
    key_fields: Vec<InputField>,
    counts: HashMap<Str, i64, RandomState>,
}

impl Count {
    /// Makes the bolt.
    #[must_use]
    pub fn new(config: CountConfig) -> Self {
        Self {
            config,
            key_fields: Vec::new(),
            counts: HashMap::default(),
        }
    }

    fn key_of(&self, input: &Tuple) -> Result<Str> {
        if let [field] = self.key_fields.as_slice() {
            return Ok(match field.of(input)? {
                Value::Str(text) => text.clone(),
                other => Str::from(other.to_string()),
            });
        }
        let mut key = String::new();
        for (field_idx, field) in self.key_fields.iter().enumerate() {
            if field_idx > 0 {
                key.push(',');
            }
            key.push_str(&field.of(input)?.to_string());
        }
        Ok(Str::from(key))
    }
}

impl Bolt for Count {
    fn outputs(&self) -> Outputs {
        Outputs::fields(["key", "count"])
    }

    fn inputs(&self) -> Inputs {
        match self.config.by.as_slice() {
            [] => Inputs::any()
                .keyed()
                .help("or set `by` to the fields to count by"),
            by => Inputs::fields(by),
        }
    }

    fn prepare(&mut self, ctx: &mut TaskContext) -> Result<()> {
        let by = self.config.by.iter().map(String::as_str);
        let mut by: Vec<&str> = by.collect();
        if by.is_empty() {
            by = ctx.key_fields().iter().map(Str::as_str).collect();
        }
        if by.is_empty() {
            Err("nothing to count by: give the input a fields grouping, or set `by`")?;
        }
        let found: Result<_, _> = by.iter().map(|name| InputField::find(ctx, name)).collect();
        self.key_fields = found?;
        Ok(())
    }

    fn execute(&mut self, input: &Tuple, out: &mut Emitter<'_>) -> Result<()> {
        let key = self.key_of(input)?;
        let n_keys = self.counts.len();
        let count = match self.counts.get_mut(&key) {
            Some(count) => count,
            None if n_keys >= self.config.max_keys => {
                return Err(format!("{n_keys} keys are all that `max_keys` allows")).permanent();
            }
            None => self.counts.entry(key.clone()).or_default(),
        };
        *count += 1;
        let count = *count;
        Ok(out.emit((key, count))?)
    }
}

#[cfg(test)]
mod tests {
    use squall_core::Remedy;

    use super::*;
    use crate::harness::{BoltHarness, schema, tuple};

    fn count(by: &[&str]) -> BoltHarness<Count> {
        let by = by.iter().map(|name| (*name).to_owned()).collect();
        BoltHarness::new(Count::new(CountConfig { by, max_keys: 2 }))
    }

    #[test]
    fn counts_by_what_the_input_is_grouped_by() {
        let mut count = count(&[]).inputs([schema(&["n", "word"])]).keyed(["word"]);
        count.prepare().unwrap();
        for (word, n) in [("a", 1), ("b", 1), ("a", 2)] {
            count
                .execute(&tuple(&["n", "word"], [Value::from(7), word.into()]))
                .unwrap();
            assert_eq!(count.emitted(), [vec![Value::from(word), Value::from(n)]]);
        }
    }

    #[test]
    fn joins_several_fields_and_writes_other_values_as_text() {
        let mut count = count(&["a", "b"]).inputs([schema(&["a", "b"])]);
        count.prepare().unwrap();
        count
            .execute(&tuple(&["a", "b"], [Value::from(7), Value::Null]))
            .unwrap();
        assert_eq!(
            count.emitted(),
            [vec![Value::from("7,null"), Value::from(1)]]
        );
    }

    #[test]
    fn refuses_to_start_without_a_key() {
        let mut count = count(&[]).inputs([schema(&["a"])]);
        let error = count.prepare().unwrap_err().to_string();
        assert!(error.starts_with("nothing to count by"), "{error}");
    }

    #[test]
    fn a_key_above_the_bound_fails_for_good_and_the_others_go_on() {
        let mut count = count(&["a"]).inputs([schema(&["a"])]);
        count.prepare().unwrap();
        let of = |key: &str| tuple(&["a"], [Value::from(key)]);
        count.execute(&of("x")).unwrap();
        count.execute(&of("y")).unwrap();
        assert_eq!(
            count.execute(&of("z")).unwrap_err().remedy(),
            Remedy::DeadLetter
        );
        count.execute(&of("x")).unwrap();
        assert_eq!(count.emitted().last().unwrap()[1], Value::from(2));
    }
}
