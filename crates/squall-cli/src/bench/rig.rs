//! What measurements are made with, and where they leave what they find.

use std::path::PathBuf;
use std::time::Duration;

use squall::local::Local;
use squall::{Program, Result};

use super::WARM_UP;
use super::chain::Chain;
use super::measure;
use super::mode::{Mode, Pace};
use super::noise::Noise;
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
    /// What words are counted in from a file.
    pub(super) input: PathBuf,
    /// How late the machine itself is.
    pub(super) noise: Noise,
}

impl Rig<'_> {
    /// Runs a topology in this process. Blocks for the warm-up and the span, and until all is done.
    ///
    /// # Errors
    /// It can't be started, or can't go on.
    pub(super) fn run(&self, chain: &Chain, acked: bool, pace: Pace) -> Result<Run> {
        self.watch(chain, (acked, pace), &mut |_| {})
    }

    /// Runs a topology in this process and has it looked at ten times a second.
    ///
    /// # Errors
    /// It can't be started, or can't go on.
    pub(super) fn watch(
        &self,
        chain: &Chain,
        (acked, pace): (bool, Pace),
        look: &mut dyn FnMut(&Local),
    ) -> Result<Run> {
        let mode = Mode {
            acked,
            pace,
            warm_up: WARM_UP,
            span: self.span,
            processes: 1,
            host: None,
        };
        measure::run(chain, &mode, self.program, look)
    }

    /// Runs a topology in this process at a rate and adds its latency.
    ///
    /// # Errors
    /// It can't be started, or can't go on.
    pub(super) fn pace(
        &mut self,
        chain: &Chain,
        acked: bool,
        (setting, rate_per_sec): (&str, u64),
    ) -> Result<()> {
        let idle_us = self.noise.p99_us()?;
        let paced = self.run(chain, acked, Pace::PerSec(rate_per_sec))?;
        let sample = paced.latency(rate_per_sec, idle_us);
        self.add(Section::Latency, key(chain, acked, setting), sample);
        Ok(())
    }

    /// Adds what a run showed.
    pub(super) fn add(&mut self, section: Section, key: Key, sample: Sample) {
        self.report.add(section, key, sample);
    }
}

/// Returns the key of a topology in this process.
pub(super) fn key(chain: &Chain, acked: bool, setting: &str) -> Key {
    Key {
        case: chain.name.to_owned(),
        acked,
        processes: 1,
        parallelism: chain.parallelism(1),
        setting: setting.to_owned(),
    }
}
