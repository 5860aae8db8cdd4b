//! What a bench has found, as tables and as JSON.

use std::fmt;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::compare::Comparison;
use super::earlier::Earlier;
use super::goals::Goals;
use super::machine::Machine;
use super::quantity::Quantity;
use super::row::{Key, Row, Sample};
use super::section::Section;
use super::spread::Spread;

/// The columns of a row's key.
const KEY_HEADINGS: [&str; 5] = ["case", "acked", "processes", "tasks", ""];

/// All rows, and what they were measured on.
#[derive(Debug)]
pub(super) struct Report {
    machine: Machine,
    rows: Vec<Row>,
    comparison: Option<Comparison>,
    goals: Option<Goals>,
}

impl Report {
    /// Makes one without rows.
    pub(super) const fn new(machine: Machine) -> Self {
        Self {
            machine,
            rows: Vec::new(),
            comparison: None,
            goals: None,
        }
    }

    /// Adds what a run showed, to the row of its key if there is one.
    pub(super) fn add(&mut self, section: Section, key: Key, sample: Sample) {
        let mut rows = self.rows.iter_mut();
        match rows.find(|row| row.section == section && row.key == key) {
            Some(row) => row.runs.push(sample),
            None => self.rows.push(Row {
                section,
                key,
                runs: vec![sample],
            }),
        }
    }

    /// Compares what there is with what an earlier bench has found.
    pub(super) fn compare(&mut self, earlier: &Earlier) {
        self.comparison = Some(Comparison::new(&self.rows, &earlier.rows));
    }

    /// Says which targets were reached.
    pub(super) fn judge(&mut self) {
        self.goals = Some(Goals::of(&self.rows));
    }

    /// Tells whether nothing was lost in any run.
    pub(super) fn is_complete(&self) -> bool {
        let mut runs = self.rows.iter().flat_map(|row| &row.runs);
        runs.all(|run| run.get(&Quantity::Lost).is_none_or(|lost| *lost == 0.0))
    }

    /// Returns all rows, in the order in which they were first added.
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    fn rows_of(&self, section: Section) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.section == section)
    }

    fn table(&self, section: Section) -> Option<Table> {
        let quantities = section.quantities();
        let mut table = Table::new();
        let headings = KEY_HEADINGS.into_iter();
        let headings = headings.chain(quantities.iter().map(|quantity| quantity.heading()));
        // The last column is for a remark.
        let headings = headings.chain([""]);
        table.load_style(NOTHING).set_header(headings);
        for row in self.rows_of(section) {
            let key = &row.key;
            let acked = if key.acked { "yes" } else { "no" };
            let (processes, tasks) = (key.processes.to_string(), key.parallelism.to_string());
            let cells = [&key.case, acked, &processes, &tasks, &key.setting].map(str::to_owned);
            let cells = cells.into_iter();
            let cells = cells.chain(quantities.iter().map(|quantity| cell(row, *quantity)));
            let remark = (row.is_noisy() == Some(true)).then(|| "noisy".to_owned());
            table.add_row(cells.chain(remark));
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        (table.row_count() > 0).then_some(table)
    }
}

/// Writes the median, and from where to where the runs lie if there are several.
fn cell(row: &Row, quantity: Quantity) -> String {
    let text = |value| quantity.text(value);
    match row.spread(quantity) {
        None => String::new(),
        Some(Spread {
            median, min, max, ..
        }) if min == max => text(median),
        Some(Spread {
            median, min, max, ..
        }) => {
            format!("{} ({}–{})", text(median), text(min), text(max))
        }
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("machine", &self.machine)?;
        for section in Section::ALL {
            let rows: Vec<&Row> = self.rows_of(section).collect();
            if !rows.is_empty() {
                map.serialize_entry(section.name(), &rows)?;
            }
        }
        if let Some(comparison) = &self.comparison {
            map.serialize_entry("compared", comparison)?;
        }
        if let Some(goals) = &self.goals {
            map.serialize_entry("targets", goals)?;
        }
        map.end()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.machine)?;
        for section in Section::ALL {
            if let Some(table) = self.table(section) {
                write!(f, "\n\n{}\n{table}", section.title())?;
            }
        }
        match &self.comparison {
            None => {}
            Some(comparison) if comparison.is_empty() => {
                write!(f, "\n\nThe earlier bench has measured nothing of this.")?;
            }
            Some(comparison) => write!(f, "\n\n{comparison}")?,
        }
        match &self.goals {
            None => Ok(()),
            Some(goals) => write!(f, "\n\n{goals}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(report: &mut Report, case: &str, sample: &[(Quantity, f64)]) {
        let key = Key {
            case: case.to_owned(),
            acked: true,
            processes: 1,
            parallelism: 1,
            setting: "10000/s".to_owned(),
        };
        let sample = sample.iter().copied().collect();
        report.add(Section::Latency, key, sample);
    }

    #[test]
    fn runs_of_one_row_come_together_and_a_loss_in_any_counts() {
        let mut report = Report::new(Machine::default());
        assert!(report.is_complete());
        add(&mut report, "x", &[(Quantity::Lost, 0.0)]);
        add(&mut report, "y", &[(Quantity::P50Us, 1.0)]);
        add(&mut report, "x", &[(Quantity::Lost, 0.0)]);
        let n_runs: Vec<usize> = report.rows().iter().map(|row| row.runs.len()).collect();
        assert_eq!(n_runs, [2, 1]);
        assert!(report.is_complete());
        add(&mut report, "x", &[(Quantity::Lost, 1.0)]);
        assert!(!report.is_complete());
    }

    #[test]
    fn a_row_shows_its_spread_and_whether_it_is_noisy() {
        let mut report = Report::new(Machine::default());
        for (p99, idle) in [(40.0, 400.0), (60.0, 900.0), (50.0, 600.0)] {
            let sample = [(Quantity::P99Us, p99), (Quantity::IdleP99Us, idle)];
            add(&mut report, "late", &sample);
        }
        add(&mut report, "calm", &[(Quantity::IdleP99Us, 500.0)]);
        let text = report.to_string();
        let line = |case: &str| text.lines().find(|line| line.contains(case)).unwrap();
        let (late, calm) = (line("late"), line("calm"));
        assert!(
            late.contains("50 (40–60)") && late.trim_end().ends_with("noisy"),
            "{text}"
        );
        assert!(calm.contains("500") && !calm.contains("noisy"), "{text}");
        assert!(!text.contains("At full speed"), "{text}");
    }
}
