//! These rows beside those of an earlier bench.

use std::fmt;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use super::quantity::{Better, Quantity};
use super::row::{Key, Row};
use super::spread::Spread;

/// With fewer runs on either side, values that lie apart may still be chance: of two times three from one distribution
/// every tenth does, of two times five one in 126.
const MIN_RUNS: usize = 5;

/// What became of the quantities that both have measured.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Comparison(Vec<Change>);

/// What became of one.
#[derive(Debug, Serialize)]
struct Change {
    #[serde(flatten)]
    key: Key,
    quantity: &'static str,
    #[serde(skip)]
    heading: &'static str,
    /// The median then, as text with its decimals.
    #[serde(skip)]
    texts: [String; 2],
    earlier: f64,
    now: f64,
    /// Now by then.
    ratio: f64,
    verdict: Verdict,
}

/// Whether a change is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// Each run is better than each earlier one.
    Faster,
    /// Each is worse.
    Slower,
    /// Each is less than each earlier one.
    Less,
    /// Each is more.
    More,
    /// The runs then and now overlap.
    WithinTheSpread,
    /// They don't, but there are too few of them.
    TooFewRuns,
}

impl Comparison {
    /// Compares what both have: rows of the same key, quantities that say how fast something is.
    pub(super) fn new(rows: &[Row], earlier: &[Row]) -> Self {
        let pairs = rows.iter().filter_map(|row| {
            let same = |then: &&Row| then.section == row.section && then.key == row.key;
            Some((row, earlier.iter().find(same)?))
        });
        Self(pairs.flat_map(changes).collect())
    }

    /// Tells whether there is nothing that both have measured.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn changes((row, then): (&Row, &Row)) -> Vec<Change> {
    let quantities = row.section.quantities().iter();
    let changes = quantities.filter_map(|quantity| {
        let (now, earlier) = (row.spread(*quantity)?, then.spread(*quantity)?);
        Some(Change {
            key: row.key.clone(),
            quantity: quantity.name(),
            heading: quantity.heading(),
            texts: [earlier, now].map(|spread| quantity.text(spread.median)),
            earlier: earlier.median,
            now: now.median,
            ratio: ratio(now.median, earlier.median),
            verdict: verdict(*quantity, &earlier, &now)?,
        })
    });
    changes.collect()
}

/// Returns one by the other, with three decimals; nothing by nothing is one.
fn ratio(now: f64, earlier: f64) -> f64 {
    if now == earlier {
        return 1.0;
    }
    (now / earlier * 1000.0).round() / 1000.0
}

/// Says what a change is; `None` where it is neither good nor bad.
fn verdict(quantity: Quantity, earlier: &Spread, now: &Spread) -> Option<Verdict> {
    let is_more = now.median > earlier.median;
    let change = match (quantity.better(), is_more) {
        (Better::Higher, true) | (Better::Lower, false) => Verdict::Faster,
        (Better::Higher, false) | (Better::Lower, true) => Verdict::Slower,
        (Better::Less, true) => Verdict::More,
        (Better::Less, false) => Verdict::Less,
        (Better::Neither, _) => return None,
    };
    Some(match change {
        _ if now.overlaps(earlier) => Verdict::WithinTheSpread,
        _ if now.n.min(earlier.n) < MIN_RUNS => Verdict::TooFewRuns,
        change => change,
    })
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::Less => "less",
            Self::More => "more",
            Self::WithinTheSpread => "within the spread",
            Self::TooFewRuns => "too few runs to say",
        })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        let headings = [
            "case", "acked", "", "", "earlier", "now", "ratio", "verdict",
        ];
        table.load_style(NOTHING).set_header(headings);
        for change in &self.0 {
            let (key, [earlier, now]) = (&change.key, &change.texts);
            let acked = if key.acked { "yes" } else { "no" };
            let (ratio, verdict) = (format!("{:.3}", change.ratio), change.verdict.to_string());
            let cells = [
                &key.case,
                acked,
                &key.setting,
                change.heading,
                earlier,
                now,
                &ratio,
                &verdict,
            ];
            table.add_row(cells);
        }
        for column in table.column_iter_mut().skip(4).take(3) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        write!(f, "Compared with the earlier bench:\n{table}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::Sample;
    use super::super::section::Section;
    use super::*;

    fn row(case: &str, quantity: Quantity, values: &[f64]) -> Row {
        let key = Key {
            case: case.to_owned(),
            acked: true,
            processes: 1,
            parallelism: 1,
            setting: String::new(),
        };
        let runs = values
            .iter()
            .map(|value| Sample::from([(quantity, *value)]));
        Row {
            section: Section::Throughput,
            key,
            runs: runs.collect(),
        }
    }

    #[test]
    fn a_change_is_one_when_the_runs_of_both_lie_apart() {
        use Quantity::{CpuNsPerHop, Lost, RecordsPerSec};
        use Verdict::{Faster, Slower, TooFewRuns, WithinTheSpread};
        let check = |quantity, earlier: &[f64], now: &[f64], expected: Option<(f64, Verdict)>| {
            let [now, earlier] = [now, earlier].map(|values| [row("x", quantity, values)]);
            let Comparison(changes) = Comparison::new(&now, &earlier);
            let found = changes.first().map(|change| (change.ratio, change.verdict));
            assert_eq!(found, expected);
        };
        let (low, high) = ([9.0, 9.5, 10.0, 10.5, 11.0], [14.0, 14.5, 15.0, 15.5, 16.0]);
        check(RecordsPerSec, &low, &high, Some((1.5, Faster)));
        check(RecordsPerSec, &high, &low, Some((0.667, Slower)));
        check(CpuNsPerHop, &low, &high, Some((1.5, Slower)));
        check(CpuNsPerHop, &high, &low, Some((0.667, Faster)));
        assert_eq!(
            verdict(
                Quantity::CpuPercent,
                &Spread::of(high).unwrap(),
                &Spread::of(low).unwrap()
            ),
            Some(Verdict::Less)
        );
        let wide = [8.0, 9.0, 12.0, 13.0, 14.5];
        check(RecordsPerSec, &wide, &high, Some((1.25, WithinTheSpread)));
        check(RecordsPerSec, &low, &[15.0], Some((1.5, TooFewRuns)));
        check(RecordsPerSec, &low, &[10.0], Some((1.0, WithinTheSpread)));
        check(RecordsPerSec, &low, &high[..4], Some((1.475, TooFewRuns)));
        check(CpuNsPerHop, &[0.0], &[0.0], Some((1.0, WithinTheSpread)));
        check(Lost, &low, &high, None);
    }

    #[test]
    fn what_only_one_has_measured_is_not_compared() {
        let [x, y] = ["x", "y"].map(|case| [row(case, Quantity::RecordsPerSec, &[1.0])]);
        assert!(Comparison::new(&x, &y).is_empty());
        assert!(!Comparison::new(&x, &x).is_empty());
    }
}
