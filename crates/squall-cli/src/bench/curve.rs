//! Latency against throughput: the same topology at shares of what it can do.

use squall::{Result, console};

use super::chain::Chain;
use super::mode::Pace;
use super::quantity::Quantity;
use super::rig::Rig;
use super::row::Row;
use super::section::Section;

/// The shares, in percent.
const PERCENTS: [u64; 9] = [10, 20, 30, 40, 50, 60, 70, 80, 90];

/// A point of the curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) records_per_sec: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

/// Measures what a topology does at full speed, then its latency at shares of that.
///
/// # Errors
/// The topology can't be run.
pub(super) fn measure(chain: &Chain, rig: &mut Rig<'_>) -> Result<()> {
    let full = rig.run(chain, true, Pace::Full)?.records_per_sec;
    for percent in PERCENTS {
        console::say(format_args!("  at {percent} % of {full}/s …"));
        let setting = format!("{percent} %");
        rig.pace(chain, true, (&setting, full * percent / 100))?;
    }
    Ok(())
}

/// Returns the points among some rows, by rate.
pub(super) fn points(chain_name: &str, rows: &[Row]) -> Vec<Point> {
    let rows = rows.iter();
    let own = rows.filter(|row| row.section == Section::Latency && row.key.case == chain_name);
    let point = |row: &Row| {
        let median = |quantity| Some(row.spread(quantity)?.median);
        Some(Point {
            records_per_sec: median(Quantity::RatePerSec)?,
            p50_us: median(Quantity::P50Us)?,
            p99_us: median(Quantity::P99Us)?,
        })
    };
    let mut points: Vec<Point> = own.filter_map(point).collect();
    points.sort_by(|a, b| a.records_per_sec.total_cmp(&b.records_per_sec));
    points
}
