//! The targets beside what was measured.

use std::fmt;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use super::growth::largest_ratio;
use super::quantity::Quantity;
use super::row::Row;
use super::section::Section;
use super::targets::{Bound, Measure, Place, TARGETS, Target};

/// Each target, and whether it was reached.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Goals(Vec<Goal>);

/// One target.
#[derive(Debug, Serialize)]
struct Goal {
    target: &'static str,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_least: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_most: Option<f64>,
    measured: Option<f64>,
    reached: Reached,
}

/// Whether a target was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Reached {
    Yes,
    No,
    /// Not reached, on a machine that was so late itself that it says nothing.
    Noisy,
    /// What it is about wasn't measured.
    Unknown,
}

impl Goals {
    /// Looks for each target among the rows.
    pub(super) fn of(rows: &[Row]) -> Self {
        Self(TARGETS.iter().map(|target| goal(target, rows)).collect())
    }
}

fn goal(target: &Target, rows: &[Row]) -> Goal {
    let (measured, is_noisy) = match target.measure {
        Measure::Median(section, case, place, quantity) => {
            let row = row(rows, section, (case, true), place);
            let median = row.and_then(|row| Some(rounded(row.spread(quantity)?.median)));
            (median, row.and_then(Row::is_noisy) == Some(true))
        }
        Measure::AckingCost(case) => (acking_cost(rows, case), false),
        Measure::Growth => (largest_ratio(rows), false),
    };
    let (at_least, at_most) = match target.bound {
        Bound::AtLeast(bound) => (Some(bound), None),
        Bound::AtMost(bound) => (None, Some(bound)),
    };
    let keeps = |value: f64| {
        at_least.is_none_or(|bound| value >= bound) && at_most.is_none_or(|bound| value <= bound)
    };
    let reached = match measured {
        None => Reached::Unknown,
        Some(value) if keeps(value) => Reached::Yes,
        Some(_) if is_noisy => Reached::Noisy,
        Some(_) => Reached::No,
    };
    Goal {
        target: target.name,
        unit: target.unit,
        at_least,
        at_most,
        measured,
        reached,
    }
}

fn row<'r>(
    rows: &'r [Row],
    section: Section,
    (case, acked): (&str, bool),
    place: Place,
) -> Option<&'r Row> {
    let (processes, setting) = match place {
        Place::Processes(n) => (n, ""),
        Place::Setting(setting) => (1, setting),
    };
    rows.iter().find(|row| {
        let key = &row.key;
        let is_it = row.section == section && key.case == case && key.acked == acked;
        is_it && key.processes == processes && key.setting == setting
    })
}

/// Returns how much less a case does with acking, in percent.
fn acking_cost(rows: &[Row], case: &str) -> Option<f64> {
    let rate = |acked| {
        let row = row(
            rows,
            Section::Throughput,
            (case, acked),
            Place::Processes(1),
        )?;
        Some(row.spread(Quantity::RecordsPerSec)?.median)
    };
    let percent = (1.0 - rate(true)? / rate(false)?) * 100.0;
    Some(rounded(percent))
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Noisy => "noisy",
            Self::Unknown => "not measured",
        })
    }
}

impl fmt::Display for Goals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(NOTHING);
        table.set_header(["target", "", "", "measured", "", "reached"]);
        for goal in &self.0 {
            let (sign, bound) = match (goal.at_least, goal.at_most) {
                (Some(bound), _) => ("≥", bound),
                (None, bound) => ("≤", bound.unwrap_or_default()),
            };
            let measured = goal.measured.map(|value| value.to_string());
            table.add_row([
                goal.target,
                sign,
                &bound.to_string(),
                &measured.unwrap_or_default(),
                goal.unit,
                &goal.reached.to_string(),
            ]);
        }
        for column in table.column_iter_mut().skip(2).take(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        write!(f, "Targets, for two cores and a release build:\n{table}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::{Key, Sample};
    use super::*;

    fn row_of(section: Section, (acked, setting): (bool, &str), sample: Sample) -> Row {
        Row {
            section,
            key: Key {
                case: "word-count".into(),
                acked,
                processes: 1,
                parallelism: 2,
                setting: setting.into(),
            },
            runs: vec![sample],
        }
    }

    fn reached(rows: &[Row], name: &str) -> (Option<f64>, Reached) {
        let Goals(goals) = Goals::of(rows);
        let goal = goals.iter().find(|goal| goal.target == name).unwrap();
        (goal.measured, goal.reached)
    }

    #[test]
    fn a_target_is_reached_at_its_bound() {
        let name = "word count, one process, acked";
        assert_eq!(reached(&[], name), (None, Reached::Unknown));
        for (rate, expected) in [(1_600_000.0, Reached::Yes), (1_599_999.0, Reached::No)] {
            let sample = Sample::from([(Quantity::RecordsPerSec, rate)]);
            let row = row_of(Section::Throughput, (true, ""), sample);
            assert_eq!(reached(&[row], name), (Some(rate), expected));
        }
    }

    #[test]
    fn acking_costs_what_it_takes_of_the_throughput() {
        let row = |acked, rate| {
            let sample = Sample::from([(Quantity::RecordsPerSec, rate)]);
            row_of(Section::Throughput, (acked, ""), sample)
        };
        let name = "cost of acking, word count";
        let check = |acked, unacked, percent, expected| {
            let rows = [row(true, acked), row(false, unacked)];
            assert_eq!(reached(&rows, name), (Some(percent), expected));
        };
        check(80.0, 100.0, 20.0, Reached::Yes);
        check(79.0, 100.0, 21.0, Reached::No);
        check(110.0, 100.0, -10.0, Reached::Yes);
        assert_eq!(reached(&[row(true, 1.0)], name), (None, Reached::Unknown));
    }

    #[test]
    fn latency_that_a_noisy_machine_misses_is_no_verdict() {
        let name = "word count at 10,000/s, p99";
        for (p99, idle, expected) in [
            (1_000.0, 900.0, Reached::Yes),
            (1_001.0, 900.0, Reached::Noisy),
            (1_001.0, 100.0, Reached::No),
        ] {
            let sample = [(Quantity::P99Us, p99), (Quantity::IdleP99Us, idle)];
            let row = row_of(Section::Latency, (true, "10000/s"), Sample::from(sample));
            assert_eq!(reached(&[row], name), (Some(p99), expected));
        }
    }
}
