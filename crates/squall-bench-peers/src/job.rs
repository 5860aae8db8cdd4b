//! What is run on every engine.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use clap::ValueEnum;

use peer_driver::WORDS_PER_SENTENCE;

/// A job, as all engines have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Job {
    /// Sentences of eight words are split, and their words counted, in one process
    WordCount,
    /// The same over two processes
    WordCountOverTwo,
    /// Numbers go from a source over an operator to a sink, on one thread
    PassThrough,
    /// The same with the source on a thread of its own
    PassThroughHop,
}

impl Job {
    /// Returns what it is called in reports.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::WordCount => "word count",
            Self::WordCountOverTwo => "word count, two processes",
            Self::PassThrough => "pass-through",
            Self::PassThroughHop => "pass-through, a thread hop",
        }
    }

    /// Returns what drivers have under the same name as `squall bench`.
    pub(crate) const fn driven(self) -> peer_driver::Job {
        match self {
            Self::WordCount | Self::WordCountOverTwo => peer_driver::Job::WordCount,
            Self::PassThrough => peer_driver::Job::PassThrough,
            Self::PassThroughHop => peer_driver::Job::PassThroughHop,
        }
    }

    /// Returns how many processes it is spread over.
    pub(crate) const fn processes(self) -> usize {
        match self {
            Self::WordCountOverTwo => 2,
            Self::WordCount | Self::PassThrough | Self::PassThroughHop => 1,
        }
    }

    /// Returns how many tasks each component has in all: as `squall bench` chooses it.
    pub(crate) fn parallelism(self) -> usize {
        let n_cores = available_parallelism().map_or(1, NonZeroUsize::get);
        match self {
            Self::WordCount | Self::WordCountOverTwo => n_cores.next_multiple_of(self.processes()),
            Self::PassThrough | Self::PassThroughHop => 1,
        }
    }

    /// Returns how many tuples one record causes in Squall, its own included: what `squall bench` calls hops.
    pub(crate) const fn hops(self) -> u64 {
        match self {
            Self::WordCount | Self::WordCountOverTwo => 1 + 2 * WORDS_PER_SENTENCE,
            Self::PassThrough | Self::PassThroughHop => 2,
        }
    }
}
