//! A topology fed with given tuples, and what each of its components made of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;

use squall_core::{
    BoltSpec, ComponentId, Grouping, InputSpec, Outputs, Registry, TopologySpec, Tuple,
};
use squall_plan::Signatures;
use squall_runtime::TopologySnapshot;

use crate::testing::feed::{Feed, FeedConfig, GivenUp, Row};
use crate::testing::record::Record;
use crate::testing::{ClusterError, LocalCluster};

/// The types under which the feeding spout and the recording bolt are registered.
const FEED: &str = "__feed";
const RECORD: &str = "__record";
/// The recording bolt's name in the topology.
const RECORDER: &str = "__recorder";
/// How much virtual time a topology gets to end.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// What came of a topology that was run by [`complete`].
#[derive(Debug)]
pub struct Completed {
    /// All that was emitted, in the order in which it was seen; `tuple.source()` says by whom.
    pub emitted: Vec<Tuple>,
    /// The given tuples that failed five times, by spout, and why.
    pub given_up: Vec<GivenUp>,
    /// The counters at the end.
    pub snapshot: TopologySnapshot,
}

/// A topology that could not be run to its end.
#[derive(Debug, Error)]
pub enum CompleteError {
    /// It can't be started.
    #[error(transparent)]
    Start(#[from] ClusterError),
    /// Tuples are given for something that is no spout of the topology.
    #[error("`{0}` is no spout of the topology")]
    NoSpout(String),
    /// A given tuple goes to a stream that the spout doesn't declare, or has other fields than it.
    #[error("`{spout}` can't emit {tuple:?}: it declares {declared:?}")]
    WrongTuple {
        /// The spout.
        spout: ComponentId,
        /// The given tuple.
        tuple: Tuple,
        /// What the spout emits.
        declared: Outputs,
    },
    /// It stopped with an error.
    #[error("the topology failed: {0}")]
    Failed(#[from] squall_runtime::RunError),
    /// A day of virtual time passed, and something was still pending.
    #[error("{n_pending} tuple trees are still pending after a day")]
    Stuck {
        /// How many.
        n_pending: u64,
    },
}

/// Runs a topology in virtual time with its spouts replaced: each emits the tuples given for it, those
/// that fail again with back-off, five times at most, and then finishes. Spouts without tuples finish at
/// once. Returns when all is acked or given up.
///
/// Tuples that are emitted to one task (`direct`) are not among the emitted ones.
///
/// ```
/// use squall::prelude::*;
/// use squall::testing::{complete, tuple};
///
/// # fn main() -> Result<()> {
/// let mut t = TopologyBuilder::new("count-lines");
/// t.spout("in", "generate", serde_json::json!({ "fields": { "word": "sequence" } }))?;
/// t.bolt("count", "count", ())?.parallelism(2).fields("in", ["word"]);
///
/// let registry = squall::App::new().into_registry();
/// let words = ["a", "b", "a"].map(|word| tuple! { word: word });
/// let done = complete(registry, &t.build(), [("in", words.to_vec())])?;
/// let counts = done.by("count");
/// assert_eq!(counts.iter().filter(|t| t.str("key") == Ok("a")).count(), 2);
/// # Ok(()) }
/// ```
///
/// # Errors
/// [`CompleteError`].
pub fn complete<'s>(
    mut registry: Registry,
    topology: &TopologySpec,
    sources: impl IntoIterator<Item = (&'s str, Vec<Tuple>)>,
) -> Result<Completed, CompleteError> {
    let checked = squall_plan::check(topology, &registry).map_err(ClusterError::from)?;
    let rows = rows_of(topology, &checked.signatures, sources)?;
    let (seen, given_up) = (Arc::default(), Arc::default());
    register(&mut registry, &checked.signatures, rows, &seen, &given_up);
    let spec = instrument(topology, &checked.signatures);

    let mut running = LocalCluster::new(registry).start(&spec)?;
    let ended = running.run_to_end(PATIENCE);
    if let Some(failure) = running.failure() {
        return Err(failure.into());
    }
    let snapshot = running.snapshot();
    if !ended {
        let n_pending = snapshot.pending();
        return Err(CompleteError::Stuck { n_pending });
    }
    Ok(Completed {
        emitted: take(&seen),
        given_up: take(&given_up),
        snapshot,
    })
}

impl Completed {
    /// Returns what one component emitted, to all of its streams.
    #[must_use]
    pub fn by(&self, component: &str) -> Vec<Tuple> {
        let by = self
            .emitted
            .iter()
            .filter(|tuple| tuple.source() == component);
        by.cloned().collect()
    }
}

/// Replaces the spouts, and lets the recorder read every stream.
fn instrument(topology: &TopologySpec, signatures: &Signatures) -> TopologySpec {
    let mut spec = topology.clone();
    for (id, spout) in &mut spec.spouts {
        spout.type_name = FEED.into();
        spout.config = serde_json::json!({ "spout": id });
    }
    let streams = signatures.iter().flat_map(|(component, outputs)| {
        outputs.iter().map(|(stream, _)| InputSpec {
            component: component.clone(),
            stream: stream.clone(),
            grouping: Grouping::Global,
        })
    });
    let recorder = BoltSpec {
        type_name: RECORD.into(),
        parallelism: std::num::NonZeroU32::MIN,
        config: serde_json::Value::Null,
        inputs: streams.collect(),
        tick: None,
        dedicated: false,
    };
    spec.bolts.insert(RECORDER.into(), recorder);
    spec
}

fn register(
    registry: &mut Registry,
    signatures: &Signatures,
    mut rows: HashMap<ComponentId, Arc<[Row]>>,
    seen: &Arc<Mutex<Vec<Tuple>>>,
    given_up: &Arc<Mutex<Vec<GivenUp>>>,
) {
    let feeds = signatures.iter().map(|(id, outputs)| {
        let rows = rows.remove(id).unwrap_or_default();
        (id.clone(), (outputs.clone(), rows))
    });
    let feeds: HashMap<_, _> = feeds.collect();
    let given_up = given_up.clone();
    registry.spout(FEED, move |config: FeedConfig| {
        let (outputs, rows) = feeds.get(&config.spout).cloned().unwrap_or_default();
        Ok(Feed::new(config.spout, outputs, rows, given_up.clone()))
    });
    let seen = seen.clone();
    registry.bolt(RECORD, move |(): ()| Ok(Record(seen.clone())));
}

/// Lays the given tuples out in the order of the spout's declared fields.
fn rows_of<'s>(
    topology: &TopologySpec,
    signatures: &Signatures,
    sources: impl IntoIterator<Item = (&'s str, Vec<Tuple>)>,
) -> Result<HashMap<ComponentId, Arc<[Row]>>, CompleteError> {
    let mut rows = HashMap::new();
    for (spout, tuples) in sources {
        let spout = ComponentId::new(spout);
        if !topology.spouts.contains_key(&spout) {
            return Err(CompleteError::NoSpout(spout.to_string()));
        }
        let declared = signatures.get(&spout).cloned().unwrap_or_default();
        let laid_out = tuples.into_iter().map(|tuple| {
            Row::new(&tuple, &declared).ok_or_else(|| CompleteError::WrongTuple {
                spout: spout.clone(),
                tuple,
                declared: declared.clone(),
            })
        });
        let laid_out: Result<Arc<[Row]>, _> = laid_out.collect();
        rows.insert(spout.clone(), laid_out?);
    }
    Ok(rows)
}

fn take<T>(shared: &Mutex<Vec<T>>) -> Vec<T> {
    std::mem::take(&mut *shared.lock().unwrap_or_else(PoisonError::into_inner))
}

#[cfg(test)]
mod tests;
