//! The components of a bench, by the names that its topologies know them by.

use std::sync::Arc;

use squall_core::Registry;

use super::board::Board;
use super::sink::{Sink, SinkConfig};
use super::slow::Slow;
use super::source::{Source, SourceConfig};
use super::words::{Count, Pass, Split};

/// Returns these components alone; they leave their figures on `board`.
pub(super) fn registry(board: &Board) -> Arc<Registry> {
    let mut registry = Registry::new();
    register(&mut registry, board);
    Arc::new(registry)
}

/// Registers them. Those that have no host leave their figures on `board`.
pub(super) fn register(registry: &mut Registry, board: &Board) {
    let (sources, sinks) = (board.clone(), board.clone());
    registry
        .spout("bench-source", move |config: SourceConfig| {
            let board = sources.or_of(config.host());
            Ok(Source::new(config, board))
        })
        .bolt("bench-pass", |(): ()| Ok(Pass))
        .bolt("bench-slow", |(): ()| Ok(Slow::default()))
        .bolt("bench-split", |(): ()| Ok(Split))
        .bolt("bench-count", |(): ()| Ok(Count::default()))
        .bolt("bench-sink", move |config: SinkConfig| {
            let board = sinks.or_of(config.host());
            Ok(Sink::new(config, board))
        });
}
