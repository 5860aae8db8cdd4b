//! The report for people: as a table for a terminal, or as Markdown for a page.

use comfy_table::presets::{ASCII_MARKDOWN, NOTHING};
use comfy_table::{CellAlignment, Table, TableStyle};

use crate::report::{Line, Report, Setting, Verdict};
use crate::stats::Spread;

/// Rates are said in millions.
const MILLION: f64 = 1e6;

pub(super) fn table(report: &Report) -> String {
    text(report, NOTHING)
}

pub(super) fn markdown(report: &Report) -> String {
    text(report, ASCII_MARKDOWN)
}

fn text(report: &Report, style: TableStyle) -> String {
    let (rows, targets) = (rows(&report.rows, style), targets(&report.targets, style));
    format!("{}\n\n{rows}\n\n{targets}", setting(&report.setting))
}

fn setting(setting: &Setting) -> String {
    let load = setting.load_before;
    let load = load.map_or_else(String::new, |load| format!(", load {load:.2} before"));
    let Setting {
        date,
        n_cores,
        arch,
        os,
        seconds,
        rounds,
        allocator,
        ..
    } = setting;
    format!(
        "{date}, {n_cores} cores ({arch}, {os}){load}; rounds of {seconds} s each: {rounds}. \
         timely and renoir allocate with {allocator}."
    )
}

fn rows(lines: &[Line], style: TableStyle) -> Table {
    let mut table = new(
        [
            "job",
            "engine",
            "guarantees",
            "tasks",
            "million records/s: median (range)",
            "CPU, ns a record",
            "Squall acked ÷ it",
            "Squall unacked ÷ it",
        ],
        style,
    );
    for line in lines {
        let ratio =
            |ratio: Option<Spread>| ratio.map_or_else(String::new, |ratio| plain(ratio.median));
        table.add_row([
            line.job.to_owned(),
            line.engine.clone(),
            line.terms.to_owned(),
            line.parallelism.to_string(),
            spread(line.records_per_sec, MILLION),
            format!("{:.0}", line.cpu_ns_per_record.median),
            ratio(line.squall_acked),
            ratio(line.squall_unacked),
        ]);
    }
    for column in table.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn targets(verdicts: &[Verdict], style: TableStyle) -> Table {
    let mut table = new(["target", "measured: median (range)", "reached"], style);
    for verdict in verdicts {
        let reached = match verdict.is_reached {
            Some(true) => "yes",
            Some(false) => "no",
            None => "not measured",
        };
        let ratio = verdict.ratio;
        table.add_row([
            verdict.target.clone(),
            ratio.map_or_else(String::new, |ratio| spread(ratio, 1.0)),
            reached.to_owned(),
        ]);
    }
    table
}

fn new<const N: usize>(header: [&str; N], style: TableStyle) -> Table {
    let mut table = Table::new();
    table.load_style(style).set_header(header);
    table
}

fn spread(spread: Spread, unit: f64) -> String {
    let [median, min, max] = [spread.median, spread.min, spread.max].map(|n| plain(n / unit));
    format!("{median} ({min} – {max})")
}

/// Writes a number with some three digits.
fn plain(n: f64) -> String {
    match n {
        ..0.1 => format!("{n:.3}"),
        ..10.0 => format!("{n:.2}"),
        ..100.0 => format!("{n:.1}"),
        _ => format!("{n:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_some_three_digits() {
        let cases = [
            (0.0123, "0.012"),
            (0.4, "0.40"),
            (9.99, "9.99"),
            (12.34, "12.3"),
            (787.6, "788"),
        ];
        for (n, expected) in cases {
            assert_eq!(plain(n), expected);
        }
    }
}
