//! What measurements are made with, and where they leave what they find.

use std::time::Duration;

use squall::{Program, Result};

use super::WARM_UP;
use super::chain::Chain;
use super::measure;
use super::mode::{Mode, Pace};
use super::report::Report;
use super::row::{Key, Sample};
use super::run::Run;
use super::section::Section;

/// A bench that is under way.
pub(super) struct Rig<'p> {
    pub(super) program: &'p Program,
    /// How long each measurement takes.
    pub(super) span: Duration,
    pub(super) report: Report,
}

impl Rig<'_> {
    /// Runs a topology in this process. Blocks for the warm-up and the span, and until all is done.
    ///
    /// # Errors
    /// It can't be started, or can't go on.
    pub(super) fn run(&self, chain: &Chain, acked: bool, pace: Pace) -> Result<Run> {
        let mode = Mode {
            acked,
            pace,
            warm_up: WARM_UP,
            span: self.span,
            processes: 1,
            host: None,
        };
        measure::run(chain, &mode, self.program)
    }

    /// Adds what a run of a topology in this process showed.
    pub(super) fn add(&mut self, section: Section, chain: &Chain, acked: bool, sample: Sample) {
        let key = Key {
            case: chain.name.to_owned(),
            acked,
            processes: 1,
            parallelism: chain.parallelism(1),
            setting: String::new(),
        };
        self.report.add(section, key, sample);
    }
}
