//! `top`: the keys with the largest counts.

use std::cmp::Reverse;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use squall_core::{
    Bolt, Emitter, Inputs, Metric, Metrics, Outputs, Result, Str, TaskContext, Tuple, Value,
};

use crate::input::InputField;

/// The gauges that hold the ranking: one per key, labelled by it.
const METRIC: &str = "top_count";
const MAX_N: usize = 1000;

/// Keeps the keys with the largest counts, and emits the ranking when it has changed, at each tick.
///
/// Use it behind a global grouping. It takes the latest count of a key for the true one, so a key must be
/// counted by one task, as behind a fields grouping. Output fields: `rank` (from 1), `key`, `count`; the
/// rows are in no tuple tree. Metric `top_count`: the current counts, labelled by key. Without a tick in
/// the topology: every second.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TopConfig {
    /// How many keys, from 1 to 1000. Default 10.
    #[schemars(range(min = 1, max = 1000))]
    pub n: usize,
    /// The field that holds the key. Default `key`.
    pub key: String,
    /// The field that holds the count, an integer. Default `count`.
    pub count: String,
}

impl Default for TopConfig {
    fn default() -> Self {
        Self {
            n: 10,
            key: "key".to_owned(),
            count: "count".to_owned(),
        }
    }
}

/// See [`TopConfig`].
pub struct Top {
    config: TopConfig,
    fields: Option<(InputField, InputField)>,
    metrics: Metrics,
    /// In order: the largest count first, equal counts by key.
    ranking: Vec<Ranked>,
    is_changed: bool,
}

struct Ranked {
    key: Str,
    count: i64,
    gauge: Metric,
}

impl Ranked {
    fn order(&self) -> (Reverse<i64>, &str) {
        (Reverse(self.count), &self.key)
    }
}

impl Top {
    /// Makes the bolt.
    ///
    /// # Errors
    /// An `n` that is out of its bounds.
    pub fn new(config: TopConfig) -> Result<Self> {
        if !(1..=MAX_N).contains(&config.n) {
            Err(format!("n is {}, not from 1 to {MAX_N}", config.n))?;
        }
        Ok(Self {
            config,
            fields: None,
            metrics: Metrics::default(),
            ranking: Vec::new(),
            is_changed: false,
        })
    }

    fn update(&mut self, key: &str, count: i64) {
        let has_place = self.has_place_for(key, count);
        match self.ranking.iter_mut().find(|ranked| ranked.key == key) {
            Some(ranked) if ranked.count == count => return,
            Some(ranked) => {
                ranked.count = count;
                ranked.gauge.set(count);
            }
            None if has_place => {
                let gauge = self.metrics.get(METRIC, key);
                gauge.set(count);
                let key = Str::new(key);
                self.ranking.push(Ranked { key, count, gauge });
            }
            None => return,
        }
        self.ranking.sort_by(|a, b| a.order().cmp(&b.order()));
        for gone in self.ranking.drain(self.config.n.min(self.ranking.len())..) {
            self.metrics.remove(METRIC, &gone.key);
        }
        self.is_changed = true;
    }

    fn has_place_for(&self, key: &str, count: i64) -> bool {
        let last = self.ranking.get(self.config.n - 1);
        last.is_none_or(|last| (Reverse(count), key) < last.order())
    }

    fn publish(&mut self, out: &mut Emitter<'_>) -> Result<()> {
        if std::mem::take(&mut self.is_changed) {
            for (rank, ranked) in (1i64..).zip(&self.ranking) {
                out.unanchored().emit((rank, &ranked.key, ranked.count))?;
            }
        }
        Ok(())
    }
}

impl Bolt for Top {
    fn outputs(&self) -> Outputs {
        Outputs::fields(["rank", "key", "count"])
    }

    fn inputs(&self) -> Inputs {
        let TopConfig { key, count, .. } = &self.config;
        Inputs::fields([key, count]).help("set `key` and `count` to the fields that hold them")
    }

    fn prepare(&mut self, ctx: &mut TaskContext) -> Result<()> {
        self.metrics = ctx.metrics().clone();
        let key = InputField::find(ctx, &self.config.key)?;
        let count = InputField::find(ctx, &self.config.count)?;
        self.fields = Some((key, count));
        Ok(())
    }

    fn execute(&mut self, input: &Tuple, _out: &mut Emitter<'_>) -> Result<()> {
        let Some((key, count)) = &self.fields else {
            return Err("not prepared")?;
        };
        let count = count.of(input)?;
        let count = count
            .as_i64()
            .ok_or_else(|| format!("the count is {}, not i64", count.kind()))?;
        match key.of(input)? {
            Value::Str(key) => self.update(key, count),
            other => self.update(&other.to_string(), count),
        }
        Ok(())
    }

    fn tick_every(&self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }

    fn tick(&mut self, out: &mut Emitter<'_>) -> Result<()> {
        self.publish(out)
    }

    fn flush(&mut self, out: &mut Emitter<'_>) -> Result<()> {
        self.publish(out)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::harness::{BoltHarness, schema, tuple};

    const FIELDS: [&str; 2] = ["key", "count"];

    fn top(n: usize) -> BoltHarness<Top> {
        let config = TopConfig {
            n,
            ..TopConfig::default()
        };
        let mut top = BoltHarness::new(Top::new(config).unwrap()).inputs([schema(&FIELDS)]);
        top.prepare().unwrap();
        top
    }

    fn row(rank: i64, key: &str, count: i64) -> Vec<Value> {
        vec![rank.into(), key.into(), count.into()]
    }

    #[test]
    fn emits_the_ranking_when_it_changed_and_shows_it_as_gauges() {
        let mut top = top(2);
        for (key, count) in [("a", 1), ("b", 1), ("c", 1), ("c", 2)] {
            top.execute(&tuple(&FIELDS, [Value::from(key), count.into()]))
                .unwrap();
        }
        top.tick().unwrap();
        assert_eq!(top.emitted(), [row(1, "c", 2), row(2, "a", 1)]);
        let gauges = top.metrics().into_iter();
        let gauges: Vec<_> = gauges.map(|m| (m.label.to_string(), m.value)).collect();
        assert_eq!(gauges, [("a".to_owned(), 1), ("c".to_owned(), 2)]);
        top.tick().unwrap();
        top.flush().unwrap();
        assert!(top.emitted().is_empty(), "nothing changed");
    }

    #[test]
    fn refuses_an_n_out_of_bounds() {
        for n in [0, 1001] {
            let config = TopConfig {
                n,
                ..TopConfig::default()
            };
            assert!(Top::new(config).is_err());
        }
    }

    proptest! {
        #[test]
        fn growing_counts_rank_as_they_would_sorted_at_the_end(
            keys in prop::collection::vec(0u8..12, 1..200),
            n in 1usize..6,
        ) {
            let mut top = top(n);
            let mut counts = std::collections::BTreeMap::new();
            for key in keys {
                let count = counts.entry(format!("k{key:02}")).or_insert(0i64);
                *count += 1;
                let (key, count) = (Value::from(format!("k{key:02}")), Value::from(*count));
                top.execute(&tuple(&FIELDS, [key, count])).unwrap();
            }
            let mut sorted: Vec<_> = counts.into_iter().collect();
            sorted.sort_by_key(|(key, count)| (Reverse(*count), key.clone()));
            let expected = (1..).zip(sorted).map(|(rank, (key, count))| row(rank, &key, count));
            top.tick().unwrap();
            prop_assert_eq!(top.emitted(), expected.take(n).collect::<Vec<_>>());
        }
    }
}
