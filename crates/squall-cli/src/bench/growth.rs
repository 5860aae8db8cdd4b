//! Whether a tuple costs more CPU time where there is more of everything: executors, bolts, pending trees.

use squall::Result;
use squall::console::{counted, say};

use super::chain::{Chain, Stage, Tasks};
use super::mode::Pace;
use super::quantity::Quantity;
use super::rig::{Rig, key};
use super::row::Row;
use super::section::Section;

/// What grows, and the sizes that are compared with the first of them.
const SIZES: [(Grows, [u32; 3]); 3] = [
    (Grows::Executors, [2, 8, 64]),
    (Grows::Bolts, [1, 4, 16]),
    (Grows::Pending, [100, 10_000, 1_000_000]),
];

#[derive(Clone, Copy, Debug)]
enum Grows {
    /// Sources and sinks, half of each.
    Executors,
    /// Bolts that pass on, one after the other.
    Bolts,
    /// `max_spout_pending`, the source on a thread of its own.
    Pending,
}

impl Grows {
    /// Returns the setting of the row.
    fn setting(self, size: u32) -> String {
        match self {
            Self::Executors => counted(size.into(), "executor"),
            Self::Bolts => counted(size.into(), "bolt"),
            Self::Pending => format!("{size} may pend"),
        }
    }

    /// Returns the topology of this size.
    fn chain(self, base: &Chain, size: u32) -> Chain {
        let base = base.clone();
        match self {
            Self::Executors => Chain {
                tasks: Tasks::Each(size / 2),
                ..base
            },
            Self::Bolts => {
                let passes = (0..size).map(|_| Stage::Pass);
                Chain {
                    bolts: passes.chain([Stage::Sink]).collect(),
                    ..base
                }
            }
            Self::Pending => Chain {
                dedicated: true,
                max_spout_pending: Some(size),
                ..base
            },
        }
    }
}

/// Measures each size at full speed, acked.
///
/// # Errors
/// A topology can't be run.
pub(super) fn measure(base: &Chain, rig: &mut Rig<'_>) -> Result<()> {
    for (grows, sizes) in SIZES {
        let mut smallest_ns = None;
        for size in sizes {
            let setting = grows.setting(size);
            say(format_args!("  {setting} …"));
            let chain = grows.chain(base, size);
            let mut sample = rig.run(&chain, true, Pace::Full)?.throughput(&chain)?;
            let ns = sample.get(&Quantity::CpuNsPerHop).copied();
            let ns = ns.unwrap_or_default();
            let smallest_ns = *smallest_ns.get_or_insert(ns);
            sample.insert(Quantity::RatioToSmallest, ns / smallest_ns);
            rig.add(Section::Growth, key(&chain, true, &setting), sample);
        }
    }
    Ok(())
}

/// Returns how much more a tuple costs at most than at the smallest size; `None` if that wasn't measured.
pub(super) fn largest_ratio(rows: &[Row]) -> Option<f64> {
    let rows = rows.iter().filter(|row| row.section == Section::Growth);
    let ratios = rows.filter_map(|row| Some(row.spread(Quantity::RatioToSmallest)?.median));
    let ratio = ratios.max_by(f64::total_cmp)?;
    Some((ratio * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::case::Case;
    use super::*;

    #[test]
    fn each_size_is_that_much() {
        let base = Case::Growth.chain(Path::new(""));
        let chain = |grows: Grows, size| grows.chain(&base, size);
        let executors = chain(Grows::Executors, 64);
        let n_components = 1 + executors.bolts.len();
        assert_eq!(executors.parallelism(1) as usize * n_components, 64);
        // The last one is the sink.
        assert_eq!(chain(Grows::Bolts, 16).bolts.len(), 17);
        assert_eq!(chain(Grows::Pending, 100).max_spout_pending, Some(100));
    }
}
