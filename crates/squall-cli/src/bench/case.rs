//! The cases by their names.

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
    /// word-count with nothing to do, and with a sentence each second
    Idle,
}

impl Case {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::PassThrough => "pass-through",
            Self::PassThroughHop => "pass-through-hop",
            Self::WordCount => "word-count",
            Self::Idle => "idle",
        }
    }

    /// Returns the topology that it runs.
    pub(super) fn chain(self) -> Chain {
        let numbers = |bolts: &[Stage]| Chain {
            name: self.name(),
            load: Load::Numbers,
            dedicated: false,
            tasks: Tasks::One,
            bolts: bolts.to_vec(),
        };
        match self {
            Self::PassThrough => numbers(&[Stage::Pass, Stage::Sink]),
            Self::PassThroughHop => Chain {
                dedicated: true,
                ..numbers(&[Stage::Pass, Stage::Sink])
            },
            Self::WordCount | Self::Idle => Chain {
                load: Load::Sentences,
                tasks: Tasks::PerCore,
                ..numbers(&[Stage::Split, Stage::Count, Stage::Sink])
            },
        }
    }
}
