//! The cases by their names.

use std::path::Path;

use clap::ValueEnum;

use super::chain::{Chain, Stage, Tasks};
use super::load::Load;

/// Something that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Case {
    /// Numbers from a source over a bolt to a sink, on one thread
    PassThrough,
    /// The same with the source on a thread of its own
    PassThroughHop,
    /// Sentences are split, and their words counted
    WordCount,
    /// Storm's suite: a source alone, that emits the same text over and over
    ConstSpout,
    /// Storm's suite: the same source, and a sink
    ConstNull,
    /// Storm's suite: the same source, a bolt that passes on, and a sink
    ConstIdNull,
    /// Storm's suite: word-count of a file's lines, --input or a text made up
    FileWordCount,
    /// Storm's suite: a bolt that takes 100 µs for each tuple; what is pending stays bounded
    SlowBolt,
    /// Storm's suite: latency at 500 records a second
    LowThroughput,
    /// Storm's suite: latency of word-count at 10 % to 90 % of full speed; --plot draws it
    Curve,
    /// Memory of a pending tuple beyond its values, of a million of them
    PendingTuples,
    /// CPU time of a tuple with 2 to 64 executors, 1 to 16 bolts, 100 to 1,000,000 pending
    Growth,
    /// word-count with nothing to do, and with a sentence each second
    Idle,
}

impl Case {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::PassThrough => "pass-through",
            Self::PassThroughHop => "pass-through-hop",
            Self::WordCount => "word-count",
            Self::ConstSpout => "const-spout",
            Self::ConstNull => "const-null",
            Self::ConstIdNull => "const-id-null",
            Self::FileWordCount => "file-word-count",
            Self::SlowBolt => "slow-bolt",
            Self::LowThroughput => "low-throughput",
            Self::Curve => "curve",
            Self::PendingTuples => "pending-tuples",
            Self::Growth => "growth",
            Self::Idle => "idle",
        }
    }

    /// Returns the topology that it runs; `input` is what words are counted in from a file.
    pub(super) fn chain(self, input: &Path) -> Chain {
        let one = |load, bolts: &[Stage]| Chain {
            name: self.name(),
            load,
            dedicated: false,
            tasks: Tasks::One,
            max_spout_pending: None,
            bolts: bolts.to_vec(),
        };
        let words = |load| Chain {
            tasks: Tasks::PerCore,
            ..one(load, &[Stage::Split, Stage::Count, Stage::Sink])
        };
        match self {
            Self::PassThrough => one(Load::Numbers, &[Stage::Pass, Stage::Sink]),
            Self::PassThroughHop => Chain {
                dedicated: true,
                ..one(Load::Numbers, &[Stage::Pass, Stage::Sink])
            },
            Self::WordCount | Self::Curve | Self::Idle => words(Load::Sentences),
            Self::ConstSpout => one(Load::Constant, &[]),
            Self::ConstNull => one(Load::Constant, &[Stage::Sink]),
            Self::ConstIdNull => one(Load::Constant, &[Stage::Pass, Stage::Sink]),
            Self::FileWordCount => words(Load::File(input.to_owned())),
            Self::SlowBolt => one(Load::Numbers, &[Stage::Slow, Stage::Sink]),
            Self::LowThroughput | Self::Growth | Self::PendingTuples => {
                one(Load::Numbers, &[Stage::Sink])
            }
        }
    }
}
