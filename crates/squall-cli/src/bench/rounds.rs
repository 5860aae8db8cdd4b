//! What is measured, in which order.

use std::num::NonZeroU32;

use squall::{Result, console};

use super::case::Case;
use super::rig::Rig;
use super::{curve, growth, idle, pending, processes, slow, speed};

/// The rate of `low-throughput`, and the setting of its row.
const LOW_RATE: (&str, u64) = ("500/s", 500);

/// What each round measures.
#[derive(Clone, Debug)]
pub(super) struct Rounds {
    /// In this process.
    pub(super) cases: Vec<Case>,
    /// And word count over so many others.
    pub(super) processes: Option<NonZeroU32>,
}

impl Rounds {
    /// Measures everything so many times.
    ///
    /// # Errors
    /// What can't be run.
    pub(super) fn run(&self, n_rounds: u32, rig: &mut Rig<'_>) -> Result<()> {
        // Round by round: a machine that slows down does so for all rows.
        for round in 1..=n_rounds {
            if n_rounds > 1 {
                console::say(format_args!("round {round} of {n_rounds}"));
            }
            for case in &self.cases {
                measure(*case, rig)?;
            }
            if let Some(n) = self.processes {
                let case = Case::WordCount;
                console::say(format_args!("{} over {n} processes, acked …", case.name()));
                processes::measure(&case.chain(&rig.input), n, rig)?;
            }
        }
        Ok(())
    }
}

fn measure(case: Case, rig: &mut Rig<'_>) -> Result<()> {
    let (name, chain) = (case.name(), case.chain(&rig.input));
    console::say(format_args!("{name} …"));
    match case {
        Case::SlowBolt => slow::measure(&chain, rig),
        Case::LowThroughput => rig.pace(&chain, true, LOW_RATE),
        Case::Curve => curve::measure(&chain, rig),
        Case::Idle => idle::measure(&chain, rig),
        Case::Growth => growth::measure(&chain, rig),
        Case::PendingTuples => pending::measure(&chain, rig),
        Case::PassThrough
        | Case::PassThroughHop
        | Case::WordCount
        | Case::ConstSpout
        | Case::ConstNull
        | Case::ConstIdNull
        | Case::FileWordCount => {
            for acked in [true, false] {
                let kind = if acked { "acked" } else { "unacked" };
                console::say(format_args!("  {kind} …"));
                speed::measure(&chain, acked, rig)?;
            }
            Ok(())
        }
    }
}
