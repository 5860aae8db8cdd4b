//! What the topologies that are measured look like: a source and bolts behind it, one after the other.

use std::thread::available_parallelism;

use squall::{ByteSize, HumanDuration, Result, Settings, TopologyBuilder, TopologySpec};

use super::load::Load;
use super::mode::Mode;
use super::sink::SinkConfig;
use super::source::SourceConfig;

/// The source's component.
const SOURCE: &str = "source";

/// More than a million short tuples take.
const ENOUGH: ByteSize = ByteSize::mib(4096);
/// More than they come in, at 64 a batch or more.
const ENOUGH_BATCHES: u32 = 1 << 14;

/// A topology that is measured.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) name: &'static str,
    pub(super) load: Load,
    /// The source has a thread of its own.
    pub(super) dedicated: bool,
    pub(super) tasks: Tasks,
    /// `None` is the default.
    pub(super) max_spout_pending: Option<u32>,
    /// What comes after the source, in this order.
    pub(super) bolts: Vec<Stage>,
}

/// How many tasks each component has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tasks {
    /// One.
    One,
    /// One for each core, and as many in each process.
    PerCore,
    /// So many.
    Each(u32),
}

/// A bolt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Passes everything on.
    Pass,
    /// Passes everything on slowly, on a thread of its own.
    Slow,
    /// Splits lines into words.
    Split,
    /// Counts by word.
    Count,
    /// Counts what comes.
    Sink,
    /// Keeps the tokens of what comes.
    Keep,
    /// Reads nothing, on a thread of its own.
    Stuck,
}

impl Stage {
    const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Slow => "slow",
            Self::Split => "split",
            Self::Count => "count",
            Self::Sink => "sink",
            Self::Keep => "keep",
            Self::Stuck => "stuck",
        }
    }
}

impl Chain {
    /// Returns how many tasks each component has, spread over so many processes.
    pub(super) fn parallelism(&self, processes: u32) -> u32 {
        match self.tasks {
            Tasks::One => 1,
            Tasks::Each(n) => n,
            Tasks::PerCore => {
                let n_cores = available_parallelism().map_or(Ok(1), |n| u32::try_from(n.get()));
                n_cores.unwrap_or(1).next_multiple_of(processes)
            }
        }
    }

    /// Returns how many tuples one record causes, its own included: each is one hop. At least one.
    ///
    /// # Errors
    /// The source's file can't be read.
    pub(super) fn hops(&self) -> Result<f64> {
        let mut n_tuples = 1.0;
        let mut n_hops = 0.0;
        for stage in &self.bolts {
            n_hops += n_tuples;
            if *stage == Stage::Split {
                n_tuples *= self.load.words_per_record()?;
            }
        }
        Ok(f64::max(n_hops, 1.0))
    }

    /// Tells whether there is such a bolt.
    pub(super) fn has(&self, stage: Stage) -> bool {
        self.bolts.contains(&stage)
    }

    /// Declares the topology.
    ///
    /// # Errors
    /// None but those of the builder, which refuses two components of one name.
    pub(super) fn topology(&self, mode: &Mode) -> Result<TopologySpec> {
        let n = self.parallelism(mode.processes);
        let mut t = TopologyBuilder::new(self.name);
        if let Some(n_pending) = self.max_spout_pending {
            allow(n_pending, t.settings());
        }
        let config = SourceConfig::new(&self.load, mode);
        let source = t.spout(SOURCE, "bench-source", config)?.parallelism(n);
        if self.dedicated {
            source.dedicated();
        }
        let mut from = SOURCE.to_owned();
        for (stage_idx, stage) in self.bolts.iter().enumerate() {
            let type_name = format!("bench-{}", stage.name());
            let id = match self.bolts.iter().position(|other| other == stage) {
                Some(first_idx) if first_idx < stage_idx => format!("{}-{stage_idx}", stage.name()),
                _ => stage.name().to_owned(),
            };
            let bolt = match stage {
                Stage::Sink => t.bolt(&id, &type_name, SinkConfig::new(mode))?,
                _ => t.bolt(&id, &type_name, ())?,
            };
            let mut bolt = bolt.parallelism(n);
            if matches!(stage, Stage::Slow | Stage::Stuck) {
                bolt = bolt.dedicated();
            }
            match stage {
                Stage::Count => bolt.fields(&from, ["word"]),
                _ => bolt.local_or_shuffle(&from),
            };
            from = id;
        }
        Ok(t.build())
    }
}

/// Lets so many trees be pending, whatever they take: in queues, and for as long as they are counted.
fn allow(n_pending: u32, settings: &mut Settings) {
    settings.max_spout_pending = n_pending;
    settings.max_spout_pending_bytes = ENOUGH;
    settings.edge_bytes = ENOUGH;
    settings.edge_batches = ENOUGH_BATCHES;
    settings.message_timeout = HumanDuration::from_secs(3600);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::case::Case;

    #[test]
    fn each_tuple_of_a_record_is_a_hop() {
        let hops = |case: Case| case.chain(Path::new("")).hops().unwrap().to_string();
        assert_eq!(hops(Case::ConstSpout), "1");
        assert_eq!(hops(Case::ConstNull), "1");
        assert_eq!(hops(Case::PassThrough), "2");
        assert_eq!(hops(Case::WordCount), "17");
    }
}
