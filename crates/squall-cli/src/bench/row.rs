//! A row of a report: one thing that was measured, in as many runs as there were.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value as Json};

use super::quantity::Quantity;
use super::section::Section;
use super::spread::Spread;

/// Where the p99 of an idle ping-pong is above this, latencies say more about the machine than about Squall.
const NOISY_ABOVE_US: f64 = 500.0;

/// What one run showed.
pub(super) type Sample = BTreeMap<Quantity, f64>;

/// What was measured, and how: no two rows of a section have the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Key {
    pub(super) case: String,
    /// The source tracks each record to its end.
    pub(super) acked: bool,
    pub(super) processes: u32,
    /// How many tasks each component has.
    pub(super) parallelism: u32,
    /// What else tells it from its neighbours.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) setting: String,
}

/// One row. In JSON it is flat: its key, the median of each quantity, and all `runs`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) section: Section,
    pub(super) key: Key,
    pub(super) runs: Vec<Sample>,
}

impl Row {
    /// Tells whether the machine was so late itself that latencies say little about Squall; `None` where none were
    /// measured.
    pub(super) fn is_noisy(&self) -> Option<bool> {
        let idle = self.spread(Quantity::IdleP99Us)?;
        Some(idle.median > NOISY_ABOVE_US)
    }

    /// Returns what the runs say of a quantity; `None` where none measured it.
    pub(super) fn spread(&self, quantity: Quantity) -> Option<Spread> {
        let values = self.runs.iter().filter_map(|run| run.get(&quantity));
        Spread::of(values.copied())
    }

    /// Reads what a row of this section is written as. Quantities that the section doesn't have are passed over.
    ///
    /// # Errors
    /// What is missing or of another kind.
    pub(super) fn parse(section: Section, json: Json) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Flat {
            #[serde(flatten)]
            key: Key,
            runs: Vec<Map<String, Json>>,
        }
        let flat = Flat::deserialize(json)?;
        let sample = |run: Map<String, Json>| {
            let quantities = section.quantities().iter();
            quantities
                .filter_map(|quantity| Some((*quantity, run.get(quantity.name())?.as_f64()?)))
                .collect()
        };
        Ok(Self {
            section,
            key: flat.key,
            runs: flat.runs.into_iter().map(sample).collect(),
        })
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'r> {
            #[serde(flatten)]
            key: &'r Key,
            #[serde(flatten)]
            medians: Map<String, Json>,
            #[serde(skip_serializing_if = "Option::is_none")]
            noisy: Option<bool>,
            runs: Vec<Map<String, Json>>,
        }
        let medians = self.section.quantities().iter();
        let medians = medians
            .filter_map(|quantity| Some((*quantity, self.spread(*quantity)?.median)))
            .collect();
        Flat {
            key: &self.key,
            medians: numbers(&medians),
            noisy: self.is_noisy(),
            runs: self.runs.iter().map(numbers).collect(),
        }
        .serialize(serializer)
    }
}

fn numbers(sample: &Sample) -> Map<String, Json> {
    let number = |quantity: Quantity, value| {
        quantity
            .text(value)
            .parse()
            .map_or(Json::Null, Json::Number)
    };
    let numbers = sample.iter();
    numbers
        .map(|(quantity, value)| (quantity.name().to_owned(), number(*quantity, *value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_its_median_and_all_runs_and_is_read_again() {
        let runs = [40.04, 10.0, 20.0].map(|ns| {
            let sample = [(Quantity::CpuNsPerHop, ns), (Quantity::RecordsPerSec, 7.0)];
            Sample::from(sample)
        });
        let row = Row {
            section: Section::Throughput,
            key: Key {
                case: "word-count".into(),
                acked: true,
                processes: 1,
                parallelism: 2,
                setting: String::new(),
            },
            runs: runs.into(),
        };
        let json = serde_json::to_value(&row).unwrap();
        let expected = serde_json::json!({
            "case": "word-count", "acked": true, "processes": 1, "parallelism": 2,
            "source_records_per_s": 7, "cpu_ns_per_hop": 20.0,
            "runs": [
                { "source_records_per_s": 7, "cpu_ns_per_hop": 40.0 },
                { "source_records_per_s": 7, "cpu_ns_per_hop": 10.0 },
                { "source_records_per_s": 7, "cpu_ns_per_hop": 20.0 },
            ],
        });
        assert_eq!(json, expected);
        let read = Row::parse(row.section, json).unwrap();
        assert_eq!((&read.key, read.runs.len()), (&row.key, 3));
        assert_eq!(
            read.spread(Quantity::CpuNsPerHop),
            Spread::of([40.0, 10.0, 20.0])
        );
        assert_eq!(read.spread(Quantity::P50Us), None);
    }
}
