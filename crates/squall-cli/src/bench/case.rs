//! The topologies that are measured.

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use clap::ValueEnum;

use squall::{Result, TopologyBuilder, TopologySpec};
use squall_core::Registry;

use super::board::Board;
use super::host::Host;
use super::sink::{Sink, SinkConfig};
use super::source::{Source, SourceConfig};
use super::words::{Count, Pass, SENTENCES, Split, WORDS_PER_SENTENCE};

/// A topology that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Case {
    /// Numbers from a source over a bolt to a sink, on one thread
    PassThrough,
    /// The same with the source on a thread of its own
    PassThroughHop,
    /// Sentences are split, and their words counted
    WordCount,
}

/// How a case is run.
#[derive(Clone, Debug)]
pub(super) struct Mode {
    pub(super) acked: bool,
    /// All sources together, in records; `None` is full speed.
    pub(super) rate_per_sec: Option<u64>,
    /// Before figures are taken.
    pub(super) warm_up: Duration,
    /// While they are.
    pub(super) span: Duration,
    /// How many processes its tasks are spread over.
    pub(super) processes: u32,
    /// Where they leave their figures, if these aren't the bench's own.
    pub(super) host: Option<Host>,
}

impl Case {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::PassThrough => "pass-through",
            Self::PassThroughHop => "pass-through-hop",
            Self::WordCount => "word-count",
        }
    }

    /// Returns how many tasks each component has, spread over so many processes.
    pub(super) fn parallelism(self, processes: u32) -> u32 {
        match self {
            Self::PassThrough | Self::PassThroughHop => 1,
            Self::WordCount => {
                let n_cores = available_parallelism().map_or(Ok(1), |n| u32::try_from(n.get()));
                // As many in each process.
                n_cores.unwrap_or(1).next_multiple_of(processes)
            }
        }
    }

    /// Returns how many tuples one record causes, its own included: each is one hop.
    pub(super) const fn hops(self) -> u64 {
        match self {
            Self::PassThrough | Self::PassThroughHop => 2,
            Self::WordCount => 1 + 2 * WORDS_PER_SENTENCE,
        }
    }

    /// Returns how many tuples come to the sink for one record.
    pub(super) const fn sunk(self) -> u64 {
        match self {
            Self::PassThrough | Self::PassThroughHop => 1,
            Self::WordCount => WORDS_PER_SENTENCE,
        }
    }

    /// Declares the topology.
    pub(super) fn topology(self, mode: &Mode) -> Result<TopologySpec> {
        let n = self.parallelism(mode.processes);
        let sink = SinkConfig::new(mode);
        let mut t = TopologyBuilder::new(self.name());
        let source = t
            .spout("source", "bench-source", SourceConfig::new(self, mode))?
            .parallelism(n);
        if self == Self::PassThroughHop {
            source.dedicated();
        }
        match self {
            Self::PassThrough | Self::PassThroughHop => {
                t.bolt("pass", "bench-pass", ())?.shuffle("source");
                t.bolt("sink", "bench-sink", sink)?.shuffle("pass");
            }
            Self::WordCount => {
                t.bolt("split", "bench-split", ())?
                    .parallelism(n)
                    .local_or_shuffle("source");
                t.bolt("count", "bench-count", ())?
                    .parallelism(n)
                    .fields("split", ["word"]);
                t.bolt("sink", "bench-sink", sink)?
                    .parallelism(n)
                    .local_or_shuffle("count");
            }
        }
        Ok(t.build())
    }
}

/// Returns the components of the cases alone; they leave their figures on `board`.
pub(super) fn registry(board: &Board) -> Arc<Registry> {
    let mut registry = Registry::new();
    register(&mut registry, board);
    Arc::new(registry)
}

/// Registers the components of the cases. Those that have no host leave their figures on `board`.
pub(super) fn register(registry: &mut Registry, board: &Board) {
    let (sources, sinks) = (board.clone(), board.clone());
    registry
        .spout("bench-source", move |config: SourceConfig| {
            let board = sources.or_of(config.host());
            Ok(Source::new(config, board))
        })
        .bolt("bench-pass", |(): ()| Ok(Pass))
        .bolt("bench-split", |(): ()| Ok(Split))
        .bolt("bench-count", |(): ()| Ok(Count::default()))
        .bolt("bench-sink", move |config: SinkConfig| {
            let board = sinks.or_of(config.host());
            Ok(Sink::new(config, board))
        });
}

/// Returns how often each word comes among the first `n_records` sentences of a source.
pub(super) fn add_words(n_records: u64, counts: &mut std::collections::HashMap<&'static str, i64>) {
    let n_sentences = SENTENCES.len() as u64;
    for (idx, sentence) in (0..).zip(SENTENCES) {
        let full = n_records / n_sentences;
        let times = full + u64::from(idx < n_records % n_sentences);
        for word in sentence.split(' ') {
            *counts.entry(word).or_default() += i64::try_from(times).unwrap_or(i64::MAX);
        }
    }
}
